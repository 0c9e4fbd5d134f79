"""CloudTalk's own signed webhooks: `{event_id, type, version, occurred_at, company_id, data: {…}}`."""

from typing import Any, Final

from relay.cloudtalk.dialects import Dialect
from relay.cloudtalk.flatten import Field, FlatBody, flatten, normalize_key
from relay.cloudtalk.request import RawRequest

_TELLING: Final = ("event_id", "occurred_at", "company_id")
_ENVELOPE: Final = frozenset({"event_id", "type", "version", "occurred_at", "company_id", "data"})
_KNOWN: Final = {
    key: normalize_key(key)
    for key in (
        "call_uuid",
        "call_id",
        "direction",
        "external_number",
        "internal_number",
        "started_at",
        "answered_at",
        "ended_at",
        "duration",
        "talking_time",
        "waiting_time",
        "wrapup_time",
        "is_voicemail",
        "caller_id_status",
        "recording_url",
        "contact_id",
        "contact_name",
        "agent_id",
        "agent_name",
        "agent_email",
        "status",
    )
}
"""The keys of `data` under which no further object has to be looked for."""


def _recognises(body: dict[str, Any], received: RawRequest) -> bool:
    """By its envelope, else by the message's id, which no other sender gives."""
    if received.message_id is not None:
        return True
    return isinstance(body.get("type"), str) and any(key in body for key in _TELLING)


def _shape(body: dict[str, Any], above: str) -> FlatBody:
    """The same as `flatten`, at less than half its cost where all keys are known."""
    data = body.get("data")
    if not (isinstance(data, dict) and _ENVELOPE.issuperset(body) and data.keys() <= _KNOWN.keys()):
        return flatten(body, above)
    at = above + "/data"
    found = {_KNOWN[key]: Field(at, key, value) for key, value in data.items() if value is not None}
    for key, word in (("event_id", "eventid"), ("occurred_at", "occurredat")):
        if key in body:
            found[word] = Field(above, key, body[key])
    return FlatBody(found, [Field(above, "type", body.get("type"))], data, at)


# Refused for some days, the sender disables the endpoint, and nothing comes any more.
SIGNED: Final = Dialect("signed", _recognises, always_ack=True, typed=True, shape=_shape)
