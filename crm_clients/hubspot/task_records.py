"""A follow-up task as HubSpot's properties. Pure.

Source: HubSpot's guide "Tasks". `hs_timestamp` is when it is due.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from crm_clients.hubspot.api import Said
from crm_clients.hubspot.calls import OWNER, TIMESTAMP, moment_of, who
from crm_clients.hubspot.links import TASK_TO_CONTACT, type_of
from crm_clients.hubspot.settings import TASK_ID
from crm_clients.hubspot.text import plain, titled
from relay.call import Call, Status

SUBJECT, BODY, STATUS = "hs_task_subject", "hs_task_body", "hs_task_status"
_PRIORITY: Final = "hs_task_priority"

TOUCHABLE: Final = (STATUS, SUBJECT, BODY, TIMESTAMP, _PRIORITY, OWNER)
"""What people change in a task that is theirs."""

_OPEN: Final = "NOT_STARTED"
_REMARK: Final = "Nobody needs to call back any more: the call was answered after all."


class Missed(msgspec.Struct, frozen=True):
    """A call that somebody should call back, with the record id of its contact.

    `owners`: the ids of those who may be asked to, the likeliest first.
    """

    call: Call
    contact: str = ""
    owners: tuple[str, ...] = ()


def key_of(call: Call, zone: ZoneInfo) -> str:
    """What names a task: the number and the day of the call; a call without number has one of its own."""
    return f"{call.external_number}:{_local(call, zone):%Y-%m-%d}" if call.external_number else call.id


def _local(call: Call, zone: ZoneInfo) -> datetime:
    return (moment_of(call) or datetime.now(zone)).astimezone(zone)


def input_of(key: str, missed: Missed, zone: ZoneInfo) -> Said:
    """The input that creates it, linked to the contact."""
    contact = {"to": {"id": missed.contact}, "types": [type_of(TASK_TO_CONTACT)]}
    return {
        "objectWriteTraceId": key,
        "associations": [contact] if missed.contact else [],
        "properties": {TASK_ID: key, **_properties(missed, zone)},
    }


def _properties(missed: Missed, zone: ZoneInfo) -> dict[str, str]:
    """What it says at first: due on the day of the call."""
    subject, body = _texts(missed.call, zone)
    due = _local(missed.call, zone).replace(hour=23, minute=59, second=0, microsecond=0)
    properties = {
        TIMESTAMP: str(int(due.timestamp() * 1000)),
        SUBJECT: subject,
        BODY: body,
        STATUS: _OPEN,
        _PRIORITY: "HIGH",
        "hs_task_type": "CALL",
    }
    return properties | ({OWNER: missed.owners[0]} if missed.owners else {})


def _texts(call: Call, zone: ZoneInfo) -> tuple[str, str]:
    """Subject and body."""
    what = "Voicemail" if call.status is Status.VOICEMAIL else "Missed call"
    at = f"{_local(call, zone):%Y-%m-%d %H:%M}"
    lines = [f"{what} on {at} ({zone.key}) from {who(call)}."]
    if call.internal_number:
        lines.append(f"They called {call.internal_number}.")
    return f"Call back {who(call)}", titled([("CloudTalk", "\n".join(lines))])


def digest_of(missed: Missed, zone: ZoneInfo) -> str:
    """Of what the task for this call says at first."""
    return _digest(_properties(missed, zone))


def _digest(said: Mapping[str, Any]) -> str:
    """Enough to see whether somebody has changed a task, without remembering what it says."""
    seen = {name: str(said.get(name) or "") for name in TOUCHABLE}
    seen |= {BODY: plain(seen[BODY]), TIMESTAMP: _milliseconds(seen[TIMESTAMP])}
    return hashlib.sha256("\n".join(seen.values()).encode()).hexdigest()


def _milliseconds(moment: str) -> str:
    """HubSpot takes a time in milliseconds and says it in ISO 8601."""
    try:
        return moment if moment.isdigit() else str(int(datetime.fromisoformat(moment).timestamp() * 1000))
    except ValueError:
        return moment


def is_untouched(task: Said, digest: str) -> bool:
    """Whether nobody has begun with it, written into it, put it off or passed it on."""
    return _digest(task.get("properties") or {}) == digest


def completed(task: Said) -> Said:
    """The input that completes it, and says why."""
    body = str((task.get("properties") or {}).get(BODY) or "")
    return {
        "id": str(task["id"]),
        "properties": {STATUS: "COMPLETED", BODY: body + titled([("CloudTalk", _REMARK)])},
    }
