"""Calls and pushes for the tests of Supabase."""

from collections.abc import Sequence
from typing import Any

import msgspec

from crm_clients.base import Outcome, Push
from relay.call import DELIVERED_FIELDS, Call, Status

BASE = Call(
    id="cloudtalk-1",
    call_id="1",
    call_uuid=None,
    direction="inbound",
    status=Status.MISSED,
    from_="+34600000001",
    to="+34910000000",
    external_number="+34600000001",
    internal_number="+34910000000",
    contact_id=None,
    contact_name="Zoë Ñandú 🎉",
    agent_id=None,
    agent_name=None,
    agent_email=None,
    started_at="2024-01-15T10:00:00Z",
    answered_at=None,
    ended_at="2024-01-15T10:01:01.250Z",
    response_seconds=None,
    duration_seconds=61,
    talking_seconds=0,
    waiting_seconds=None,
    wrapup_seconds=None,
    recording_url=None,
    tags=["vip", "niño"],
    notes='line one\nline two \\ "quoted" \\u0000',
    transcript=None,
    summary=None,
    follow_up=True,
    version=1,
    cloudtalk_data={"id": 1, "nested": {"ключ": [None, True, 1.5]}},
)


def call(id: str = "cloudtalk-1", **changes: Any) -> Call:  # noqa: A002 - the field's name
    return msgspec.structs.replace(BASE, id=id, **changes)


def push(this: Call, *changed: str) -> Push:
    """A first delivery; if fields are named, a later delivery with these changes."""
    return Push(this, frozenset(changed or DELIVERED_FIELDS), first=not changed)


def lookup(of: Push) -> Push:
    """The push by which a replay reads a record: nothing is compared."""
    return msgspec.structs.replace(of, changed=frozenset())


def types_of(outcomes: Sequence[Outcome]) -> list[type[Outcome]]:
    return [type(outcome) for outcome in outcomes]
