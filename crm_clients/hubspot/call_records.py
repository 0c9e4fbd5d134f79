"""A call as a HubSpot record: which field becomes which property. Pure.

Sources: HubSpot's guide "Calls"; the ids of the dispositions are the same in every account. All values are
texts; times are Unix milliseconds, durations milliseconds.
"""

import html
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Final

from crm_clients.base import Push
from crm_clients.follow_up import call_time
from crm_clients.hubspot.languages import Texts
from crm_clients.hubspot.responses import JsonObject
from crm_clients.hubspot.settings import CALL_ID, HubSpotSettings
from crm_clients.hubspot.text import (
    clean,
    constant_properties,
    html_to_text,
    merge_sections,
    property_value,
    sections_to_html,
    shorten_name,
    split_sections,
)
from relay.call import DELIVERED_FIELDS, FIELDS, Call, Status, known_fields

BODY: Final = "hs_call_body"
STATUS: Final = "hs_call_status"
TIMESTAMP: Final = "hs_timestamp"
OWNER: Final = "hubspot_owner_id"
_TITLE: Final = "hs_call_title"
_DISPOSITION: Final = "hs_call_disposition"
_HAS_VOICEMAIL: Final = "hs_call_has_voicemail"

DEFAULT_PROPERTIES: Final = {
    "direction": "hs_call_direction",
    "status": STATUS,
    "from": "hs_call_from_number",
    "to": "hs_call_to_number",
    "duration_seconds": "hs_call_duration",
    "recording_url": "hs_call_recording_url",
    "agent_email": OWNER,
    "missed_reason": BODY,
    "summary": BODY,
    "smart_notes": BODY,
    "notes": BODY,
    "tags": BODY,
    "transcript": BODY,
}
"""The property of each field, unless the settings name another one."""

_BODY_ORDER: Final = ("missed_reason", "summary", "smart_notes", "notes", "tags", "transcript")
"""The first sections of the body."""

_ATTRIBUTES: Final = dict(zip(FIELDS, Call.__struct_fields__, strict=True))
_STATE: Final = "state"

_CONNECTED: Final = "f240bbac-87c9-4f6e-bf70-924b57d47db7"
_NO_ANSWER: Final = "73a0d17f-1163-4015-bdd5-ec830791da20"
_LEFT_VOICEMAIL: Final = "b2cf5968-551e-4856-9783-52b3da59a7d0"

