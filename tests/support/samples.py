"""Calls and events as tests need them: whole, and about nothing in particular."""

from typing import Any, Final

import msgspec

from relay.call import Call, CallEvent, CallState, Kind, build_record, state_from_event
from relay.ledger.calls import CallRow
from relay.ledger.journal import NewEvent

RECEIVED_AT: Final = 1_800_000_000_000_000
"""Microseconds since 1970 UTC."""

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
"""Ids that a careless statement would read as something else."""


def event_of(name: str = "1", **facts: Any) -> CallEvent:
    """A started call of this name."""
    return CallEvent(
        Kind.STARTED, "mission", name, (f"id:{name}",), None, facts, {"id": name}, single_id=True
    )


_FACT_BY_NAMESPACE: Final = {"uuid": "call_uuid", "id": "call_id", "other": "call_id"}


def event_with_ids(
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


def event_row(raw: bytes = b"{}", *, at: int = 0, name: str = "1", **changes: Any) -> NewEvent:
    """An event that came `at` microseconds after the first; `changes` of any other column."""
    row = NewEvent(
        RECEIVED_AT + at, "application/json", "/cloudtalk/webhook", "a=1&b=%20", raw, event_of(name)
    )
    return msgspec.structs.replace(row, **changes)


def state_at(seq: int = 1, name: str = "1", **facts: Any) -> CallState:
    """What this one event comes to."""
    return state_from_event(event_of(name, **facts), seq=seq, received_at=RECEIVED_AT + seq)


def call_at(version: int = 1, id: str = "cloudtalk-1", **facts: Any) -> Call:  # noqa: A002 - the record's own word
    """A record in this version."""
    return build_record(state_at(**facts), id=id, version=version)


def call_row(id: str = "cloudtalk-1", version: int = 1, **facts: Any) -> CallRow:  # noqa: A002 - see above
    """A call as the ledger keeps it, all of its fields changed in its version."""
    record = call_at(version, id, **facts)
    return CallRow(id, version, RECEIVED_AT, state_at(**facts), record, dict.fromkeys(facts, version))
