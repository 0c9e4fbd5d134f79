"""The facts of an event: which keys have which fact, and how its value is parsed.

Of the keys of a fact, the first one with a valid value counts. An invalid value is left out, with a warning,
since the event is worth more than one of its fields. Only an id that is too long makes the body invalid.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from datetime import tzinfo
from typing import Any, Final

from relay.call import Kind
from relay.cloudtalk import values
from relay.cloudtalk.errors import InvalidPayload, InvalidValue, TooLong
from relay.cloudtalk.flatten import Field, normalize_key
from relay.cloudtalk.json_values import parse_json
from relay.cloudtalk.keys import KEYS
from relay.cloudtalk.statuses import parse_call_status
from relay.cloudtalk.text_limits import limit_texts
from relay.cloudtalk.times import (
    RepeatedTime,
    choose_repeated_times,
    correct_durations,
    parse_instant,
    parse_seconds,
)
from relay.cloudtalk.values import is_missing
from relay.instants import Instant
from relay.standards.phones import find_phones

_WRITTEN_KEYS: Final = [(fact, normalize_key(key)) for fact, keys in KEYS.items() for key in keys.split()]
_CALL_KEYS: Final = {"call" + key: fact for fact, key in _WRITTEN_KEYS if "." not in key}
"""Each key counts with `call_` before it, too: `call_start_time`."""

_FACT_AND_KEY: Final = _WRITTEN_KEYS + [
    (fact, key) for key, fact in _CALL_KEYS.items() if key not in {written for _, written in _WRITTEN_KEYS}
]
_PRIORITY: Final = {key: priority for priority, (_, key) in enumerate(_FACT_AND_KEY)}
FIRST_STEPS: Final = frozenset(key.partition(".")[0] for key in _PRIORITY)
"""The keys of facts, and of the objects that have facts as their parts, such as `contact`."""

_OBJECT_KEYS: Final = frozenset({"agent", "recording"})
"""Keys that may have an object; its parts are then fields with keys of their own."""

_DIRECTION_KEYS: Final = ("type", "calltype")
"""Keys of the direction in CloudTalk's REST API and in its workflows; in other bodies they have any type."""

_TEXT_KEYS: Final = ("text", "content", "value")
"""Keys under which an object has the value of the field that it is in."""

_MAX_WARNINGS: Final = 20
_LONGEST_SHOWN_KEY: Final = 60


def keys_of(facts: Collection[str]) -> frozenset[str]:
    """Return all normalized keys of these facts."""
    return frozenset(key for fact, key in _FACT_AND_KEY if fact in facts)


_INNER_KEYS: Final = {fact: (*(key for f, key in _FACT_AND_KEY if f == fact), *_TEXT_KEYS) for fact in KEYS}
"""The keys under which an object may have the value of a fact, by their priority."""


