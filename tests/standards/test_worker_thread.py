"""Work on one thread: its order, its results, its errors, and what is left of cancelled work."""

import asyncio
import threading
import weakref
from collections.abc import Iterator
from functools import partial

import pytest

from relay.standards.worker_thread import WorkerThread, WorkTimeout, busy_threads
from tests.support.patience import PATIENCE


@pytest.fixture
def thread() -> Iterator[WorkerThread]:
    made = WorkerThread("work")
    yield made
    made.stop()


async def test_work_runs_in_its_order_on_one_thread_and_returns_its_results(thread: WorkerThread) -> None:
    done: list[tuple[int, str]] = []

    def work(number: int) -> int:
        done.append((number, threading.current_thread().name))
        return number * 10

    results = await asyncio.gather(*(thread.run(lambda n=number: work(n)) for number in range(5)))  # type: ignore[misc]
    assert results == [0, 10, 20, 30, 40]
    assert done == [(number, "work") for number in range(5)]


@pytest.mark.parametrize("error", [ValueError("bad"), MemoryError(), KeyboardInterrupt()])
async def test_an_error_is_raised_where_the_result_is_awaited(
    thread: WorkerThread, error: BaseException
) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        await thread.run(fail)
    assert await thread.run(lambda: "next") == "next"


async def test_what_the_work_holds_is_freed_before_the_next_work(thread: WorkerThread) -> None:
    class Body:
        """Something large."""

    body = Body()
    freed = weakref.ref(body)
    await thread.run(partial(id, body))
    del body
    async with asyncio.timeout(PATIENCE):
        while freed() is not None:
            await asyncio.sleep(0.001)


async def test_cancelled_work_is_left_out_if_it_did_not_begin(thread: WorkerThread) -> None:
    may_end, began, done = threading.Event(), threading.Event(), list[str]()

    def first() -> None:
        began.set()
        may_end.wait(PATIENCE)
        done.append("first")

    running = asyncio.create_task(thread.run(first))
    waiting = asyncio.create_task(thread.run(lambda: done.append("second")))
    await asyncio.to_thread(began.wait, 10)
    for task in (running, waiting):
        task.cancel()
    await asyncio.wait([running, waiting])
    may_end.set()
    assert await thread.run(lambda: "third") == "third"
    assert done == ["first"]


@pytest.mark.parametrize("error", [None, ValueError("bad")])
async def test_the_result_of_cancelled_work_that_began_is_dropped(
    thread: WorkerThread, error: Exception | None
) -> None:
    began, may_end = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        may_end.wait(PATIENCE)
        if error:
            raise error

    unexpected = list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unexpected.append(context))
    running = asyncio.create_task(thread.run(work))
    await asyncio.to_thread(began.wait, 10)
    running.cancel()
    await asyncio.wait([running])
    may_end.set()
    await thread.run(lambda: None)
    assert unexpected == []


async def test_work_that_takes_too_long_is_given_up_and_runs_to_its_end(thread: WorkerThread) -> None:
    may_end, done = threading.Event(), list[str]()

    def first() -> None:
        may_end.wait(PATIENCE)
        done.append("first")

    running = asyncio.create_task(thread.run(first, seconds=0.01))
    waiting = asyncio.create_task(thread.run(lambda: done.append("second"), seconds=0.01))
    for work in (running, waiting):
        with pytest.raises(WorkTimeout):
            await work
    may_end.set()
    assert await thread.run(lambda: "third", seconds=10) == "third"
    assert done == ["first"]


async def test_stopping_finishes_the_work_and_refuses_more() -> None:
    thread, done = WorkerThread("work"), list[str]()
    work = asyncio.create_task(thread.run(lambda: done.append("done")))
    await asyncio.sleep(0)
    await asyncio.to_thread(thread.stop)
    await work
    assert done == ["done"]
    with pytest.raises(RuntimeError, match="the thread work was stopped"):
        await thread.run(lambda: None)


def test_a_thread_serves_one_event_loop_after_the_other(thread: WorkerThread) -> None:
    may_end = threading.Event()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(thread.run(lambda: may_end.wait(PATIENCE)), 0.01)

    asyncio.run(give_up())
    may_end.set()  # its loop is closed: nobody waits for this result
    assert asyncio.run(thread.run(lambda: "other loop")) == "other loop"


def test_a_thread_that_did_nothing_can_be_stopped() -> None:
    thread = WorkerThread("without work")
    assert "without work" not in busy_threads()
    thread.stop()


async def test_a_thread_is_busy_while_it_runs_something(thread: WorkerThread) -> None:
    began, may_end = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        may_end.wait(PATIENCE)

    await thread.run(lambda: None)
    running = asyncio.create_task(thread.run(work))
    await asyncio.to_thread(began.wait, 10)
    assert busy_threads().count("work") == 1
    may_end.set()
    await running
    await thread.run(lambda: None)
    await asyncio.to_thread(thread.stop)
    assert "work" not in busy_threads()
