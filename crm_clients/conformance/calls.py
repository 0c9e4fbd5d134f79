"""Calls as the kit pushes them."""

from typing import Any, Final

import msgspec

from crm_clients.base import Outcome, Push, Retraction
from relay.call import DELIVERED_FIELDS, Call, Status

ID: Final = "cloudtalk-1"
CUSTOMER: Final = "+34612345678"
ALL: Final = frozenset(DELIVERED_FIELDS)

ODD_IDS: Final = (
    "cloudtalk-it's",
    'cloudtalk-"quoted"',
    "cloudtalk-a,b(c)",
    "cloudtalk-'; DROP TABLE calls; --",
    "cloudtalk-\\",
    "cloudtalk-%_*?&=#/",
    "cloudtalk-ñandú 漢字 🎉",
    "cloudtalk-e\u0301",
    "cloudtalk-" + "x" * 190,
    "cloudtalk-null",
)
"""Ids that a careless address, filter or statement would read as something else."""

ODD_TEXTS: Final = {
    "quotes": 'it\'s "quoted" and `ticked` \\',
    "lines": "one\r\ntwo\n\tthree",
    "emoji": "Begoña Íñiguez 漢字 🎉👩‍👩‍👧 שלום",
    "html": '<script>alert("1")</script> <b>bold</b> &amp; <!-- ',
    "formula": "=HYPERLINK(A1)",
    "template": "{{call.id}} ${x} %s {0}",
    "null": "a\x00b",
    "long": "x" * 200,
}
"""Texts as people type them; of `null` the CRM may drop the null character alone."""


def call(id: str = ID, version: int = 1, /, **fields: Any) -> Call:  # noqa: A002 - the record's own word
    """A finished inbound call of which everything is known."""
    return msgspec.structs.replace(_CALL, id=id, version=version, **fields)


def push(call: Call, *changed: str, outcome: Outcome | None = None) -> Push:
    """A first delivery; with what `changed` and what the last one came back as, a later one."""
    remote_id = getattr(outcome, "remote_id", None)
    if outcome is None:
        return Push(call, ALL, first=True)
    return Push(call, frozenset(changed), first=False, remote_id=remote_id)


def retraction(call: Call, into: str | None = None, outcome: Outcome | None = None) -> Retraction:
    """The record of a call that went into another one or, without `into`, is none of the CRM's."""
    gone = msgspec.structs.replace(call, version=call.version + 1, merged_into=into)
    return Retraction(gone, getattr(outcome, "remote_id", None))


_CALL: Final = Call(
    id=ID,
    call_id="1002402487",
    call_uuid="44fe27cd-5268-4670-993e-0129aabbccdd",
    direction="inbound",
    status=Status.COMPLETED,
    from_=CUSTOMER,
    to="+34910000001",
    external_number=CUSTOMER,
    internal_number="+34910000001",
    contact_id="77",
    contact_name="Ana Ruiz",
    agent_id="5",
    agent_name="Luis Gil",
    agent_email="luis@team.example",
    started_at="2026-01-12T09:00:00Z",
    answered_at="2026-01-12T09:00:05Z",
    ended_at="2026-01-12T09:02:05Z",
    response_seconds=5,
    duration_seconds=125,
    talking_seconds=120,
    waiting_seconds=5,
    wrapup_seconds=10,
    recording_url="https://my.cloudtalk.io/pub/r/MTAwMjQwMjQ4Nw/aa.wav",
    tags=["vip"],
    notes="Wants an offer",
    transcript=None,
    summary=None,
    follow_up=False,
    version=1,
    cloudtalk_data={"call_id": 1002402487},
)
