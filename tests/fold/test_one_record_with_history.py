"""Webhooks and rows of the history in any order: one record for each call, none poorer than before."""

from datetime import UTC, datetime
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.call import CallEvent, Kind
from relay.cloudtalk.history import parse_history_row
from relay.cloudtalk.parser import Parser
from relay.instants import SECOND, Instant
from relay.simulator import SimulatedCall, generate_calls
from tests.fold.test_one_record import (
    ID,
    UUID,
    event,
    fold_to_record,
    parse_messages,
    shuffle_with_duplicates,
    without,
)
from tests.support.folding import parser_in
from tests.support.history import make_row
from tests.support.memory_ledger import MemoryLedger
from tests.support.samples import T0

_MISSION: Final = "other:mission-7"
_BY_ARRIVAL: Final = {"tags", "cloudtalk_data"}
"""The last edit to arrive counts, and so does the last value of a key of the data."""


def time_of(instant: int) -> str:
    return datetime.fromtimestamp(instant / SECOND, UTC).isoformat()


def row_of(talking: int, direction: str, **cdr: Any) -> dict[str, Any]:
    """The row of a call that began at `T0` and ended 20 seconds after its conversation."""
    is_answered = talking > 0
    facts = {
        "type": "incoming" if direction == "inbound" else "outgoing",
        "public_external": "+34612345678",
        "public_internal": None,
        "billsec": talking + 20,
        "talking_time": talking,
        "waiting_time": "10",
        "wrapup_time": 0,
        "started_at": time_of(T0),
        "answered_at": time_of(T0 + 10 * SECOND) if is_answered else None,
        "ended_at": time_of(T0 + (talking + 20) * SECOND),
        "user_id": "7" if is_answered else None,
        "Agent": {"id": "7", "fullname": "Ana"} if is_answered else None,
        "CallNumber": None,
    }
    return make_row(ID.removeprefix("id:"), **facts | cdr)


@st.composite
def webhooks_and_rows(draw: st.DrawFn) -> tuple[list[CallEvent], list[CallEvent]]:
    """The webhooks of one call, with its ids stated as one customer's account does, and its rows."""
    first_ids, last_ids, dialect = draw(
        st.sampled_from(
            [
                ((UUID,), (UUID,), "workflow"),
                ((UUID,), (UUID, ID), "signed"),
                ((UUID,), (ID,), "workflow"),
                ((ID,), (ID,), "workflow"),
                ((_MISSION,), (_MISSION,), "flow"),
            ]
        )
    )
    talking = draw(st.sampled_from([0, 1, 200]))
    direction = draw(st.sampled_from(["inbound", "outbound"]))
    common: dict[str, Any] = {"external_number": "+34612345678", "direction": direction, "started_at": T0}
    ended_at = T0 + (talking + 20) * SECOND
    webhooks = [
        event(Kind.STARTED, first_ids, dialect, T0, common),
        event(Kind.RINGING, first_ids, dialect, Instant(T0 + SECOND), {"agent_id": "6"}),
    ]
    if talking:
        answered_at = Instant(T0 + 10 * SECOND)
        webhooks.append(event(Kind.ANSWERED, first_ids, dialect, answered_at, {"agent_id": "7"}))
    outcome = {"talking": talking, "ended_at": ended_at, "waiting": 9}
    webhooks.append(event(Kind.ENDED, last_ids, dialect, Instant(ended_at), common | outcome))
    recording = {"recording_url": "https://example.test/1.wav"}
    webhooks.append(event(Kind.RECORDING, last_ids, dialect, Instant(ended_at + SECOND), recording))
    kept = draw(st.lists(st.sampled_from(webhooks[1:]), unique_by=id))
    rows = [
        parse_history_row(parser_in(), row_of(talking, direction, Tags=[{"name": f"t{number}"}])).event
        for number in range(draw(st.integers(1, 3)))
    ]
    return [webhooks[0], *kept], rows


