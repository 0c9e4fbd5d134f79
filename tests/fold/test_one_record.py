"""Whatever mixture of ids, duplicates, orders and batches: one call gives one record, always the same."""

import os
from datetime import UTC, datetime
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.call import CallEvent, Kind
from relay.cloudtalk.dialects import DIALECTS
from relay.cloudtalk.parser import Parser, RawRequest
from relay.instants import SECOND
from relay.simulator import SimulatedCall, generate_calls
from tests.support.worlds import T0, MemoryWorld

EXAMPLES = int(os.environ.get("ONE_RECORD_EXAMPLES", "2000"))
UUID, ID = "uuid:44fe27cd-5268-4670-993e-0129aabbccdd", "id:1002402487"
BOTH = (UUID, ID)
_NEEDS_BOTH = (BOTH,)
_EITHER = ((UUID,), (ID,), BOTH)
SOURCE_RANKS = {dialect.name: dialect.source_rank for dialect in DIALECTS}
_NOT_TIMED = {"answered_at", "response_seconds"}


def event(
    kind: Kind, aliases: tuple[str, ...], dialect: str, occurred_at: int | None, facts: dict[str, Any]
) -> CallEvent:
    ids = {"call_uuid": UUID[5:]} if UUID in aliases else {}
    ids |= {"call_id": ID[3:]} if ID in aliases else {}
    name = (UUID if UUID in aliases else ID).partition(":")[2]
    return CallEvent(
        kind,
        dialect,
        name,
        aliases,
        occurred_at,
        ids | facts,
        {k: str(v) for k, v in facts.items()},
        source_rank=SOURCE_RANKS[dialect],
    )


@st.composite
def calls(draw: st.DrawFn) -> list[CallEvent]:
    """The events of one call in their order, each with a time of its own; one at least links both ids."""
    answered, recorded = draw(st.booleans()), draw(st.booleans())
    talking = draw(st.integers(1, 300)) if answered else 0
    common = {"external_number": "+34612345678", "direction": draw(st.sampled_from(["inbound", "outbound"]))}
    ended_at = T0 + (talking + 20) * SECOND
    outcome = {"talking": talking, "ended_at": ended_at, "waiting": draw(st.integers(0, 20))}

    def one(kind: Kind, at: int, which: tuple[tuple[str, ...], ...] = _EITHER, **facts: Any) -> CallEvent:
        dialect = draw(st.sampled_from(["workflow", "flow", "signed"]))
        return event(kind, draw(st.sampled_from(which)), dialect, at, facts)

    told = [one(Kind.STARTED, T0, ((UUID,), BOTH), started_at=T0, **common)]
    rung = draw(st.integers(0, 2))
    told += [one(Kind.RINGING, T0 + (1 + number) * SECOND, agent_id=str(number)) for number in range(rung)]
    if answered:
        told.append(one(Kind.ANSWERED, T0 + 10 * SECOND, agent_id="7", agent_name="Ana"))
    told.append(one(Kind.ENDED, ended_at, _NEEDS_BOTH, started_at=T0, **common, **outcome))
    if recorded:
        url = "https://my.cloudtalk.io/pub/r/MTAwMjQwMjQ4Nw/aa.wav"
        told.append(one(Kind.RECORDING, ended_at + SECOND, ((ID,), BOTH), recording_url=url))
        told.append(one(Kind.TRANSCRIPT, ended_at + 2 * SECOND, ((ID,), BOTH), transcript="hola"))
    edits = draw(st.integers(0, 3))
    told += [one(Kind.MODIFIED, ended_at + (3 + n) * SECOND, tags=[f"t{n}"]) for n in range(edits)]
    return told


def record_of(events: list[CallEvent], random: Random, *, grace_ends: bool, delivers: bool) -> dict[str, Any]:
    """Fold them in batches of any size; what waits may run out of patience in between."""
    world = MemoryWorld()
    arrived = world.arrive(events)
    while arrived:
        size = random.randint(1, len(arrived))
        batch, arrived = arrived[:size], arrived[size:]
        world.fold(batch)
        if delivers:
            world.deliver()
        if grace_ends and random.random() < 0.3:
            world.end_grace()
    world.end_grace()
    (row,) = world.living
    assert set(world.owners.values()) == {row.id}
    shown = msgspec.to_builtins(row.record)
    return {field: value for field, value in shown.items() if field not in {"id", "version"} | _NOT_TIMED}


@given(calls(), st.randoms(use_true_random=False), st.booleans(), st.booleans())
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_mixture_of_one_call_gives_the_record_of_the_ordered_sequence(
    told: list[CallEvent], random: Random, grace_ends: bool, delivers: bool
) -> None:
    expected = record_of(told, Random(0), grace_ends=False, delivers=False)
    mixed = told + random.choices(told, k=random.randint(0, len(told)))
    random.shuffle(mixed)
    assert record_of(mixed, random, grace_ends=grace_ends, delivers=delivers) == expected


# --- the same over bodies, as a simulated CloudTalk sends them ------------------------------------------

BODIES = int(os.environ.get("ONE_RECORD_CALLS", "2000"))
NOW = datetime(2026, 9, 26, 15, tzinfo=UTC)
_BY_ARRIVAL = {"tags", "cloudtalk_data"} | _NOT_TIMED
"""What an event without a time says last, it says last by its arrival."""


def readings_of(call: SimulatedCall, reader: Parser) -> list[CallEvent]:
    """The events in a call's messages, in their order; what is none is left out, as intake does."""
    readings: list[CallEvent] = []
    for message in call.messages:
        path = f"/cloudtalk/webhook/{message.path}".rstrip("/")
        raw = msgspec.json.encode(message.body)
        received = RawRequest(raw, "application/json", path, message.query, message_id=message.id)
        found = reader.read(received)
        readings += found if isinstance(found, list) else []
    return readings


@pytest.mark.parametrize("dialect", ["workflow", "flow", "signed", "mixed"])
def test_bodies_of_every_dialect_in_any_order_give_the_one_record(dialect: str) -> None:
    random = Random(dialect)
    reader = Parser(ZoneInfo("Europe/Madrid"), "ES")
    for call in generate_calls(BODIES // 4, 11, NOW, dialect=dialect):
        readings = readings_of(call, reader)
        ordered = record_of(readings, Random(0), grace_ends=False, delivers=False)
        mixed = readings + random.choices(readings, k=random.randint(0, len(readings)))
        random.shuffle(mixed)
        ends, delivers = random.random() < 0.5, random.random() < 0.5
        record = record_of(mixed, random, grace_ends=ends, delivers=delivers)
        told = {field: value for field, value in record.items() if field not in _BY_ARRIVAL}
        assert told == {field: value for field, value in ordered.items() if field not in _BY_ARRIVAL}
        foretold = call.expected_in_any_order()
        assert foretold == {field: record[field] for field in foretold}
