"""Calls, pushes and retractions for the tests of the kit."""

from typing import Any, Final

import msgspec

from crm_clients.base import Delivered, Outcome, Push, Retraction
from relay.call import DELIVERED_FIELDS, Call, Status, minimal_call

ID: Final = "cloudtalk-1"
CUSTOMER: Final = "+34612345678"
_ALL_FIELDS: Final = frozenset(DELIVERED_FIELDS)

UNUSUAL_IDS: Final = (
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
"""Ids with characters that URLs, filters and SQL must escape."""

UNUSUAL_TEXTS: Final = {
    "quotes": 'it\'s "quoted" and `ticked` \\',
    "lines": "one\r\ntwo\n\tthree",
    "emoji": "Begoña Íñiguez 漢字 🎉👩‍👩‍👧 שלום",
    "html": '<script>alert("1")</script> <b>bold</b> &amp; <!-- ',
    "formula": "=HYPERLINK(A1)",
    "template": "{{call.id}} ${x} %s {0}",
    "null": "a\x00b",
    "long": "x" * 200,
}
"""Texts that a CRM must store unchanged, except that it may remove the null character of `null`."""


def call(id: str = ID, version: int = 1, /, **fields: Any) -> Call:  # noqa: A002 - the field's name
    """Return a finished inbound call with all fields known."""
    return msgspec.structs.replace(_CALL, id=id, version=version, **fields)


def first_push(call: Call) -> Push:
    """Return the first push of a call, with all fields."""
    return Push(call, _ALL_FIELDS, first=True)


def partial_push(call: Call, *known: str) -> Push:
    """Return the first push of a call of which only these fields are known: its record may exist."""
    return Push(call, frozenset(known), first=True, partial=True)


def later_push(call: Call, *changed: str, last: Outcome) -> Push:
    """Return a push of these changed fields, after a delivery with the outcome `last`."""
    return Push(call, frozenset(changed), first=False, remote_id=getattr(last, "remote_id", None))


def lookup(call: Call, last: Outcome | None = None, *, compared: bool = True) -> Push:
    """Return the push by which the relay reads a call, with all fields if they are to be `compared`."""
    fields = DELIVERED_FIELDS if compared else ()
    return later_push(call, *fields, last=last or Delivered())


def sparse_call(id: str) -> Call:  # noqa: A002 - the field's name
    """Return a call of which hardly anything is known."""
    return minimal_call(id, version=1, of=_CALL, fields=frozenset({"call_id", "direction"}))


def retraction(call: Call, into: str | None = None, last: Outcome | None = None) -> Retraction:
    """Return the retraction of a call that was merged `into` another one, or that must be deleted."""
    retracted = msgspec.structs.replace(call, version=call.version + 1, merged_into=into)
    return Retraction(retracted, getattr(last, "remote_id", None))


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
