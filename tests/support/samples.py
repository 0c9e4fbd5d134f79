"""Events, states, records and rows for tests that do not care about their content."""

from functools import reduce
from typing import Any, Final

import msgspec

from relay.call import Call, CallEvent, CallState, Kind, build_record, join, state_from_event
from relay.instants import SECOND, Instant
from relay.ledger.calls import CallRow
from relay.ledger.journal import NewEvent

T0: Final = Instant(1_732_789_800 * SECOND)  # 2024-11-28T10:30:00Z
RECEIVED_AT: Final = Instant(1_800_000_000 * SECOND)

ODD_IDS: Final = [
    "it's",
    '"',
    "'; DROP TABLE calls; --",
    "\\",
    "a\nb\tc",
    "ñandú 漢字 🎉 \u2028",
    "e\u0301",  # not the same text as é
    "x" * 200,
    '{"a": [1]}',
    "[1,2]",
    "null",
    "true",
    "007",
    "1e5",
    "9" * 40,
    " ",
    "%",
    "_",
    "$[0]",
    "?",
    ":rows",
]
"""Ids that SQL or JSON would misread if they were not bound or encoded properly."""


def make_event(
    kind: Kind = Kind.STARTED,
    occurred_at: int | None = None,
    data: dict[str, Any] | None = None,
    *,
    name: str = "1",
    **facts: Any,
) -> CallEvent:
    """An event in the dialect of the mission, with the alias `id:{name}`."""
    return CallEvent(
        kind,
        "mission",
        name,
        (f"id:{name}",),
        None if occurred_at is None else Instant(occurred_at),
        facts,
        {"id": name} if data is None else data,
        source_rank=1,
        single_id=True,
    )


_FACT_BY_NAMESPACE: Final = {"uuid": "call_uuid", "id": "call_id", "other": "call_id"}


def make_event_with_ids(
    kind: Kind, *aliases: str, dialect: str = "workflow", data: dict[str, Any] | None = None, **facts: Any
) -> CallEvent:
    """An event with these aliases and the facts that follow from them."""
    ids = {
        _FACT_BY_NAMESPACE[namespace]: id_
        for namespace, _, id_ in (alias.partition(":") for alias in aliases)
    }
    name = aliases[0].partition(":")[2]
    return CallEvent(
        kind,
        dialect,
        name,
        aliases,
        facts.get("started_at"),
        ids | facts,
        data or {},
        single_id=dialect == "mission",
    )


def join_events(*events: CallEvent, received_at: int = RECEIVED_AT) -> CallState:
    """Join these events, which arrive a microsecond apart, the first at `received_at` + 1."""
    return reduce(
        join,
        (
            state_from_event(event, seq=seq, received_at=Instant(received_at + seq))
            for seq, event in enumerate(events, 1)
        ),
    )


def make_event_row(raw: bytes = b"{}", *, at: int = 0, name: str = "1", **changes: Any) -> NewEvent:
    """An event that arrives `at` microseconds after `RECEIVED_AT`; `changes` replace any other field."""
    row = NewEvent(
        Instant(RECEIVED_AT + at),
        "application/json",
        "/cloudtalk/webhook",
        "a=1&b=%20",
        raw,
        make_event(name=name),
    )
    return msgspec.structs.replace(row, **changes)


def make_state(seq: int = 1, name: str = "1", **facts: Any) -> CallState:
    """The state of a call with one Started, which has these facts."""
    event = make_event(name=name, **facts)
    return state_from_event(event, seq=seq, received_at=Instant(RECEIVED_AT + seq))


def make_call(version: int = 1, id: str = "cloudtalk-1", **facts: Any) -> Call:  # noqa: A002 - the field's name
    """The record of a call with one Started, which has these facts."""
    return build_record(make_state(**facts), id=id, version=version)


def make_call_row(id: str = "cloudtalk-1", version: int = 1, **facts: Any) -> CallRow:  # noqa: A002 - see above
    """The row of a call with one Started; its facts changed in this version."""
    record = make_call(version, id, **facts)
    return CallRow(id, version, RECEIVED_AT, make_state(**facts), record, dict.fromkeys(facts, version))
