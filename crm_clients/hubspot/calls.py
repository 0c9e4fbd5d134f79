"""A call as HubSpot's properties. Pure.

Sources: HubSpot's guide "Calls" and, for the dispositions, the ids that every account has. All values
are texts; times are Unix milliseconds, durations milliseconds.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, Final

from crm_clients.base import Push
from crm_clients.hubspot.settings import CALL_ID, HubSpotSettings
from crm_clients.hubspot.text import clean, short, text_of, titled
from relay.call import DELIVERED_FIELDS, FIELDS, Call, Status

BODY: Final = "hs_call_body"
TIMESTAMP: Final = "hs_timestamp"
OWNER: Final = "hubspot_owner_id"

DEFAULTS: Final = {
    "direction": "hs_call_direction",
    "status": "hs_call_status",
    "from": "hs_call_from_number",
    "to": "hs_call_to_number",
    "duration_seconds": "hs_call_duration",
    "recording_url": "hs_call_recording_url",
    "agent_email": OWNER,
    "summary": BODY,
    "notes": BODY,
    "tags": BODY,
    "transcript": BODY,
}
"""Where fields go, unless the settings say otherwise."""

_HEADINGS: Final = {"summary": "Summary", "notes": "Notes", "tags": "Tags", "transcript": "Transcript"}
_ATTRIBUTES: Final = dict(zip(FIELDS, Call.__struct_fields__, strict=True))
_STATE: Final = "state"

_CONNECTED: Final = "f240bbac-87c9-4f6e-bf70-924b57d47db7"
_NO_ANSWER: Final = "73a0d17f-1163-4015-bdd5-ec830791da20"
_LEFT_VOICEMAIL: Final = "b2cf5968-551e-4856-9783-52b3da59a7d0"

_STATUSES: Final = {
    Status.IN_PROGRESS: "IN_PROGRESS",
    Status.ANSWERED: "IN_PROGRESS",
    Status.COMPLETED: "COMPLETED",
    Status.MISSED: "NO_ANSWER",
    Status.VOICEMAIL: "NO_ANSWER",
    Status.NO_ANSWER: "NO_ANSWER",
}
_DISPOSITIONS: Final = {
    Status.COMPLETED: _CONNECTED,
    Status.MISSED: _NO_ANSWER,
    Status.VOICEMAIL: _LEFT_VOICEMAIL,
    Status.NO_ANSWER: _NO_ANSWER,
}
"""How a call went; one that goes on has no such thing yet."""

_DIRECTIONS: Final = {"inbound": "INBOUND", "outbound": "OUTBOUND", "internal": "OUTBOUND"}
_SPOKEN: Final = {Status.MISSED: "Missed call", Status.VOICEMAIL: "Voicemail"}

_TIMES: Final = frozenset({"started_at", "answered_at", "ended_at"})
_TITLE: Final = frozenset({"direction", "status", "external_number", "contact_name"})

Properties = dict[str, str]


def input_of(push: Push, settings: HubSpotSettings, *, owner: str, now: datetime) -> dict[str, Any] | None:
    """One input of a batch upsert; None where nothing has changed that HubSpot shows.

    `owner`: the id of the agent's owner, "" where there is none. `now` stands for the time of a call
    that has none, as HubSpot requires one. `objectWriteTraceId` makes HubSpot say which record failed.
    """
    properties = properties_of(push, settings, owner=owner, now=now)
    if not properties and push.remote_id and not push.first:
        return None
    id_ = push.call.id
    return {
        "id": id_,
        "idProperty": CALL_ID,
        "objectWriteTraceId": id_,
        "properties": {CALL_ID: id_, **properties},
    }


def properties_of(push: Push, settings: HubSpotSettings, *, owner: str, now: datetime) -> Properties:
    """What has changed. An empty text clears; at the first delivery there is nothing to clear."""
    call, changed = push.call, push.changed
    names = settings.remote_names(DEFAULTS)
    said = _fixed(call, changed, first=push.first, now=now)
    for field, name in names.items():
        if name != BODY and (field in changed or (field == _STATE and "status" in changed)):
            said[name] = _value(call, field, name, settings, owner)
    body = [field for field, name in names.items() if name == BODY]
    if changed.intersection(body) or ("recording_url" in changed and "recording_url" in names):
        said[BODY] = _body(call, body, recording="recording_url" in names)
    if push.first:
        said |= {name: text_of(value) for name, value in settings.constants.items()}
        return {name: value for name, value in said.items() if value}
    return {name: value for name, value in said.items() if value or name != OWNER}


def _fixed(call: Call, changed: Collection[str], *, first: bool, now: datetime) -> Properties:
    """What goes nowhere else, whatever the settings say."""
    said: Properties = {}
    moment = moment_of(call)
    if first or (moment and not _TIMES.isdisjoint(changed)):
        said[TIMESTAMP] = str(int((moment or now).timestamp() * 1000))
    if not _TITLE.isdisjoint(changed):
        said["hs_call_title"] = title_of(call)
    if "status" in changed:
        said["hs_call_disposition"] = _DISPOSITIONS.get(call.status, "")
    if first:
        said["hs_call_source"] = "INTEGRATIONS_PLATFORM"
    return said


def moment_of(call: Call) -> datetime | None:
    """When the call began, else the earliest that is known of it."""
    if call.started_at:
        return datetime.fromisoformat(call.started_at)
    known = [datetime.fromisoformat(time) for time in (call.answered_at, call.ended_at) if time]
    return min(known, default=None)


def title_of(call: Call) -> str:
    """As "Missed call from Ana Ruiz (+34600111222)"."""
    spoken = _SPOKEN.get(call.status) or f"{(call.direction or '').capitalize()} call".strip().capitalize()
    towards = "from" if call.direction == "inbound" else "to" if call.direction == "outbound" else "with"
    return clean(f"{spoken} {towards} {who(call)}")


def who(call: Call) -> str:
    """The customer, by name and number, as far as they are known."""
    name, number = short(call.contact_name or ""), call.external_number
    return f"{name} ({number})" if name and number else name or number or "an unknown number"


def _value(call: Call, field: str, name: str, settings: HubSpotSettings, owner: str) -> str:
    """HubSpot's own property has HubSpot's own words, one of the team's the field as it is."""
    if DEFAULTS.get(field) == name:
        return _OWN[field](call, owner)
    if field == "status":
        return settings.label(call.status)
    return text_of(call.status.value if field == _STATE else getattr(call, _ATTRIBUTES[field]))