@given(webhooks_and_rows(), st.randoms(use_true_random=False), st.booleans(), st.booleans())
@settings(max_examples=3 * settings().max_examples, deadline=None)
def test_webhooks_and_rows_of_a_call_are_one_record_in_any_order(
    call: tuple[list[CallEvent], list[CallEvent]], random: Random, ends_grace: bool, delivers: bool
) -> None:
    webhooks, rows = call
    expected = fold_to_record(webhooks + rows, Random(0), ends_grace=False, delivers=False)
    mixed = shuffle_with_duplicates(webhooks + rows, random)
    record = fold_to_record(mixed, random, ends_grace=ends_grace, delivers=delivers)
    assert without(record, _BY_ARRIVAL) == without(expected, _BY_ARRIVAL)
    assert record["tags"] == next(each for each in mixed[::-1] if each.is_from_history).fact("tags")


@given(st.data(), st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=2 * settings().max_examples, deadline=None)
def test_number_and_time_link_a_row_whichever_events_state_them(
    data: st.DataObject, random: Random, delivers: bool
) -> None:
    """Of the number and of the start or the end, each is stated by some of the events, or by one alone."""
    number: dict[str, Any] = {"external_number": "+34612345678", "direction": "inbound"}
    times: list[dict[str, Any]] = [{"started_at": T0}, {"ended_at": T0 + 20 * SECOND}]
    time = data.draw(st.sampled_from(times))
    count = data.draw(st.integers(1, 4))
    has_number = data.draw(st.lists(st.booleans(), min_size=count, max_size=count).filter(any))
    has_time = data.draw(st.lists(st.booleans(), min_size=count, max_size=count).filter(any))
    # Only an Ended states the end.
    kinds = [Kind.ENDED] * 4 if "ended_at" in time else [Kind.RINGING, Kind.ANSWERED, Kind.UPDATE, Kind.ENDED]
    id_ = data.draw(st.sampled_from([UUID, _MISSION]))
    webhooks = [
        event(kinds[n], (id_,), "flow", Instant(T0 + n), (number if a else {}) | (time if b else {}))
        for n, (a, b) in enumerate(zip(has_number, has_time, strict=True))
    ]
    row = parse_history_row(parser_in(), row_of(0, "inbound")).event
    mixed = shuffle_with_duplicates([*webhooks, row], random)
    record = fold_to_record(mixed, random, ends_grace=False, delivers=delivers)
    assert record["call_id"] == ID.removeprefix("id:")


@given(webhooks_and_rows(), st.integers(0, 30))
@settings(deadline=None)
def test_a_row_makes_no_record_poorer(call: tuple[list[CallEvent], list[CallEvent]], wrapup: int) -> None:
    """A row that states as little as possible: what the webhooks stated stays."""
    webhooks, _ = call
    talking = next((each.fact("talking") for each in webhooks if each.fact("talking") is not None), 0)
    ledger = MemoryLedger()
    ledger.fold_each(*webhooks)
    ledger.end_grace()
    before = [msgspec.to_builtins(row.record) for row in ledger.live_rows]
    poor = row_of(talking, webhooks[0].fact("direction"), user_id=None, Agent=None, Contact=None)
    poor |= {"Notes": [], "Tags": None, "Cdr": poor["Cdr"] | {"waiting_time": None, "wrapup_time": wrapup}}
    ledger.fold_each(parse_history_row(parser_in(), poor).event)
    after = msgspec.to_builtins(ledger.only_row.record)
    for record in before:
        known = {field for field, value in record.items() if value not in (None, "", [], {}, False)}
        assert {field for field in known if after[field] in (None, "", [], {})} == set()


# --- legs -------------------------------------------------------------------------------------------