COMPLETED: Final = "COMPLETED"
_STATUSES: Final = {
    Status.IN_PROGRESS: "IN_PROGRESS",
    Status.ANSWERED: "IN_PROGRESS",
    Status.COMPLETED: COMPLETED,
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
"""HubSpot: the disposition is the result of a call, so a call in progress has none."""

_DIRECTIONS: Final = {"inbound": "INBOUND", "outbound": "OUTBOUND", "internal": "OUTBOUND"}

_TIME_FIELDS: Final = frozenset({"started_at", "answered_at", "ended_at"})
_TITLE_FIELDS: Final = frozenset({"direction", "status", "external_number", "contact_name"})

_ALL_FIELDS: Final = frozenset(DELIVERED_FIELDS)

_FIELD_OF_COMPUTED: Final = {
    TIMESTAMP: "started_at",
    _TITLE: "contact_name",
    _DISPOSITION: "status",
    _HAS_VOICEMAIL: "status",
}
"""The field that a property shows which settings cannot map."""

BODY_FIELDS: Final = frozenset({*_BODY_ORDER, "recording_url"})

Properties = dict[str, str]


def upsert_input(
    push: Push, settings: HubSpotSettings, *, owner_id: str, now: datetime, body: str = ""
) -> JsonObject | None:
    """Build one input of a batch upsert; None if nothing changed that HubSpot shows.

    `owner_id`: the owner id of the agent, "" for none. `now`: the time of a call that has none, as HubSpot
    requires one. `body`: that of the existing record, which may have sections that the relay does not know.
    HubSpot: only inputs with an `objectWriteTraceId` can fail singly.
    """
    properties = changed_properties(push, settings, owner_id=owner_id, now=now)
    if body and BODY in properties:
        properties[BODY] = merge_sections(body, properties[BODY])
    if not properties and push.remote_id:
        return None
    id_ = push.call.id
    return {
        "id": id_,
        "idProperty": CALL_ID,
        "objectWriteTraceId": id_,
        "properties": {CALL_ID: id_, **properties},
    }


def changed_properties(push: Push, settings: HubSpotSettings, *, owner_id: str, now: datetime) -> Properties:
    """Return the properties of the changed fields. "" clears a property; a new record has none to clear.

    An agent without an owner id does not remove the present owner.
    """
    call, changed = push.call, push.changed
    names = settings.remote_names(DEFAULT_PROPERTIES)
    properties = _computed_properties(push, settings.texts, now=now)
    for field, name in names.items():
        if name != BODY and (field in changed or (field == _STATE and "status" in changed)):
            properties[name] = _field_value(call, field, name, settings, owner_id)
    body_fields = [field for field, name in names.items() if name == BODY]
    if changed.intersection(body_fields) or ("recording_url" in changed and "recording_url" in names):
        properties[BODY] = _body(call, body_fields, settings.texts, recording="recording_url" in names)
    if push.first or push.rewrite:
        properties |= constant_properties(settings.constants)
    if push.first:
        return {name: value for name, value in properties.items() if value}
    return {name: value for name, value in properties.items() if value or name != OWNER}


def _computed_properties(push: Push, texts: Texts, *, now: datetime) -> Properties:
    """Return the properties that settings cannot map: time, title, disposition, voicemail and source.

    A partial push writes time and title only if all that they show is known.
    """
    call, changed, first = push.call, push.changed, push.first
    known = known_fields(call) if push.partial else _ALL_FIELDS
    properties: Properties = {}
    began = call_time(call)
    if first or (began and "started_at" in known and not _TIME_FIELDS.isdisjoint(changed)):
        properties[TIMESTAMP] = str(int((began or now).timestamp() * 1000))
    if not _TITLE_FIELDS.isdisjoint(changed) and known >= _TITLE_FIELDS - {"contact_name"}:
        properties[_TITLE] = call_title(call, texts)
    if "status" in changed:
        properties[_DISPOSITION] = _DISPOSITIONS.get(call.status, "")
        properties[_HAS_VOICEMAIL] = "true" if call.status is Status.VOICEMAIL else ""
    if first:
        properties["hs_call_source"] = "INTEGRATIONS_PLATFORM"
    return properties


def fields_of(name: str, settings: HubSpotSettings) -> frozenset[str]:
    """Return the fields that a property shows. The title shows the customer's name, which has no property."""
    if name in _FIELD_OF_COMPUTED:
        return frozenset({_FIELD_OF_COMPUTED[name]})
    names = settings.remote_names(DEFAULT_PROPERTIES)
    fields = {"status" if field == _STATE else field for field, mapped in names.items() if mapped == name}
    return frozenset(fields | ({"recording_url"} & names.keys() if name == BODY else set()))


def lacking_fields(body: str, stored: str, settings: HubSpotSettings) -> frozenset[str]:
    """Return the fields that have a section in `body` whose text the body `stored` lacks."""
    headings = {html.escape(_heading(field, settings.texts)): field for field in fields_of(BODY, settings)}
    present = html_to_text(stored)
    return frozenset(
        headings[heading] for heading, text in split_sections(body) if html_to_text(text) not in present
    )


def call_title(call: Call, texts: Texts) -> str:
    """Format a title like "Missed call from Ana Ruiz (+34600111222)"."""
    direction = call.direction or ""
    kind = missed_kind(call, texts) or texts.calls[direction]
    return clean(f"{kind} {texts.prepositions[direction]} {customer_label(call, texts)}")


def missed_kind(call: Call, texts: Texts) -> str | None:
    """Return what a call without an answer is called; None for any other call."""
    return {Status.MISSED: texts.missed_call, Status.VOICEMAIL: texts.voicemail}.get(call.status)


def customer_label(call: Call, texts: Texts) -> str:
    """Format the customer's name and number, as far as they are known."""
    name, number = shorten_name(call.contact_name or ""), call.external_number
    return f"{name} ({number})" if name and number else name or number or texts.unknown_number


def _field_value(call: Call, field: str, name: str, settings: HubSpotSettings, owner_id: str) -> str:
    """HubSpot's own properties take HubSpot's values; other properties take the field unconverted."""
    if DEFAULT_PROPERTIES.get(field) == name:
        return _CONVERTERS[field](call, owner_id)
    if field == "status":
        return settings.label(call.status)
    return property_value(call.status.value if field == _STATE else getattr(call, _ATTRIBUTES[field]))


def _milliseconds(seconds: int | None) -> str:
    return "" if seconds is None else str(seconds * 1000)


def _playable_url(url: str | None) -> str:
    """HubSpot plays recordings from https addresses only."""
    return clean(url) if url and url.startswith("https://") else ""


_CONVERTERS: Final[Mapping[str, Callable[[Call, str], str]]] = {
    "direction": lambda call, _: _DIRECTIONS.get(call.direction or "", ""),
    "status": lambda call, _: _STATUSES[call.status],
    "from": lambda call, _: clean(call.from_ or ""),
    "to": lambda call, _: clean(call.to or ""),
    "duration_seconds": lambda call, _: _milliseconds(call.duration_seconds),
    "recording_url": lambda call, _: _playable_url(call.recording_url),
    "agent_email": lambda _, owner_id: owner_id,
}
"""How a field becomes the property that it has by default."""


def _body(call: Call, fields: Collection[str], texts: Texts, *, recording: bool) -> str:
    ordered = [field for field in (*_BODY_ORDER, *DELIVERED_FIELDS) if field in fields]
    sections = [(_heading(field, texts), _body_text(call, field, texts)) for field in dict.fromkeys(ordered)]
    if recording and call.recording_url:
        sections.insert(0, (_heading("recording_url", texts), clean(call.recording_url)))
    return sections_to_html(((heading, text) for heading, text in sections if text), texts)


def _heading(field: str, texts: Texts) -> str:
    if field == "recording_url":
        return texts.recording
    return texts.headings.get(field) or field.replace("_", " ").capitalize()


def _body_text(call: Call, field: str, texts: Texts) -> str:
    if field == "missed_reason" and call.missed_reason:
        return texts.missed_reason(call.missed_reason)
    value = getattr(call, _ATTRIBUTES[field])
    return ", ".join(map(str, value)) if isinstance(value, list) else property_value(value)
