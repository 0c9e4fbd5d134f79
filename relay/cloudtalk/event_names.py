"""The kind of an event: by its name in the body, the query, the path or the settings, else by its facts."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec

from relay.call import Kind
from relay.cloudtalk.errors import InvalidValue
from relay.cloudtalk.flatten import Field, normalize_key
from relay.cloudtalk.request import RawRequest
from relay.cloudtalk.values import is_missing, parse_text

_NAMES: Final = {
    Kind.STARTED: "started dialing new_call",
    Kind.RINGING: "ringing ringing_on_agent",
    Kind.ANSWERED: "answered",
    Kind.ENDED: "ended finished completed hangup",
    Kind.MISSED: "missed no_answer",
    Kind.VOICEMAIL: "voicemail voicemail.received",
    Kind.RECORDING: "recording_ready recording.ready recording_uploaded",
    Kind.TRANSCRIPT: "transcript.ready transcription.created",
    Kind.SUMMARY: "cidata.ready",
    Kind.MODIFIED: "modified tagged disposition raised_hand",
}
"""The names of each kind; each name counts with `call.` before it, too."""

_OTHER_RESOURCES: Final = ("message", "contact", "user", "agentstatus")
_OTHER_EVENTS: Final = ("sent", "received", "created", "updated", "deleted", "changed", "statuschanged")
_LONGEST_NAME: Final = 64
"""A longer text is no event name and is not put into the cache."""

_LONGEST_SHOWN: Final = 100
_TYPE_KEY: Final = "type"


# --- names --------------------------------------------------------------------------------------


def kind_of_name(name: str) -> Kind | None:
    """Return the kind that a name stands for; `CALL_ENDED`, `call-ended` and `Call Ended` are the same."""
    return _KINDS.get(_normalize_name(name)) if len(name) <= _LONGEST_NAME else None


def is_about_another_resource(name: str) -> bool:
    """Whether the name is of an event about a message, a contact or a user, and not about a call."""
    return len(name) <= _LONGEST_NAME and _normalize_name(name).startswith(_OTHER_RESOURCES)


def is_event_name(name: str) -> bool:
    """Whether the text can only be an event name. The end of a URL may be anything, `contact-centre` too."""
    if len(name) > _LONGEST_NAME:
        return False
    normalized = _normalize_name(name)
    is_other_event = normalized.startswith(_OTHER_RESOURCES) and normalized.endswith(_OTHER_EVENTS)
    return normalized in _KINDS or is_other_event


@lru_cache(maxsize=1_000)
def _normalize_name(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


_KINDS: Final = {
    prefix + _normalize_name(name): kind
    for kind, names in _NAMES.items()
    for name in names.split()
    for prefix in ("", "call")
}


# --- the name of one event ----------------------------------------------------------------------


class EventName(msgspec.Struct, frozen=True):
    """An event's name as it was sent, and its kind. `about_call` is false for an event about a message, a
    contact or a user.
    """

    text: str
    kind: Kind | None
    about_call: bool

    @property
    def is_known(self) -> bool:
        return self.kind is not None or not self.about_call

    @property
    def log_text(self) -> str:
        return self.text[:_LONGEST_SHOWN]


def _build_name(text: str) -> EventName:
    kind = kind_of_name(text)
    return EventName(text, kind, kind is not None or not is_about_another_resource(text))


class EventNameResolver:
    """Finds the event's name: in the body, else in the query, else at the end of the path, else in `paths`,
    the settings' table of whole paths and their event names.
    """

    def __init__(self, webhook_path: str, paths: Mapping[str, str]) -> None:
        self._webhook_path = webhook_path.rstrip("/")
        self._paths = {path.rstrip("/"): name for path, name in paths.items()}

    def resolve(
        self, candidates: Sequence[Field], request: RawRequest, *, type_is_name: bool
    ) -> EventName | None:
        """Return the event's name, or None if there is none.

        `candidates` are the body's fields that may have the name; `type_is_name`: a field `type` always
        has it, even if the name is not known.
        """
        return _resolve_in_body(candidates, type_is_name=type_is_name) or self._resolve_in_url(request)

    def _resolve_in_url(self, request: RawRequest) -> EventName | None:
        if request.query and (name := _find_in_query(request.query)) is not None:
            return _build_name(name)
        path = request.path.rstrip("/")
        if path == self._webhook_path and not self._paths:
            return None
        last_segment = unquote(path.removeprefix(self._webhook_path).rpartition("/")[2])
        if is_event_name(last_segment):
            return _build_name(last_segment)
        return _build_name(self._paths[path]) if path in self._paths else None


def _resolve_in_body(candidates: Sequence[Field], *, type_is_name: bool) -> EventName | None:
    """Return the first known name, else the first one. An unknown `type` may be the type of anything."""
    first: EventName | None = None
    for field in candidates:
        if (text := _parse_name(field.value)) is not None:
            name = _build_name(text)
            if name.is_known:
                return name
            if first is None and (type_is_name or normalize_key(field.key) != _TYPE_KEY):
                first = name
    return first


def _parse_name(value: Any) -> str | None:
    try:
        return parse_text(value)
    except InvalidValue:
        return None


def _find_in_query(query: str) -> str | None:
    values = (value for key, value in parse_qsl(query) if key.strip().lower() == "event")
    return next((name for value in values if (name := _parse_name(value)) is not None), None)


# --- events without a name ----------------------------------------------------------------------

_AGENT_FACTS: Final = frozenset({"agent_id", "agent_email", "agent_name"})
_END_FACTS: Final = frozenset({"talking", "wrapup", "ended_at"})
CALL_FACTS: Final = _END_FACTS | {
    "external_number",
    "internal_number",
    "from",
    "to",
    "direction",
    "started_at",
    "recording_url",
}
"""Facts that only a call has, its ids aside: a contact, for example, has none."""

_TRANSCRIPT_KEYS: Final = ("transcript", "transcription")
_UNRENDERED_TRANSCRIPT: Final = "[object Object]"
"""CloudTalk's own template renders a transcript so."""


def infer_kind(fields: Mapping[str, Field], facts: Mapping[str, Any]) -> Kind:
    """Return the kind of an event without a name, by its facts.

    A call_uuid with an agent and a contact is sent at any time of a call, so it is an UPDATE, which
    changes no status.
    """
    if _has_transcript(fields):
        return Kind.TRANSCRIPT
    has_recording = "recording_url" in facts and "call_id" in facts
    if has_recording and "call_uuid" not in facts and _AGENT_FACTS.isdisjoint(facts):
        return Kind.RECORDING
    return Kind.UPDATE if _END_FACTS.isdisjoint(facts) else Kind.ENDED


def has_call_facts(facts: Mapping[str, Any]) -> bool:
    """Whether there are facts that only a call has, ids aside."""
    return not CALL_FACTS.isdisjoint(facts)


def _has_transcript(fields: Mapping[str, Field]) -> bool:
    present = [fields[key].value for key in _TRANSCRIPT_KEYS if key in fields]
    return any(not is_missing(value) or value == _UNRENDERED_TRANSCRIPT for value in present)
