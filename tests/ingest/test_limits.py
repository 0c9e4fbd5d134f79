"""Limits of concurrent requests, of the bytes in their bodies, and of their time."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from relay.ingest.limits import (
    GRACE_SECONDS,
    MIN_BYTES_PER_SECOND,
    AdmissionControl,
    Evicted,
    Overloaded,
    Permit,
)
from tests.support.clock import MonotonicClock


@pytest.fixture
def clock() -> MonotonicClock:
    return MonotonicClock()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def control(clock: MonotonicClock, *, requests: int = 100, size: int = 1_000) -> AdmissionControl:
    return AdmissionControl(max_requests=requests, max_bytes=size, now=clock)


# --- places -----------------------------------------------------------------------------------------


def test_the_number_of_requests_is_limited_and_each_permit_is_returned(clock: MonotonicClock) -> None:
    admission = control(clock, requests=2)
    for _ in range(3):
        with ExitStack() as opened:
            for _ in range(2):
                opened.enter_context(admission.permit("192.0.2.1", authenticated=True))
            with pytest.raises(Overloaded, match="too many concurrent requests"):
                opened.enter_context(admission.permit("192.0.2.1", authenticated=True))


def test_a_new_unauthenticated_request_evicts_the_oldest_one_from_the_quarter(
    clock: MonotonicClock, stack: ExitStack
) -> None:
    admission = control(clock, requests=8)
    first, second = (
        stack.enter_context(admission.permit("192.0.2.1", authenticated=False)) for _ in range(2)
    )
    third = stack.enter_context(admission.permit("192.0.2.1", authenticated=False))
    assert [permit.is_evicted for permit in (first, second, third)] == [True, False, False]
    with pytest.raises(Evicted):
        first.authenticate()


def trickle(permit: Permit) -> None:
    permit.extend(2_048)


def send_much_at_once_and_stop(permit: Permit) -> None:
    if not permit.reserved_bytes:
        permit.reserve(60)
        permit.extend(1_000_000)


def send_nothing(_: Permit) -> None:
    pass


@pytest.mark.parametrize("send", [trickle, send_much_at_once_and_stop, send_nothing])
@pytest.mark.parametrize("same_address", [False, True])
def test_no_pace_of_strangers_evicts_a_younger_request(
    clock: MonotonicClock, stack: ExitStack, send: Callable[[Permit], None], *, same_address: bool
) -> None:
    admission = control(clock, requests=40, size=1_000_000)  # 10 places of strangers
    strangers: list[Permit] = []

    def attack(number: int) -> None:
        for _ in range(number):
            address = f"192.0.2.{0 if same_address else len(strangers)}"
            strangers.append(stack.enter_context(admission.permit(address, authenticated=False)))
        clock.time += 0.3
        for stranger in strangers:
            if not stranger.is_evicted:
                send(stranger)

    for _ in range(5):
        attack(4)
    honest = stack.enter_context(admission.permit("192.0.2.0", authenticated=False))
    attack(4)
    honest.reserve(70)
    honest.extend(70)
    attack(4)
    assert not honest.is_evicted
    attack(2)  # as many newer ones as there are places: it was too slow
    assert honest.is_evicted


def test_the_address_that_exceeds_its_share_most_loses_its_oldest_request(
    clock: MonotonicClock, stack: ExitStack
) -> None:
    admission = control(clock, requests=12)

    def enter(address: str) -> Permit:
        return stack.enter_context(admission.permit(address, authenticated=False))

    alone = enter("192.0.2.1")
    many = [enter(f"2001:db8::{n}") for n in range(2)]  # one network, as one sender has it
    newcomer = enter("192.0.2.2")
    assert [permit.is_evicted for permit in (alone, *many, newcomer)] == [False, True, False, False]


def test_a_sender_with_some_requests_loses_none_to_strangers_with_one_address_each(
    clock: MonotonicClock, stack: ExitStack
) -> None:
    admission = control(clock, requests=128)  # 32 places of strangers, 2 for each address

    def enter(address: str) -> Permit:
        return stack.enter_context(admission.permit(address, authenticated=False))

    for number in range(40):
        enter(f"192.0.2.{number}")
    honest = [enter("198.51.100.1") for _ in range(2)]
    for number in range(40, 70):
        enter(f"192.0.2.{number}")
    assert not any(permit.is_evicted for permit in honest)


def test_a_flood_from_one_address_evicts_no_request_of_another_one(
    clock: MonotonicClock, stack: ExitStack
) -> None:
    admission = control(clock, requests=40)
    honest = stack.enter_context(admission.permit("198.51.100.1", authenticated=False))
    for _ in range(100):
        stack.enter_context(admission.permit("192.0.2.1", authenticated=False))
    assert not honest.is_evicted


def test_unauthenticated_requests_leave_three_quarters_to_the_others(
    clock: MonotonicClock, stack: ExitStack
) -> None:
    admission = control(clock, requests=8)
    for _ in range(50):
        stack.enter_context(admission.permit("192.0.2.1", authenticated=False))
    for _ in range(6):
        stack.enter_context(admission.permit("192.0.2.1", authenticated=True))


def test_an_authenticated_request_evicts_an_unauthenticated_one_if_all_places_are_used(
    clock: MonotonicClock, stack: ExitStack
) -> None:
    admission = control(clock, requests=4)
    stranger = stack.enter_context(admission.permit("192.0.2.1", authenticated=False))
    for _ in range(4):
        stack.enter_context(admission.permit("192.0.2.1", authenticated=True))
    assert stranger.is_evicted


@pytest.mark.parametrize("becomes_authenticated", [False, True])
def test_places_of_unauthenticated_requests_are_returned(
    clock: MonotonicClock, becomes_authenticated: bool
) -> None:
    admission = control(clock, requests=4)
    for _ in range(20):
        with admission.permit("192.0.2.1", authenticated=False) as permit:
            permit.reserve(600)
            if becomes_authenticated:
                permit.authenticate()
        assert not permit.is_evicted
    with ExitStack() as opened:
        permits = [opened.enter_context(admission.permit("192.0.2.1", authenticated=True)) for _ in range(4)]
        permits[0].reserve(1_000)
        with pytest.raises(Overloaded):
            permits[1].reserve(1)


def test_bytes_of_unauthenticated_requests_are_returned_to_their_quarter(
    clock: MonotonicClock, stack: ExitStack
) -> None:
    admission = control(clock, requests=8, size=1_000)
    for _ in range(20):
        with admission.permit("192.0.2.1", authenticated=False) as permit:
            permit.reserve(100)
    live = [stack.enter_context(admission.permit("192.0.2.1", authenticated=False)) for _ in range(2)]
    for permit in live:
        permit.reserve(100)
    assert not any(permit.is_evicted for permit in live)


def test_an_evicted_request_returns_its_place_and_its_bytes_once(
    clock: MonotonicClock, stack: ExitStack
) -> None:
    admission = control(clock, requests=4, size=1_000)
    with admission.permit("192.0.2.1", authenticated=False) as evicted:
        evicted.reserve(200)
        stack.enter_context(admission.permit("192.0.2.1", authenticated=False))
        assert evicted.is_evicted
        evicted.reserve(10_000)
    others = [stack.enter_context(admission.permit("192.0.2.1", authenticated=True)) for _ in range(3)]
    others[0].reserve(1_000)
    with pytest.raises(Overloaded):
        others[1].reserve(1)


def test_a_request_that_authenticates_leaves_the_quarter(clock: MonotonicClock, stack: ExitStack) -> None:
    admission = control(clock, requests=4, size=1_000)
    permits = [stack.enter_context(admission.permit("192.0.2.1", authenticated=False))]
    permits[0].reserve(250)
    permits[0].authenticate()
    permits.append(stack.enter_context(admission.permit("192.0.2.1", authenticated=False)))
    permits[1].reserve(250)
    assert not any(permit.is_evicted for permit in permits)


def test_of_few_places_one_is_for_unauthenticated_requests(clock: MonotonicClock, stack: ExitStack) -> None:
    admission = control(clock, requests=2)
    first, second = (
        stack.enter_context(admission.permit("192.0.2.1", authenticated=False)) for _ in range(2)
    )
    assert (first.is_evicted, second.is_evicted) == (True, False)


def test_a_request_that_authenticates_twice_has_one_place(clock: MonotonicClock) -> None:
    admission = control(clock, requests=1)
    for _ in range(2):
        with admission.permit("192.0.2.1", authenticated=False) as permit:
            permit.reserve(100)
            permit.authenticate()
            permit.authenticate()
            assert permit.is_authenticated
            with (
                pytest.raises(Overloaded, match="too many concurrent requests"),
                admission.permit("192.0.2.1", authenticated=True),
            ):
                pass


@pytest.mark.parametrize(
    ("client", "authenticated", "address"),
    [
        ("192.0.2.1", False, "192.0.2.1"),
        ("2001:db8::1", False, "2001:0db8:0000:0000::/64"),
        (None, False, ""),
        ("192.0.2.1", True, ""),
    ],
)
def test_only_unauthenticated_requests_are_counted_by_their_network(
    clock: MonotonicClock, client: str | None, address: str, *, authenticated: bool
) -> None:
    permit = control(clock).permit(client, authenticated=authenticated)
    assert (permit.address, permit.is_authenticated) == (address, authenticated)
    assert (permit.is_evicted, permit.reserved_bytes) == (False, 0)


def test_the_bytes_of_a_request_that_authenticates_leave_the_quarter(
    clock: MonotonicClock, stack: ExitStack
) -> None:
    admission = control(clock, requests=8, size=1_000)
    permit = stack.enter_context(admission.permit("192.0.2.1", authenticated=False))
    permit.reserve(250)
    permit.authenticate()
    others = [stack.enter_context(admission.permit("192.0.2.1", authenticated=False)) for _ in range(2)]
    for other in others:
        other.reserve(125)
    assert not any(other.is_evicted for other in others)


# --- bytes ------------------------------------------------------------------------------------------


def test_the_bytes_of_all_bodies_together_are_limited(clock: MonotonicClock) -> None:
    admission = control(clock, size=10)
    with admission.permit("192.0.2.1", authenticated=True) as one:
        one.reserve(6)
        with (
            pytest.raises(Overloaded, match="bytes"),
            admission.permit("192.0.2.1", authenticated=True) as other,
        ):
            other.reserve(5)
        with admission.permit("192.0.2.1", authenticated=True) as third:
            third.reserve(4)
    with admission.permit("192.0.2.1", authenticated=True) as alone:
        alone.reserve(10)


def test_bytes_of_unauthenticated_requests_are_a_quarter(clock: MonotonicClock, stack: ExitStack) -> None:
    admission = control(clock, size=1_000)
    without_bytes, large, small = (
        stack.enter_context(admission.permit(f"192.0.2.{n}", authenticated=False)) for n in range(3)
    )
    large.reserve(200)
    small.reserve(50)
    assert not large.is_evicted
    small.reserve(1)
    assert [permit.is_evicted for permit in (without_bytes, large, small)] == [False, True, False]
    stack.enter_context(admission.permit("192.0.2.9", authenticated=True)).reserve(1_000 - 51)


def test_bytes_are_freed_by_the_oldest_body_of_the_address_that_exceeds_its_share_most(
    clock: MonotonicClock, stack: ExitStack
) -> None:
    admission = control(clock, size=1_000)

    def enter(address: str, size: int) -> Permit:
        permit = stack.enter_context(admission.permit(address, authenticated=False))
        permit.reserve(size)
        return permit

    idle = stack.enter_context(admission.permit("192.0.2.1", authenticated=False))
    permits = [idle, enter("192.0.2.2", 100), enter("192.0.2.1", 110), enter("192.0.2.1", 30)]
    newcomer = enter("192.0.2.3", 11)
    assert [permit.is_evicted for permit in (*permits, newcomer)] == [False, False, True, False, False]


def test_bytes_are_freed_by_the_oldest_body_if_no_address_exceeds_its_share(
    clock: MonotonicClock, stack: ExitStack
) -> None:
    admission = control(clock, requests=1_000, size=6_400)  # 1600 bytes of strangers, 100 for each address

    def enter(number: int, size: int) -> Permit:
        permit = stack.enter_context(admission.permit(f"192.0.2.{number}", authenticated=False))
        permit.reserve(size)
        return permit

    permits = [enter(0, 99), enter(1, 98), *(enter(number, 100) for number in range(2, 16))]
    newcomer = enter(16, 4)
    assert [permit.is_evicted for permit in (*permits, newcomer)] == [True] + 16 * [False]


def test_an_authenticated_body_takes_the_bytes_of_strangers_and_no_more(
    clock: MonotonicClock, stack: ExitStack
) -> None:
    admission = control(clock, size=1_000)
    strangers = [stack.enter_context(admission.permit(f"192.0.2.{n}", authenticated=False)) for n in range(2)]
    for stranger in strangers:
        stranger.reserve(125)
    permit = stack.enter_context(admission.permit("192.0.2.9", authenticated=True))
    permit.reserve(750)
    assert not any(stranger.is_evicted for stranger in strangers)
    permit.reserve(1)
    assert sorted(stranger.is_evicted for stranger in strangers) == [False, True]
    permit.reserve(125)
    assert all(stranger.is_evicted for stranger in strangers)
    permit.reserve(124)
    with pytest.raises(Overloaded, match="too many bytes in concurrent requests"):
        permit.reserve(1)


def test_a_single_body_may_be_larger_than_the_quarter(clock: MonotonicClock, stack: ExitStack) -> None:
    admission = control(clock, size=1_000)
    permit = stack.enter_context(admission.permit("192.0.2.1", authenticated=False))
    permit.reserve(900)
    assert not permit.is_evicted
    with pytest.raises(Overloaded):
        permit.reserve(101)


# --- time -------------------------------------------------------------------------------------------


def test_a_sender_must_send_after_the_grace_and_at_the_minimum_rate(clock: MonotonicClock) -> None:
    permit = control(clock).permit("192.0.2.1", authenticated=False)
    assert permit.deadline == 1005
    clock.time += 2
    permit.extend(1_024)  # one second of the minimum rate
    assert permit.deadline == 1006
    permit.extend(1_000_000)  # no more than the grace
    assert permit.deadline == 1007
    for _ in range(20):
        clock.time += 2
        permit.extend(1_000_000)
    assert permit.deadline == 1030


async def test_a_slow_sender_is_interrupted() -> None:
    admission = AdmissionControl(max_requests=4, max_bytes=1_000)
    permit = admission.permit("192.0.2.1", authenticated=False)
    permit._next_bytes_by = 0.0
    with pytest.raises(TimeoutError), permit.until_deadline():
        await asyncio.Event().wait()


async def test_an_evicted_sender_is_interrupted_long_before_its_deadline(clock: MonotonicClock) -> None:
    admission = control(clock, requests=4)  # the clock stands still: no deadline is ever reached

    async def wait(permit: Permit) -> None:
        with permit, permit.until_deadline():
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait(admission.permit("192.0.2.1", authenticated=False)))
    await asyncio.sleep(0)
    with admission.permit("192.0.2.1", authenticated=False), pytest.raises(Evicted):
        await asyncio.wait_for(waiting, 60)


async def test_a_request_that_was_evicted_in_its_last_step_is_not_served() -> None:
    admission = AdmissionControl(max_requests=4, max_bytes=1_000)

    async def evict_in_time(permit: Permit) -> None:
        with permit.until_deadline(), admission.permit("192.0.2.1", authenticated=False):
            pass

    with admission.permit("192.0.2.1", authenticated=False) as permit, pytest.raises(Evicted):
        await evict_in_time(permit)


async def test_bytes_that_arrive_move_the_deadline_of_a_block_that_waits_for_more() -> None:
    admission = AdmissionControl(max_requests=100, max_bytes=1_000_000)
    permit = admission.permit("192.0.2.1", authenticated=False)
    never = asyncio.Event()
    permit._next_bytes_by -= GRACE_SECONDS - 0.05
    loop = asyncio.get_running_loop()
    loop.call_later(0.02, permit.extend, MIN_BYTES_PER_SECOND // 10)
    begin = loop.time()
    with pytest.raises(TimeoutError), permit.until_deadline():
        await never.wait()
    assert 0.15 <= loop.time() - begin < 2


async def test_a_request_can_be_evicted_while_its_timeout_fires() -> None:
    never = asyncio.Event()
    admission = AdmissionControl(max_requests=4, max_bytes=1_000)
    permit = admission.permit("192.0.2.1", authenticated=False)
    permit._next_bytes_by = 0.0

    async def wait() -> None:
        with permit, permit.until_deadline():
            await never.wait()

    waiting = asyncio.create_task(wait())
    while permit.block is None or not permit.block._is_interrupted:
        await asyncio.sleep(0)
    with admission.permit("192.0.2.1", authenticated=False), pytest.raises(Evicted):
        await waiting


async def test_a_request_can_be_evicted_after_its_body_was_read() -> None:
    admission = AdmissionControl(max_requests=4, max_bytes=1_000)
    with admission.permit("192.0.2.1", authenticated=False) as permit:
        with permit.until_deadline():
            pass
        with (
            admission.permit("192.0.2.1", authenticated=False),
            pytest.raises(Evicted, match="too many concurrent requests without authentication"),
        ):
            permit.authenticate()
        with pytest.raises(Evicted), permit.until_deadline():
            pass


async def test_a_stop_of_the_server_during_a_timeout_is_no_timeout() -> None:
    admission = AdmissionControl(max_requests=4, max_bytes=1_000)
    permit = admission.permit("192.0.2.1", authenticated=True)
    permit._next_bytes_by = 0.0

    async def wait() -> None:
        with permit, permit.until_deadline():
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    while permit.block is None or not permit.block._is_interrupted:
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
