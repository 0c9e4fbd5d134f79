"""Any mixture of ids, duplicates, orders and batches of a call's events gives one and the same record."""

import os
from datetime import UTC, datetime
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.call import CallEvent, Kind
from relay.cloudtalk.parser import Parser
from relay.cloudtalk.request import RawRequest
from relay.instants import SECOND, Instant
from relay.simulator import SimulatedCall, generate_calls
from tests.support.memory_ledger import MemoryLedger
from tests.support.samples import T0

EXAMPLES: Final = int(os.environ.get("ONE_RECORD_EXAMPLES", "2000"))
UUID, ID = "uuid:44fe27cd-5268-4670-993e-0129aabbccdd", "id:1002402487"
BOTH = (UUID, ID)
_BOTH_ONLY = (BOTH,)
_ANY_IDS = ((UUID,), (ID,), BOTH)
_SOURCE_RANKS: Final = {"workflow": 2, "flow": 2, "signed": 3}
_BY_FIRST_ARRIVAL: Final = {"answered_at", "response_seconds"}


def event(
    kind: Kind, aliases: tuple[str, ...], dialect: str, occurred_at: Instant, facts: dict[str, Any]
) -> CallEvent:
    ids = {"call_uuid": UUID[5:]} if UUID in aliases else {}
    ids |= {"call_id": ID[3:]} if ID in aliases else {}
    name = (UUID if UUID in aliases else ID).partition(":")[2]
    data = {key: str(value) for key, value in facts.items()}
    rank = _SOURCE_RANKS[dialect]
    return CallEvent(kind, dialect, name, aliases, occurred_at, ids | facts, data, source_rank=rank)


@st.composite
def events_of_a_call(draw: st.DrawFn) -> list[CallEvent]:
    """The events of one call in their order, each with a time of its own; at least one links both ids."""
    answered, recorded = draw(st.booleans()), draw(st.booleans())
    talking = draw(st.integers(1, 300)) if answered else 0
    common = {"external_number": "+34612345678", "direction": draw(st.sampled_from(["inbound", "outbound"]))}
    ended_at = T0 + (talking + 20) * SECOND
    outcome = {"talking": talking, "ended_at": ended_at, "waiting": draw(st.integers(0, 20))}

    def draw_event(
        kind: Kind, at: int, ids: tuple[tuple[str, ...], ...] = _ANY_IDS, **facts: Any
    ) -> CallEvent:
        dialect = draw(st.sampled_from(list(_SOURCE_RANKS)))
        return event(kind, draw(st.sampled_from(ids)), dialect, Instant(at), facts)

    events = [draw_event(Kind.STARTED, T0, ((UUID,), BOTH), started_at=T0, **common)]
    ringing = draw(st.integers(0, 2))
    events += [draw_event(Kind.RINGING, T0 + (1 + n) * SECOND, agent_id=str(n)) for n in range(ringing)]
    if answered:
        events.append(draw_event(Kind.ANSWERED, T0 + 10 * SECOND, agent_id="7", agent_name="Ana"))
    events.append(draw_event(Kind.ENDED, ended_at, _BOTH_ONLY, started_at=T0, **common, **outcome))
    if recorded:
        url = "https://my.cloudtalk.io/pub/r/MTAwMjQwMjQ4Nw/aa.wav"
        events.append(draw_event(Kind.RECORDING, ended_at + SECOND, ((ID,), BOTH), recording_url=url))
        events.append(draw_event(Kind.TRANSCRIPT, ended_at + 2 * SECOND, ((ID,), BOTH), transcript="hola"))
    edits = draw(st.integers(0, 3))
    events += [draw_event(Kind.MODIFIED, ended_at + (3 + n) * SECOND, tags=[f"t{n}"]) for n in range(edits)]
    return events


def fold_to_record(
    events: list[CallEvent], random: Random, *, ends_grace: bool, delivers: bool
) -> dict[str, Any]:
    """Fold the events in batches of random size and return the record.

    `ends_grace`: the grace period of waiting events may end between two batches.
    `delivers`: a CRM has received every call after each batch.
    """
    ledger = MemoryLedger()
    unfolded = ledger.append(events)
    while unfolded:
        size = random.randint(1, len(unfolded))
        batch, unfolded = unfolded[:size], unfolded[size:]
        ledger.fold(batch)
        if delivers:
            ledger.deliver_all()
        if ends_grace and random.random() < 0.3:
            ledger.end_grace()
    ledger.end_grace()
    row = ledger.only_row
    assert set(ledger.owners.values()) == {row.id}
    record = msgspec.to_builtins(row.record)
    return without(record, {"id", "version"} | _BY_FIRST_ARRIVAL)


def without(record: dict[str, Any], fields: set[str]) -> dict[str, Any]:
    return {field: value for field, value in record.items() if field not in fields}


def shuffle_with_duplicates(events: list[CallEvent], random: Random) -> list[CallEvent]:
    mixed = events + random.choices(events, k=random.randint(0, len(events)))
    random.shuffle(mixed)
    return mixed


@given(events_of_a_call(), st.randoms(use_true_random=False), st.booleans(), st.booleans())
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_mixture_of_the_events_gives_the_record_of_the_ordered_events(
    events: list[CallEvent], random: Random, ends_grace: bool, delivers: bool
) -> None:
    expected = fold_to_record(events, Random(0), ends_grace=False, delivers=False)
    mixed = shuffle_with_duplicates(events, random)
    assert fold_to_record(mixed, random, ends_grace=ends_grace, delivers=delivers) == expected


# --- the same with bodies, as a simulated CloudTalk sends them -----------------------------------------

BODIES: Final = int(os.environ.get("ONE_RECORD_CALLS", "2000"))
NOW: Final = datetime(2026, 9, 26, 15, tzinfo=UTC)
_BY_LAST_ARRIVAL: Final = {"tags", "cloudtalk_data"} | _BY_FIRST_ARRIVAL
"""Fields that events without a time of their own set too: the last to arrive wins."""


def parse_messages(call: SimulatedCall, parser: Parser) -> list[CallEvent]:
    """The events in a call's messages, in their order."""
    events: list[CallEvent] = []
    for message in call.messages:
        path = f"/cloudtalk/webhook/{message.path}".rstrip("/")
        raw = msgspec.json.encode(message.body)
        request = RawRequest(raw, "application/json", path, message.query, message_id=message.id)
        parsed = parser.parse(request)
        events += parsed if isinstance(parsed, list) else []
    return events


@pytest.mark.parametrize("dialect", ["workflow", "flow", "signed", "mixed"])
def test_bodies_of_every_dialect_in_any_order_give_one_record(dialect: str) -> None:
    random = Random(dialect)
    parser = Parser(ZoneInfo("Europe/Madrid"), "ES")
    for call in generate_calls(BODIES // 4, 11, NOW, dialect=dialect):
        events = parse_messages(call, parser)
        expected = fold_to_record(events, Random(0), ends_grace=False, delivers=False)
        mixed = shuffle_with_duplicates(events, random)
        ends_grace, delivers = random.random() < 0.5, random.random() < 0.5
        record = fold_to_record(mixed, random, ends_grace=ends_grace, delivers=delivers)
        assert without(record, _BY_LAST_ARRIVAL) == without(expected, _BY_LAST_ARRIVAL)
        simulated = call.expected_in_any_order()
        assert simulated == {field: record[field] for field in simulated}