@given(st.integers(2, 5), st.randoms(use_true_random=False), st.booleans(), st.booleans())
@settings(max_examples=2 * settings().max_examples, deadline=None)
def test_the_rows_of_a_transferred_call_are_one_record_in_any_order(
    count: int, random: Random, has_webhook: bool, delivers: bool
) -> None:
    events = [] if not has_webhook else [_started()]
    for number in range(count):
        at = T0 + number * 300 * SECOND
        row = row_of(5 + number, "inbound", user_id=str(10 + number), Agent=None)
        row["Cdr"] |= {
            "id": 100 + number,
            "started_at": time_of(at),
            "answered_at": time_of(at + SECOND),
            "ended_at": time_of(at + (6 + number) * SECOND),
            random.choice(["transferred_from", "redirected_from"]): random.randrange(100, 100 + number)
            if number
            else "0",
        }
        events.append(parse_history_row(parser_in(), row).event)
    mixed = shuffle_with_duplicates(events, random)
    record = fold_to_record(mixed, random, ends_grace=False, delivers=delivers)
    assert [leg["agent_id"] for leg in record["legs"]] == [str(10 + number) for number in range(count)]
    assert [leg["talking_seconds"] for leg in record["legs"]] == [5 + number for number in range(count)]
    assert (record["agent_id"], record["talking_seconds"]) == (str(9 + count), 4 + count)
    assert (record["call_id"], record["call_uuid"]) == ("100", UUID[5:] if has_webhook else None)


def _started() -> CallEvent:
    common = {"external_number": "+34612345678", "direction": "inbound", "started_at": T0}
    return event(Kind.STARTED, (UUID,), "workflow", T0, common)


# --- bodies, as a simulated CloudTalk sends them ------------------------------------------------------

NOW: Final = datetime(2026, 9, 26, 15, tzinfo=UTC)
_EDITED: Final = {"tags", "notes", "contact_id", "contact_name", "cloudtalk_data"}


def row_of_simulated(call: SimulatedCall, number: int) -> dict[str, Any]:
    """The row of a call that is over."""
    expected = call.expected
    talking = 5 if expected["status"] == "completed" else 0  # the mission states none
    return make_row(
        expected["call_id"] if (expected.get("call_id") or "").isdigit() else 7_000_000 + number,
        type={"inbound": "incoming", "outbound": "outgoing"}.get(expected["direction"], "internal"),
        public_external=expected["external_number"],
        public_internal=expected["internal_number"],
        billsec=expected["duration_seconds"],
        talking_time=expected.get("talking_seconds", talking),
        waiting_time=expected.get("waiting_seconds"),
        wrapup_time=expected.get("wrapup_seconds"),
        is_voicemail=expected["status"] == "voicemail",
        started_at=expected["started_at"],
        answered_at=None,
        ended_at=expected["ended_at"],
        user_id=expected.get("agent_id"),
        Agent={
            "id": expected.get("agent_id"),
            "fullname": expected.get("agent_name"),
            "email": expected.get("agent_email"),
        },
        Contact={"id": expected["contact_id"], "name": expected["contact_name"]},
        Notes=[],
        Tags=[],
    )


@pytest.mark.parametrize("dialect", ["mission", "workflow", "flow", "signed", "mixed"])
def test_bodies_of_every_dialect_and_rows_in_any_order_give_one_record(dialect: str) -> None:
    random = Random(dialect)
    parser = Parser(ZoneInfo("Europe/Madrid"), "ES")
    calls = generate_calls(120, 12, NOW, dialect=dialect)
    over = [call for call in calls if call.expected["ended_at"] is not None]
    assert len(over) > 50
    for number, call in enumerate(over):
        row = parse_history_row(parser, row_of_simulated(call, number)).event
        events = [*parse_messages(call, parser), row]
        mixed = shuffle_with_duplicates(events, random)
        ends_grace, delivers = random.random() < 0.5, random.random() < 0.5
        record = fold_to_record(mixed, random, ends_grace=ends_grace, delivers=delivers)
        simulated = without(call.expected_in_any_order(), _EDITED | {"id"})
        if not str(simulated["call_id"]).isdigit():
            simulated["call_id"] = row.fact("call_id")  # the id of the mission stays that of the record
        assert len(record["legs"]) == len({leg["agent_id"] for leg in record["legs"]})
        assert simulated == {field: record[field] for field in simulated}
