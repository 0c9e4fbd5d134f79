"""Time limits of blocks: one timer for all of them. Deadlines and evictions are tested with the limits."""

import asyncio

import pytest

from relay.ingest.limits import AdmissionControl, Permit
from tests.support.clock import MonotonicClock


@pytest.fixture
def permit() -> Permit:
    """A permit whose clock stands still."""
    admission = AdmissionControl(max_requests=4, max_bytes=1_000, now=MonotonicClock())
    return admission.permit("192.0.2.1", authenticated=False)


async def test_all_blocks_share_one_timer_that_ends_after_the_last_one() -> None:
    admission = AdmissionControl(max_requests=4, max_bytes=1_000)
    with admission.permit("192.0.2.1", authenticated=True).until_deadline():
        timer = admission.deadlines._timer
    with admission.permit("192.0.2.1", authenticated=True).until_deadline():
        assert admission.deadlines._timer is timer is not None
        await asyncio.sleep(0.15)
        assert admission.deadlines._timer is not None
    await asyncio.sleep(0.15)
    assert admission.deadlines._timer is None


@pytest.mark.parametrize(("early_by", "is_interrupted"), [(0.0, True), (0.001, False)])
async def test_a_block_is_interrupted_at_its_deadline(
    permit: Permit, early_by: float, *, is_interrupted: bool
) -> None:
    with permit.until_deadline():
        assert permit.block
        permit._next_bytes_by = 700.0
        permit.block._task = asyncio.create_task(asyncio.Event().wait())
        permit.block.check_deadline(700.0 - early_by)
        assert permit.block._task.cancelling() == int(is_interrupted)
        permit.block._task.cancel()


@pytest.mark.parametrize(
    ("interrupted", "cancelled", "makes_of_it", "ended_by", "cancelling"),
    [
        (True, False, None, TimeoutError, 0),
        (True, True, None, asyncio.CancelledError, 1),
        (False, True, None, asyncio.CancelledError, 1),
        (True, False, "a result", None, 0),
        (True, False, "an error", KeyError, 0),
        (True, True, "a result", None, 1),
        (False, True, "an error", KeyError, 1),
    ],
)
async def test_an_interruption_ends_with_its_block_and_a_cancellation_by_the_server_does_not(
    permit: Permit,
    makes_of_it: str | None,
    ended_by: type[BaseException] | None,
    cancelling: int,
    *,
    interrupted: bool,
    cancelled: bool,
) -> None:
    async def run() -> None:
        with permit.until_deadline():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if makes_of_it is None:
                    raise
                if makes_of_it == "an error":
                    raise KeyError from None

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    assert permit.block
    if interrupted:
        permit.block.interrupt()
    if cancelled:
        task.cancel()
    await asyncio.wait([task])
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    assert (error and type(error), task.cancelling()) == (ended_by, cancelling)


async def test_a_block_in_a_task_that_was_cancelled_before_is_interrupted_too(permit: Permit) -> None:
    async def run() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            with permit.until_deadline():
                assert permit.block
                permit.block.interrupt()
                await asyncio.Event().wait()

    task = asyncio.create_task(run())
    asyncio.get_running_loop().call_soon(task.cancel)
    await asyncio.wait([task])
    assert isinstance(task.exception(), TimeoutError)


async def test_a_block_that_is_interrupted_twice_is_cancelled_once(permit: Permit) -> None:
    def interrupt() -> None:
        assert permit.block
        permit.block.interrupt()
        permit.block.interrupt()

    asyncio.get_running_loop().call_soon(interrupt)
    with pytest.raises(TimeoutError), permit.until_deadline():
        await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task
    assert task.cancelling() == 0


async def test_a_block_cannot_be_interrupted_after_its_end(permit: Permit) -> None:
    with permit.until_deadline():
        block = permit.block
    assert block
    block.interrupt()
    await asyncio.sleep(0)
    assert permit.block is None


async def test_an_error_of_the_block_is_not_replaced_by_the_eviction(permit: Permit) -> None:
    permit.is_evicted = True
    with pytest.raises(ValueError, match="broken"), permit.until_deadline():
        raise ValueError("broken")