class FieldParser:
    """Parses facts. A time without an offset is in `zone`, a national phone number of `region`;
    `own_numbers` give the direction if no field does.
    """

    def __init__(self, zone: tzinfo, region: str, own_numbers: Iterable[str] = ()) -> None:
        def instant(value: Any) -> Instant | RepeatedTime | None:
            return parse_instant(value, zone)

        def phone(value: Any) -> str | None:
            return values.parse_phone(value, region)

        self._own_numbers = frozenset(
            number for text in own_numbers for number in find_phones(text, region) or (phone(text),)
        )
        self.parsers: Final[Mapping[str, Callable[[Any], Any]]] = {
            **dict.fromkeys(("call_id", "call_uuid"), values.parse_numeric_id),
            **dict.fromkeys(("contact_id", "agent_id"), values.parse_numeric_id),
            **dict.fromkeys(("external_number", "internal_number", "from", "to"), phone),
            **dict.fromkeys(("started_at", "answered_at", "ended_at", "occurred_at"), instant),
            **dict.fromkeys(("duration", "talking", "waiting", "wrapup"), parse_seconds),
            **dict.fromkeys(("contact_name", "agent_name"), values.parse_display_text),
            **dict.fromkeys(("agent_first_name", "agent_last_name"), values.parse_display_text),
            **dict.fromkeys(("notes", "transcript", "summary"), values.parse_lines),
            "agent_email": values.parse_email,
            "direction": values.parse_direction,
            "status": parse_call_status,
            "recording_url": values.parse_web_address,
            "tags": values.parse_list,
            "voicemail": values.parse_flag,
        }

    def parse(self, fields: Mapping[str, Field], warnings: list[str]) -> dict[str, Any]:
        """Parse and complete the facts in these fields; `occurred_at` among them is the time of the envelope.

        Raises `InvalidPayload` for an id of more than 200 characters.
        """
        facts = self.parse_stated(fields, warnings)
        self.complete(facts, warnings)
        return facts

    def parse_stated(self, fields: Mapping[str, Field], warnings: list[str]) -> dict[str, Any]:
        """Parse the facts in these fields only; `complete` needs all facts of the event."""
        facts: dict[str, Any] = {}
        for priority in sorted([_PRIORITY[key] for key in fields if key in _PRIORITY]):
            fact, key = _FACT_AND_KEY[priority]
            field = fields[key]
            if fact not in facts and not (key in _OBJECT_KEYS and isinstance(field.value, dict)):
                value = self.parse_field(fact, field, warnings)
                if value is not None:
                    facts[fact] = value
        _join_agent_names(facts)
        for key in _DIRECTION_KEYS:
            if "direction" not in facts and key in fields:
                _add_direction_of_type(facts, fields[key].value)
        return facts

    def parse_field(self, fact: str, field: Field, warnings: list[str]) -> Any:
        """Parse the value of one fact; None if it is missing or invalid."""
        try:
            return self.parsers[fact](_unwrap_value(fact, field.value))
        except TooLong as error:
            raise InvalidPayload("unreadable_field", f"{field.key}: {error}", field.pointer) from error
        except InvalidValue as error:
            add_warning(warnings, field.key, error)
            return None

    def complete(self, facts: dict[str, Any], warnings: list[str]) -> None:
        """Limit texts, choose repeated times, correct durations by the times, and add the direction by the
        numbers.
        """
        warnings.extend(limit_texts(facts))
        choose_repeated_times(facts)
        correct_durations(facts)
        if "direction" not in facts:
            direction = self._infer_direction(facts)
            if direction is not None:
                facts["direction"] = direction

    def _infer_direction(self, facts: Mapping[str, Any]) -> str | None:
        """The number of the own line in the body counts as an own number, too."""
        internal, external = facts.get("internal_number"), facts.get("external_number")
        if internal is not None and external in self._own_numbers:
            return "internal"
        match [
            facts.get(side, "") in self._own_numbers or facts.get(side, "") == internal
            for side in ("from", "to")
        ]:
            case [True, True]:
                return "internal"
            case [True, False]:
                return "outbound"
            case [False, True]:
                return "inbound"
            case _:
                return None


_TIME_FACTS: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.STARTED: ("started_at",),
    Kind.ANSWERED: ("answered_at",),
    Kind.ENDED: ("ended_at",),
    Kind.MISSED: ("ended_at", "started_at"),
    Kind.VOICEMAIL: ("ended_at", "started_at"),
}
"""The facts that give the time of an event, by its kind; other kinds have none."""


def pop_occurred_at(kind: Kind, facts: dict[str, Any]) -> Instant | None:
    """Return the time of the event: its own fact, else the envelope's, which is removed from the facts."""
    envelope_time: Instant | None = facts.pop("occurred_at", None)
    for fact in _TIME_FACTS.get(kind, ()):
        if fact in facts:
            own_time: Instant = facts[fact]
            return own_time
    return envelope_time


def add_warning(warnings: list[str], key: str, error: InvalidValue) -> None:
    """Add a warning with the key, never with the value, which may be personal data, unless it is a status."""
    if len(warnings) < _MAX_WARNINGS:
        warnings.append(f"{key.strip()[:_LONGEST_SHOWN_KEY]}: {error}")


def _unwrap_value(fact: str, value: Any) -> Any:
    """Return the value inside JSON in a text, and inside objects that have it under a key of this fact.

    The JSON may be a text in quotes, too.
    """
    if isinstance(value, str) and value[:1] in {"{", "[", '"'}:
        with suppress(InvalidPayload):
            value = parse_json(value.encode())
    while isinstance(value, dict):
        inner = {normalize_key(key): item for key, item in value.items()}
        found = next((key for key in _INNER_KEYS[fact] if key in inner and not is_missing(inner[key])), None)
        if found is None:
            break
        value = inner[found]
    return value


def _add_direction_of_type(facts: dict[str, Any], type_: Any) -> None:
    with suppress(InvalidValue):
        direction = values.parse_direction(type_)
        if direction is not None:
            facts["direction"] = direction


def _join_agent_names(facts: dict[str, Any]) -> None:
    names = [facts.pop(name, None) for name in ("agent_first_name", "agent_last_name")]
    if "agent_name" not in facts and any(names):
        facts["agent_name"] = " ".join(filter(None, names))
