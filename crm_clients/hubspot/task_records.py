"""A follow-up task: its properties in HubSpot, and its entry in the client state.

Source: HubSpot's guide "Tasks". `hs_timestamp` is the due time.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from crm_clients.base import ClientState
from crm_clients.hubspot.associations import TASK_TO_CONTACT, association_type
from crm_clients.hubspot.call_records import OWNER, TIMESTAMP, call_time, customer_label, missed_kind
from crm_clients.hubspot.languages import Texts
from crm_clients.hubspot.responses import JsonObject, Record
from crm_clients.hubspot.settings import TASK_ID
from crm_clients.hubspot.text import html_to_text, sections_to_html
from relay.call import Call, seconds_to_call_back
from relay.standards.intervals import format_interval
from relay.standards.phones import is_dialable

SUBJECT, BODY, STATUS = "hs_task_subject", "hs_task_body", "hs_task_status"
_PRIORITY: Final = "hs_task_priority"

EDITABLE_PROPERTIES: Final = (STATUS, SUBJECT, BODY, TIMESTAMP, _PRIORITY, OWNER)
"""What people change when they work on a task."""


class MissedCall(msgspec.Struct, frozen=True):
    """A call that needs a task.

    `contact_ids`: the record ids of the customer's contacts. `owner_ids`: the possible owners of the task,
    the preferred one first.
    """

    call: Call
    contact_ids: tuple[str, ...] = ()
    owner_ids: tuple[str, ...] = ()


# --- properties ---------------------------------------------------------------------------------


def task_key(call: Call, timezone: ZoneInfo) -> str:
    """Return the unique property of a task: number and day of the call, or the call's id.

    People who cannot be called back do not share a task, since nothing shows that they are one person.
    """
    if not is_dialable(call.external_number):
        return call.id
    return f"{call.external_number}:{_local(call, timezone):%Y-%m-%d}"


def _local(call: Call, timezone: ZoneInfo) -> datetime:
    return (call_time(call) or datetime.now(timezone)).astimezone(timezone)


class TaskFormat(msgspec.Struct, frozen=True):
    """How a team wants its tasks. `constants`: properties that every task gets."""

    timezone: ZoneInfo
    texts: Texts
    constants: Mapping[str, str]


def create_input(key: str, missed: MissedCall, format_: TaskFormat) -> JsonObject:
    """Build the input that creates the task and its associations with the contacts."""
    return {
        "objectWriteTraceId": key,
        "associations": [
            {"to": {"id": id_}, "types": [association_type(TASK_TO_CONTACT)]} for id_ in missed.contact_ids
        ],
        "properties": {TASK_ID: key, **_initial_properties(missed, format_)},
    }


def complete_input(key: str, task: Record, remark_text: str, texts: Texts) -> JsonObject:
    """Build the input that completes the task and adds a remark to its body, see `completion_remark`.

    HubSpot: only inputs with an `objectWriteTraceId` can fail singly.
    """
    remark = sections_to_html([("CloudTalk", remark_text)], texts)
    body = task.properties.get(BODY, "") + remark
    properties = {STATUS: "COMPLETED", BODY: body}
    return {"id": task.id, "objectWriteTraceId": key, "properties": properties}


def completion_remark(calls: Iterable[Call], texts: Texts) -> str:
    """Say why none of these missed calls needs a call back any more. The longest wait counts."""
    waits = [(seconds, call) for call in calls if (seconds := seconds_to_call_back(call)) is not None]
    if not waits:
        return texts.task_completed
    seconds, call = max(waits, key=lambda wait: wait[0])
    text = texts.called_back_by if call.called_back_by else texts.called_back
    return text.format(after=format_interval(seconds), agent=call.called_back_by)


def _initial_properties(missed: MissedCall, format_: TaskFormat) -> dict[str, str]:
    """The task is due at the end of the day of the call."""
    due = _local(missed.call, format_.timezone).replace(hour=23, minute=59, second=0, microsecond=0)
    properties = {
        TIMESTAMP: str(int(due.timestamp() * 1000)),
        SUBJECT: format_.texts.task_subject.format(customer=customer_label(missed.call, format_.texts)),
        BODY: _initial_body(missed.call, format_),
        STATUS: "NOT_STARTED",
        _PRIORITY: "HIGH",
        "hs_task_type": "CALL",
    }
    owner = {OWNER: missed.owner_ids[0]} if missed.owner_ids else {}
    return {**properties, **owner, **format_.constants}


def _initial_body(call: Call, format_: TaskFormat) -> str:
    texts = format_.texts
    first_line = texts.task_body.format(
        kind=missed_kind(call, texts) or texts.missed_call,
        time=f"{_local(call, format_.timezone):%Y-%m-%d %H:%M}",
        timezone=format_.timezone.key,
        customer=customer_label(call, texts),
    )
    lines = [first_line]
    if call.internal_number:
        lines.append(texts.called_number.format(number=call.internal_number))
    return sections_to_html([("CloudTalk", "\n".join(lines))], texts)


# --- digest: has somebody changed the task? -----------------------------------------------------


def initial_digest(missed: MissedCall, format_: TaskFormat) -> str:
    """Return the digest of the task as it is created for this call."""
    return _digest(_initial_properties(missed, format_))


def is_unchanged(task: Record, digest: str) -> bool:
    """Whether nobody has changed the EDITABLE_PROPERTIES of the task."""
    return _digest(task.properties) == digest


def _digest(properties: Mapping[str, str]) -> str:
    """SHA-256: it shows a change, and keeps no text of the task in the client state."""
    values = {name: properties.get(name, "") for name in EDITABLE_PROPERTIES}
    values |= {BODY: html_to_text(values[BODY]), TIMESTAMP: _to_milliseconds(values[TIMESTAMP])}
    return hashlib.sha256("\n".join(values.values()).encode()).hexdigest()


def _to_milliseconds(time: str) -> str:
    """HubSpot accepts milliseconds, and answers in ISO 8601."""
    try:
        return time if time.isdigit() else str(int(datetime.fromisoformat(time).timestamp() * 1000))
    except ValueError:
        return time


# --- client state -------------------------------------------------------------------------------


class TaskState(msgspec.Struct, frozen=True):
    """A task's record id, the ids of the calls that it is for, and its digest when it was created."""

    id: str
    calls: list[str]
    digest: str = ""

    def with_calls(self, call_ids: Collection[str]) -> "TaskState":
        return msgspec.structs.replace(self, calls=list(dict.fromkeys([*self.calls, *call_ids])))

    def without_calls(self, call_ids: Collection[str]) -> "TaskState":
        return msgspec.structs.replace(self, calls=[id_ for id_ in self.calls if id_ not in call_ids])

    def with_call_replaced(self, call_id: str, new_id: str) -> "TaskState":
        calls = [new_id if id_ == call_id else id_ for id_ in self.calls]
        return msgspec.structs.replace(self, calls=list(dict.fromkeys(calls)))


class TaskStates:
    """Task states in the client state, by task key. A key contains the customer's number."""

    def __init__(self, state: ClientState) -> None:
        self._state = state

    async def get_many(self, keys: Collection[str]) -> dict[str, TaskState]:
        """Return the stored states; a task that the relay did not create has none."""
        names = {_state_key(key): key for key in keys}
        stored = await self._state.get_many(names)
        return {names[name]: msgspec.json.decode(text, type=TaskState) for name, text in stored.items()}

    async def set_many(self, states: Mapping[str, TaskState]) -> None:
        encoded = {_state_key(key): msgspec.json.encode(state).decode() for key, state in states.items()}
        await self._state.set_many(encoded)

    async def delete_many(self, keys: Collection[str]) -> None:
        await self._state.set_many({_state_key(key): None for key in keys})


def _state_key(key: str) -> str:
    return f"task:{key}"
