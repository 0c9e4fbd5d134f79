"""A follow-up task: its properties in HubSpot, and whether somebody has changed it.

Source: HubSpot's guide "Tasks". `hs_timestamp` is the due time. `hs_task_completion_date` is the time of
completion once the task is completed.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from crm_clients.follow_up import FollowUpRules
from crm_clients.follow_up_tasks import MissedOnce, TaskState, digest
from crm_clients.hubspot.associations import TASK_TO_CONTACT, association_type
from crm_clients.hubspot.call_records import OWNER, TIMESTAMP, customer_label
from crm_clients.hubspot.languages import Texts
from crm_clients.hubspot.responses import JsonObject, Record
from crm_clients.hubspot.settings import TASK_ID
from crm_clients.hubspot.text import html_to_text, sections_to_html
from relay.call import Call
from relay.standards.intervals import format_interval

SUBJECT, BODY, STATUS = "hs_task_subject", "hs_task_body", "hs_task_status"
COMPLETED_AT: Final = "hs_task_completion_date"
COMPLETED: Final = "COMPLETED"
_PRIORITY: Final = "hs_task_priority"
_HIGH, _MEDIUM = "HIGH", "MEDIUM"

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


class TaskFormat(msgspec.Struct, frozen=True):
    """How a team wants its tasks. `constants`: properties that every task gets."""

    timezone: ZoneInfo
    texts: Texts
    constants: Mapping[str, str]
    rules: FollowUpRules = FollowUpRules()


# --- properties ---------------------------------------------------------------------------------


def task_id(key: str, round_: int) -> str:
    """Return the unique property of a task. `round_`: 1 for the first task of a customer and day."""
    return key if round_ == 1 else f"{key}:{round_}"


def create_input(key: str, missed: MissedCall, state: TaskState, format_: TaskFormat) -> JsonObject:
    """Build the input that creates the task and its associations with the contacts."""
    return {
        "objectWriteTraceId": key,
        "associations": [
            {"to": {"id": id_}, "types": [association_type(TASK_TO_CONTACT)]} for id_ in missed.contact_ids
        ],
        "properties": {TASK_ID: key, **initial_properties(missed, state, format_)},
    }


def complete_input(key: str, task: Record, remark_text: str, texts: Texts) -> JsonObject:
    """Build the input that completes the task and adds a remark to its body, see `completion_remark`.

    HubSpot: only inputs with an `objectWriteTraceId` can fail singly.
    """
    remark = sections_to_html([("CloudTalk", remark_text)], texts)
    body = task.properties.get(BODY, "") + remark
    return update_input(key, task.id, {STATUS: COMPLETED, BODY: body})


def update_input(key: str, id_: str, properties: Mapping[str, str]) -> JsonObject:
    """Build the input that writes these properties of a task."""
    return {"id": id_, "objectWriteTraceId": key, "properties": dict(properties)}


def completion_remark(state: TaskState, calls: Iterable[Call], texts: Texts) -> str:
    """Say why none of the missed calls of this task needs a call back any more."""
    wait = state.wait(calls)
    if wait is None:
        return texts.task_completed
    text = texts.called_back_by if wait.agent else texts.called_back
    return text.format(after=format_interval(wait.seconds), agent=wait.agent)


def initial_properties(missed: MissedCall, state: TaskState, format_: TaskFormat) -> dict[str, str]:
    """Return the properties of a new task."""
    first = min(each.local_time(format_.timezone) for each in state.shown_calls())
    properties = {
        TIMESTAMP: str(int(format_.rules.due_at(first).timestamp() * 1000)),
        SUBJECT: format_.texts.task_subject.format(customer=customer_label(missed.call, format_.texts)),
        STATUS: "NOT_STARTED",
        "hs_task_type": "CALL",
        **_properties_of_calls(state, missed.call, format_),
    }
    owner = {OWNER: missed.owner_ids[0]} if missed.owner_ids else {}
    return {**properties, **owner, **format_.constants}


def changed_properties(state: TaskState, call: Call, format_: TaskFormat) -> dict[str, str]:
    """Return the text and the priority that the task should have, if they differ from what the relay wrote.

    `call`: one of this customer.
    """
    if not state.shown_calls():
        return {}
    wanted = {
        name: value
        for name, value in _properties_of_calls(state, call, format_).items()
        if name not in format_.constants
    }
    return {n: value for n, value in wanted.items() if state.digests.get(n) != digest(_normalized(n, value))}


def _properties_of_calls(state: TaskState, call: Call, format_: TaskFormat) -> dict[str, str]:
    """Repeated calls raise the priority."""
    return {
        BODY: _format_body(state.shown_calls(), call, format_),
        _PRIORITY: _HIGH if state.is_often() else _MEDIUM,
    }


def _format_body(missed: Sequence[MissedOnce], call: Call, format_: TaskFormat) -> str:
    lines = [
        _format_single(missed[0], call, format_) if len(missed) == 1 else _format_many(missed, call, format_)
    ]
    if numbers := list(dict.fromkeys(each.called for each in missed if each.called)):
        lines.append(format_.texts.called_number.format(number=", ".join(numbers)))
    return sections_to_html([("CloudTalk", "\n".join(lines))], format_.texts)


def _format_single(missed: MissedOnce, call: Call, format_: TaskFormat) -> str:
    texts = format_.texts
    return texts.task_body.format(
        kind=texts.voicemail if missed.voicemail else texts.missed_call,
        time=f"{missed.local_time(format_.timezone):%Y-%m-%d %H:%M}",
        timezone=format_.timezone.key,
        customer=customer_label(call, texts),
    )


def _format_many(missed: Sequence[MissedOnce], call: Call, format_: TaskFormat) -> str:
    """Calls of one day that share a task have a number. Their names may differ."""
    texts = format_.texts
    times = [
        f"{each.local_time(format_.timezone):%H:%M}"
        + (f" ({texts.voicemail.lower()})" if each.voicemail else "")
        for each in missed
    ]
    return texts.task_body_many.format(
        count=len(missed),
        day=f"{missed[0].local_time(format_.timezone):%Y-%m-%d}",
        timezone=format_.timezone.key,
        customer=call.external_number,
        times=", ".join(times),
    )


# --- has somebody changed the task? -------------------------------------------------------------


def initial_digests(missed: MissedCall, state: TaskState, format_: TaskFormat) -> dict[str, str]:
    """Return the digests of the task as it is created for these calls."""
    return digests_of(initial_properties(missed, state, format_))


def digests_of(properties: Mapping[str, str]) -> dict[str, str]:
    """Return a digest of each of the EDITABLE_PROPERTIES; one that is absent is empty."""
    return {n: digest(_normalized(n, properties.get(n, ""))) for n in EDITABLE_PROPERTIES}


def is_unchanged(task: Record, digests: Mapping[str, str]) -> bool:
    """Whether nobody has changed the EDITABLE_PROPERTIES of the task."""
    return digests_of(task.properties) == digests


def unchanged_properties(task: Record, digests: Mapping[str, str]) -> set[str]:
    """Return the EDITABLE_PROPERTIES that nobody has changed."""
    return {name for name, value in digests_of(task.properties).items() if digests.get(name) == value}


def completed_at(task: Record) -> float | None:
    """Return when the task was completed, in Unix seconds; None if it is not known."""
    text = _to_milliseconds(task.properties.get(COMPLETED_AT, ""))
    return int(text) / 1000 if text.isdigit() else None


def _normalized(name: str, value: str) -> str:
    if name == BODY:
        return html_to_text(value)
    return _to_milliseconds(value) if name == TIMESTAMP else value


def _to_milliseconds(time: str) -> str:
    """HubSpot accepts milliseconds, and answers in ISO 8601."""
    try:
        return time if time.isdigit() else str(int(datetime.fromisoformat(time).timestamp() * 1000))
    except ValueError:
        return time
