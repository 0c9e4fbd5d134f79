"""Bisecting a batch with bad records: every good record is delivered, and every bad one is found."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Collection, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_clients.base import (
    Delivered,
    Misconfigured,
    Outcome,
    Push,
    Rejected,
    Retry,
    Split,
    Throttled,
    Unauthorised,
    Unknown,
)
from relay.delivery.bisect import push_bisecting
from tests.support.samples import make_call

PUSHES = [Push(make_call(id=f"cloudtalk-{n}"), frozenset({"status"})) for n in range(100)]
MOST_REQUESTS_FOR_3_IN_100 = 40


def index_of(call: str) -> int:
    """The index in PUSHES."""
    return int(call.removeprefix("cloudtalk-"))


class GroupWritingCrm:
    """Writes each group of a batch whole or not at all, and names a bad record only if it is alone."""

    def __init__(self, bad: Collection[int], *, group: Callable[[int], int] = lambda _: 0) -> None:
        self.bad = frozenset(bad)
        self.group = group
        self.requests: list[list[int]] = []
        self.written: Counter[int] = Counter()

    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        batch = [index_of(push.call.id) for push in pushes]
        self.requests.append(batch)
        return [self._answer(n, [m for m in batch if self.group(m) == self.group(n)]) for n in batch]

    def _answer(self, n: int, group: list[int]) -> Outcome:
        if self.bad.isdisjoint(group):
            self.written[n] += 1
            return Delivered(remote_id=f"r{n}")
        return Rejected(code="22P05") if len(group) == 1 else Split(code="22P05")


async def outcomes_of(crm: GroupWritingCrm, pushes: Sequence[Push]) -> dict[int, Outcome]:
    outcomes: dict[str, Outcome] = {}
    await push_bisecting(crm.upsert, pushes, outcomes)
    return {index_of(call): outcome for call, outcome in outcomes.items()}


def expected(crm: GroupWritingCrm, pushes: Sequence[Push]) -> dict[int, Outcome]:
    indexes = [index_of(push.call.id) for push in pushes]
    return {n: Rejected(code="22P05") if n in crm.bad else Delivered(remote_id=f"r{n}") for n in indexes}


_sizes = st.integers(1, 100)
_placements = _sizes.flatmap(
    lambda size: st.tuples(st.just(size), st.sets(st.integers(0, size - 1), max_size=19))
)


@given(_placements)
@settings(max_examples=3 * settings().max_examples, deadline=None)
async def test_each_good_record_is_delivered_once_and_each_bad_one_is_rejected(
    placement: tuple[int, set[int]],
) -> None:
    size, bad = placement
    crm = GroupWritingCrm(bad)
    assert await outcomes_of(crm, PUSHES[:size]) == expected(crm, PUSHES[:size])
    assert set(crm.written.values()) <= {1}


async def test_a_batch_without_a_bad_record_is_one_request() -> None:
    crm = GroupWritingCrm(set())
    assert await outcomes_of(crm, PUSHES) == expected(crm, PUSHES)
    assert len(crm.requests) == 1


async def test_a_part_that_must_hold_a_bad_record_is_not_tried_whole() -> None:
    crm = GroupWritingCrm({3})
    await outcomes_of(crm, PUSHES[:4])
    assert crm.requests == [[0, 1, 2, 3], [0, 1], [2], [3]]


async def test_if_both_parts_may_hold_a_bad_record_both_are_tried() -> None:
    crm = GroupWritingCrm({0})
    await outcomes_of(crm, PUSHES[:4])
    assert crm.requests == [[0, 1, 2, 3], [0, 1], [0], [1], [2, 3]]


async def test_three_bad_records_in_a_hundred_are_found_in_few_requests() -> None:
    """Counted over all 161 700 placements: 26 requests on average, 34 at most."""
    chance = random.Random(7)
    placements = [chance.sample(range(100), 3) for _ in range(500)]
    placements += [
        [1, 26, 51],
        [0, 1, 2],
        [0, 49, 99],
        [0, 33, 66],
        [97, 98, 99],
        [24, 49, 74],
        [0, 50, 75],
        [12, 37, 62],
    ]
    counts = []
    for bad in placements:
        crm = GroupWritingCrm(bad)
        assert await outcomes_of(crm, PUSHES) == expected(crm, PUSHES)
        counts.append(len(crm.requests))
    assert max(counts) <= MOST_REQUESTS_FOR_3_IN_100


# --- a CRM that refuses a part of a batch ----------------------------------------------------------


@given(st.sets(st.integers(0, 39), max_size=12), st.integers(1, 5))
@settings(deadline=None)
async def test_groups_that_were_written_are_not_pushed_again(bad: set[int], groups: int) -> None:
    crm = GroupWritingCrm(bad, group=lambda n: n % groups)
    outcomes = await outcomes_of(crm, PUSHES[:40])
    assert {n for n, outcome in outcomes.items() if isinstance(outcome, Delivered)} == set(range(40)) - bad
    assert set(crm.written.values()) <= {1}
    assert all(isinstance(outcomes[n], Rejected | Retry) for n in bad)


async def test_only_the_refused_part_is_pushed_again() -> None:
    crm = GroupWritingCrm({1}, group=lambda n: n % 2)
    assert await outcomes_of(crm, PUSHES[:8]) == expected(crm, PUSHES[:8])
    assert crm.requests == [[0, 1, 2, 3, 4, 5, 6, 7], [1, 3], [1], [3], [5, 7]]


async def test_a_record_that_the_crm_rejected_by_name_is_not_pushed_again() -> None:
    class NamesRecord(GroupWritingCrm):
        async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
            answers = await super().upsert(pushes)
            if len(self.requests) == 1:
                answers[2] = Rejected(code="named")
            return answers

    crm = NamesRecord({0})
    outcomes = await outcomes_of(crm, PUSHES[:4])
    assert outcomes[2] == Rejected(code="named")
    assert crm.requests == [[0, 1, 2, 3], [0], [1, 3]]


async def test_a_part_with_a_rejected_record_does_not_prove_the_other_part_bad() -> None:
    requests: list[list[int]] = []

    async def upsert(pushes: Sequence[Push]) -> list[Outcome]:
        requests.append([index_of(push.call.id) for push in pushes])
        if len(requests) == 1:
            return [Split()] * 4
        return [Rejected(code="named") if n == 1 else Delivered() for n in requests[-1]]

    outcomes: dict[str, Outcome] = {}
    await push_bisecting(upsert, PUSHES[:4], outcomes)
    assert requests == [[0, 1, 2, 3], [0, 1], [2, 3]]
    assert list(outcomes.values()) == [Delivered(), Rejected(code="named"), Delivered(), Delivered()]


# --- outcomes without bisecting -------------------------------------------------------------------


class Fixed:
    """Gives one outcome for each record of any batch."""

    def __init__(self, answer: Outcome) -> None:
        self.answer = answer
        self.requests = 0

    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        self.requests += 1
        return [self.answer] * len(pushes)


@pytest.mark.parametrize(
    "answer",
    [
        Retry(code="503", message="down", after=7),
        Throttled(code="429", after=3),
        Unauthorised(code="401"),
        Misconfigured(code="42P01"),
        Unknown(code="timeout"),
        Rejected(code="22P05"),
        Delivered(remote_id="r"),
    ],
    ids=lambda answer: answer.name,
)
@pytest.mark.parametrize("size", [1, 2, 100])
async def test_other_outcomes_are_returned_after_one_request(answer: Outcome, size: int) -> None:
    crm = Fixed(answer)
    outcomes: dict[str, Outcome] = {}
    await push_bisecting(crm.upsert, PUSHES[:size], outcomes)
    assert outcomes == {push.call.id: answer for push in PUSHES[:size]}
    assert crm.requests == 1


@pytest.mark.parametrize("size", [1, 2, 7, 50])
async def test_a_single_record_that_fails_with_split_is_retried_later(size: int) -> None:
    outcomes: dict[str, Outcome] = {}
    await push_bisecting(Fixed(Split(code="500", message="oops")).upsert, PUSHES[:size], outcomes)
    assert outcomes == {push.call.id: Retry(code="500", message="oops") for push in PUSHES[:size]}


# --- an attempt that is interrupted ---------------------------------------------------------------


class Interrupted(GroupWritingCrm):
    """Fails at the given request, or never answers it."""

    def __init__(self, bad: Collection[int], *, at: int, fault: BaseException | None) -> None:
        super().__init__(bad)
        self._at = at
        self._fault = fault

    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        if len(self.requests) + 1 == self._at:
            if self._fault is None:
                await asyncio.Event().wait()
            else:
                raise self._fault
        return await super().upsert(pushes)


async def test_outcomes_before_an_exception_are_kept() -> None:
    outcomes: dict[str, Outcome] = {}
    crm = Interrupted({0}, at=5, fault=RuntimeError("a fault of the client"))
    with pytest.raises(RuntimeError):
        await push_bisecting(crm.upsert, PUSHES[:4], outcomes)
    assert outcomes == {
        "cloudtalk-0": Rejected(code="22P05"),
        "cloudtalk-1": Delivered(remote_id="r1"),
        "cloudtalk-2": Unknown(code="unanswered"),
        "cloudtalk-3": Unknown(code="unanswered"),
    }


async def test_outcomes_before_a_timeout_are_kept() -> None:
    outcomes: dict[str, Outcome] = {}
    crm = Interrupted({3}, at=3, fault=None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await push_bisecting(crm.upsert, PUSHES[:4], outcomes)
    assert outcomes == {
        "cloudtalk-0": Delivered(remote_id="r0"),
        "cloudtalk-1": Delivered(remote_id="r1"),
        "cloudtalk-2": Unknown(code="unanswered"),
    }, "a call that was not tried has no outcome"


async def test_after_a_run_of_rejections_the_other_records_are_not_tried() -> None:
    crm = GroupWritingCrm(range(100))
    outcomes = await outcomes_of(crm, PUSHES)
    assert list(outcomes.values()) == [Rejected(code="22P05")] * 20
    assert len(crm.requests) < 50


@pytest.mark.parametrize(
    ("codes", "tried"), [(["a"] * 25, 20), (["a"] * 19 + ["b"] * 2, 21), (["b"] + ["a"] * 25, 21)]
)
async def test_only_rejections_with_one_code_stop_the_push(codes: list[str], tried: int) -> None:
    """The CRM rejects one record after the other, since it refuses to write several at once."""
    rejected: list[str] = []

    async def upsert(pushes: Sequence[Push]) -> list[Outcome]:
        if len(pushes) > 1:
            return [Split() for _ in pushes]
        rejected.append(codes[len(rejected)])
        return [Rejected(code=rejected[-1])]

    outcomes: dict[str, Outcome] = {}
    await push_bisecting(upsert, PUSHES[: len(codes)], outcomes)
    assert len(outcomes) == tried


async def test_rejections_beside_a_delivery_do_not_stop_the_push() -> None:
    crm = GroupWritingCrm(set(range(100)) - {0})
    outcomes = await outcomes_of(crm, PUSHES)
    assert len(outcomes) == 100


@pytest.mark.parametrize("outcome", [Throttled(), Unauthorised(), Misconfigured()], ids=lambda o: o.name)
async def test_a_failure_of_the_destination_stops_the_push(outcome: Outcome) -> None:
    requests: list[int] = []

    async def upsert(pushes: Sequence[Push]) -> list[Outcome]:
        requests.append(len(pushes))
        return [Split() if len(requests) == 1 else outcome for _ in pushes]

    outcomes: dict[str, Outcome] = {}
    await push_bisecting(upsert, PUSHES[:8], outcomes)
    assert requests == [8, 4]
    assert list(outcomes.values()) == [outcome] * 4
