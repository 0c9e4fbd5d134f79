"""The state of a follow-up task that missed calls of one customer and day share."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_clients.follow_up import FollowUpRules
from crm_clients.follow_up_tasks import (
    DELETED,
    CallBackDelay,
    MissedOnce,
    TaskState,
    TaskStates,
    missed_by_id,
    task_key,
)
from crm_clients.state import InMemoryClientState
from relay.call import Call, Status
from tests.support.hubspot import missed_call

MADRID = ZoneInfo("Europe/Madrid")
RULES = FollowUpRules()
NOON = datetime(2026, 11, 24, 12, tzinfo=MADRID)
NEW = TaskState("", [])


def at(minutes: int) -> str:
    return f"{NOON + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%S%z}"


def call(name: str, minutes: int, *, called_back: int | None = None, **fields: Any) -> Call:
    """A missed call so many minutes after noon."""
    back = {} if called_back is None else {"follow_up": False, "called_back_at": at(called_back)}
    return missed_call(name, started_at=at(minutes), **back | fields)


def join(state: TaskState, *calls: Call, closed_at: float | None = None, closed: bool = False) -> TaskState:
    return state.join(missed_by_id(calls, RULES), closed=closed, closed_at=closed_at)


def existing(*calls: Call) -> TaskState:
    return msgspec.structs.replace(join(NEW, *calls), id="7")


def minutes_shown(state: TaskState) -> list[int]:
    return [int((each.local_time(MADRID) - NOON).total_seconds()) // 60 for each in state.shown_calls()]


@pytest.mark.parametrize(
    ("of", "key"),
    [
        (missed_call(), "+34600111222:2026-11-24"),
        (missed_call(started_at="2026-11-24T22:59:59Z"), "+34600111222:2026-11-24"),
        (missed_call(started_at="2026-11-24T23:00:00Z"), "+34600111222:2026-11-25"),
        (missed_call(external_number=None), "cloudtalk-1"),
        (missed_call(external_number="101"), "cloudtalk-1"),
    ],
)
def test_the_key_of_a_task_is_number_and_day_in_the_teams_time_zone_or_the_call(of: Call, key: str) -> None:
    assert task_key(of, MADRID, RULES) == key


def test_a_call_without_times_has_its_task_today() -> None:
    rules = FollowUpRules(now=lambda: NOON)
    timeless = missed_call(started_at=None, ended_at=None)
    assert task_key(timeless, MADRID, rules) == "+34600111222:2026-11-24"


def test_one_call_is_not_often_and_two_are() -> None:
    state = join(NEW, call("a", 0))
    assert (state.calls, state.is_often(), minutes_shown(state)) == (["a"], False, [0])
    twice = join(state, call("b", -30))
    assert (twice.calls, twice.is_often(), minutes_shown(twice)) == (["a", "b"], True, [-30, 0])
    assert join(twice, call("a", 0)) == twice


def test_a_task_knows_what_each_call_was() -> None:
    state = join(NEW, call("a", 0, status=Status.VOICEMAIL, internal_number=None))
    assert state.missed == {"a": MissedOnce(int(NOON.timestamp()), voicemail=True)}


@given(st.permutations(range(4)))
def test_the_order_of_arrival_does_not_matter(order: list[int]) -> None:
    calls = [call(f"{n}", n * 10) for n in range(4)]
    states = existing(calls[order[0]])
    for n in order[1:]:
        states = join(states, calls[n])
    assert minutes_shown(states) == [0, 10, 20, 30]
    back = [call(f"{n}", n * 10, called_back=45) for n in range(4)]
    for place, n in enumerate(order):
        states = states.settle([back[n]])
        assert len(states.calls) == 3 - place
        assert minutes_shown(states) == [0, 10, 20, 30], "the text says how often they called"
    assert states.wait(back) == CallBackDelay(45 * 60, None)


def test_a_call_that_was_called_back_before_the_next_one_is_done_with() -> None:
    state = existing(call("a", 0), call("b", 20))
    later = state.settle([call("a", 0, called_back=10)])
    assert (later.calls, minutes_shown(later), later.is_often()) == (["b"], [20], False)
    done = [call("b", 20, called_back=25, called_back_by="Ana")]
    assert later.settle(done).wait(done) == CallBackDelay(5 * 60, "Ana")


def test_a_call_that_proves_answered_is_not_counted() -> None:
    state = existing(call("a", 0), call("b", 20))
    answered = call("a", 0, status=Status.COMPLETED, follow_up=False)
    assert minutes_shown(state.settle([answered])) == [20]
    both = state.settle([answered, call("b", 20, status=Status.COMPLETED, follow_up=False)])
    assert (both.calls, both.wait([])) == ([], None)


@pytest.mark.parametrize("seconds_after", [1.0, None])
def test_a_call_after_a_person_closed_the_task_begins_a_round(seconds_after: float | None) -> None:
    closed_at = None if seconds_after is None else NOON.timestamp() + 600 - seconds_after
    state = join(existing(call("a", 0)), call("b", 10), closed=True, closed_at=closed_at)
    assert (state.id, state.round, state.calls, minutes_shown(state)) == ("", 2, ["b"], [10])
    again = join(msgspec.structs.replace(state, id="8"), call("a", 0), call("c", 15))
    assert (again.id, again.calls, minutes_shown(again)) == ("8", ["b", "c"], [10, 15])


@pytest.mark.parametrize("closed_at", [NOON.timestamp() + 600, NOON.timestamp() + 900, DELETED])
def test_a_call_from_before_a_person_closed_the_task_needs_none(closed_at: float) -> None:
    state = join(existing(call("a", 0)), call("b", 10), closed=True, closed_at=closed_at)
    assert (state.id, state.round, state.calls) == ("7", 1, ["a"])
    assert "b" in state.missed


def test_after_the_relay_completed_the_task_each_call_begins_a_round() -> None:
    done = existing(call("a", 0)).settle([call("a", 0, called_back=5)])
    completed = msgspec.structs.replace(done, completed=True)
    assert (join(completed, call("b", 10)).round, join(completed, call("b", 10)).calls) == (2, ["b"])
    # The conversation proved to be with somebody else.
    assert (join(completed, call("a", 0)).round, join(completed, call("a", 0)).calls) == (2, ["a"])


@pytest.mark.parametrize(
    ("change", "calls", "missed"),
    [
        (lambda state: state.forget({"a", "z"}), ["b"], {"b"}),
        (lambda state: state.replace_call("a", "z"), ["z", "b"], {"z", "b"}),
        (lambda state: state.replace_call("a", "b"), ["b"], {"b"}),
        (lambda state: state.replace_call("z", "y"), ["a", "b"], {"a", "b"}),
    ],
)
def test_calls_are_forgotten_and_merged(
    change: Callable[[TaskState], TaskState], calls: list[str], missed: set[str]
) -> None:
    changed = change(existing(call("a", 0), call("b", 10)))
    assert (changed.calls, set(changed.missed)) == (calls, missed)


def test_a_call_that_was_called_back_stays_so_when_another_one_becomes_part_of_it() -> None:
    state = existing(call("a", 0), call("b", 10)).settle([call("b", 10, called_back=15)])
    merged = state.replace_call("a", "b")
    assert (merged.calls, merged.missed) == ([], {"b": state.missed["b"]})


async def test_the_state_of_a_task_is_kept_by_its_key() -> None:
    state = InMemoryClientState()
    states = TaskStates(state)
    key, other = "+34600111222:2026-11-24", "+34600999888:2026-11-24"
    stored = {key: existing(call("a", 0)), other: TaskState("8", [])}
    await states.set_many(stored)
    assert state.entries.keys() == {f"task:{key}", f"task:{other}"}
    assert await states.get_many([key, other, "never"]) == stored
    await states.delete_many([key])
    assert await states.get_many([key, other]) == {other: TaskState("8", [])}
    assert state.entries.keys() == {f"task:{other}"}