def _milliseconds(seconds: int | None) -> str:
    return "" if seconds is None else str(seconds * 1000)


def _playable(url: str | None) -> str:
    """HubSpot: a recording is played from an https address only."""
    return clean(url) if url and url.startswith("https://") else ""


_OWN: Final[Mapping[str, Callable[[Call, str], str]]] = {
    "direction": lambda call, _: _DIRECTIONS.get(call.direction or "", ""),
    "status": lambda call, _: _STATUSES[call.status],
    "from": lambda call, _: clean(call.from_ or ""),
    "to": lambda call, _: clean(call.to or ""),
    "duration_seconds": lambda call, _: _milliseconds(call.duration_seconds),
    "recording_url": lambda call, _: _playable(call.recording_url),
    "agent_email": lambda _, owner: owner,
}


def _body(call: Call, fields: Collection[str], *, recording: bool) -> str:
    ordered = [field for field in (*_HEADINGS, *DELIVERED_FIELDS) if field in fields]
    sections = [(_heading(field), _shown(call, field)) for field in dict.fromkeys(ordered)]
    if recording and call.recording_url:
        sections.insert(0, ("Recording", clean(call.recording_url)))
    return titled((heading, text) for heading, text in sections if text)


def _heading(field: str) -> str:
    return _HEADINGS.get(field) or field.replace("_", " ").capitalize()


def _shown(call: Call, field: str) -> str:
    value = getattr(call, _ATTRIBUTES[field])
    return ", ".join(map(str, value)) if isinstance(value, list) else text_of(value)
