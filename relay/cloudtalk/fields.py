"""The facts in what was said: which words bear which fact, and how each is read.

The first word of a fact that says something wins. What cannot be read is left out, with a warning:
a call is worth more than one of its fields. Only an id that no column holds refuses the body.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import tzinfo
from typing import Any, Final

from relay.call import Kind
from relay.cloudtalk import times, values
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.flatten import Field, normalize_key
from relay.cloudtalk.values import InvalidValue, TooLong
from relay.instants import Instant

_SPELLINGS: Final = {
    "call_id": "call_id cdr_id",
    "call_uuid": "call_uuid uuid",
    "direction": "direction call_direction",
    "status": "call_status status",
    "external_number": "external_number public_external contact_number contact_phone caller_number "
    "customer_number phone phone_number contact.phone contact.phone_number contact.number contacts.phone",
    "internal_number": "internal_number public_internal CallNumber.caller_id_e164",
    "from": "from from_number",
    "to": "to to_number",
    "contact_id": "contact_id contact.id contacts.id",
    "contact_name": "contact_name contact.name contacts.name",
    "agent_id": "agent_id user_id agent.id user.id",
    "agent_email": "agent_email user_email agent.email user.email",
    "agent_name": "agent_name user_name agent.name agent.full_name user.name agent",
    "agent_first_name": "agent_first_name agent.first_name user.first_name",
    "agent_last_name": "agent_last_name agent.last_name user.last_name",
    "recording_url": "recording_url recording_link recording.url recording.link record_url recording",
    "tags": "tags call_tags tag",
    "notes": "notes note call_notes",
    "transcript": "transcript transcription",
    "summary": "summary call_summary ai_summary",
    "started_at": "started_at start_time call_start date",
    "answered_at": "answered_at answer_time call_answer",
    "ended_at": "ended_at end_time call_end",
    "duration": "duration call_duration billsec",
    "talking": "talking_time talk_time",
    "waiting": "waiting_time wait_time",
    "wrapup": "wrapup_time wrap_up_time",
    "voicemail": "is_voicemail voicemail",
    "occurred_at": "occurred_at",
}
_SPELLED: Final = [(fact, normalize_key(key)) for fact, keys in _SPELLINGS.items() for key in keys.split()]
_RANK_OF: Final = {word: rank for rank, (_, word) in enumerate(_SPELLED)}
_HOLDERS: Final = frozenset({"agent", "recording"})
"""Objects whose parts are found under words of their own."""

_MOST_WARNINGS: Final = 20
_SHOWN_OF_KEY: Final = 60


class FieldParser:
    """Reads facts; a time without an offset is in `zone`, a national number of `region`, and
    `own_numbers` tell the direction where nothing else does.
    """

    def __init__(self, zone: tzinfo, region: str, own_numbers: Iterable[str] = ()) -> None:
        def instant(value: Any) -> int | None:
            return times.instant(value, zone)

        def number(value: Any) -> str | None:
            return values.phone(value, region)

        self._own_numbers = frozenset(number(own) for own in own_numbers) - {None}
        self.readers: Final[Mapping[str, Callable[[Any], Any]]] = {
            **dict.fromkeys(("call_id", "call_uuid"), values.digits),
            **dict.fromkeys(("contact_id", "agent_id"), values.digits),
            **dict.fromkeys(("external_number", "internal_number", "from", "to"), number),
            **dict.fromkeys(("started_at", "answered_at", "ended_at", "occurred_at"), instant),
            **dict.fromkeys(("duration", "talking", "waiting", "wrapup"), times.duration),
            **dict.fromkeys(("contact_name", "agent_name"), values.prose),
            **dict.fromkeys(("agent_first_name", "agent_last_name"), values.prose),
            **dict.fromkeys(("notes", "transcript", "summary"), values.lines),
            "agent_email": values.text,
            "direction": values.direction,
            "status": values.outcome,
            "recording_url": values.web_address,
            "tags": values.listed,
            "voicemail": values.truth,
        }

    def read(self, found: Mapping[str, Field], warnings: list[str]) -> dict[str, Any]:
        """The facts found under these words; among them `occurred_at`, the envelope's own time.

        Raises `InvalidPayload` for an id of more than 200 characters.
        """
        facts: dict[str, Any] = {}
        for rank in sorted([_RANK_OF[word] for word in found if word in _RANK_OF]):
            fact, word = _SPELLED[rank]
            said = found[word]
            if fact not in facts and not (word in _HOLDERS and isinstance(said.value, dict)):
                value = self.read_one(fact, said, warnings)
                if value is not None:
                    facts[fact] = value
        _name_agent(facts)
        if "direction" not in facts and (typed := found.get("type")):
            _direct(facts, typed.value)
        self.complete(facts)
        return facts

    def read_one(self, fact: str, said: Field, warnings: list[str]) -> Any:
        """What is said of one fact, None where that is nothing or cannot be read."""
        try:
            return self.readers[fact](said.value)
        except TooLong as error:
            raise InvalidPayload("unreadable_field", f"{said.key}: {error}", said.pointer) from error
        except InvalidValue as error:
            warn(warnings, said.key, error)
            return None

    def complete(self, facts: dict[str, Any]) -> None:
        """What these facts tell together: durations that fit the times, and the direction."""
        times.settle(facts)
        if "direction" not in facts:
            direction = self._direction(facts)
            if direction is not None:
                facts["direction"] = direction

    def _direction(self, facts: Mapping[str, Any]) -> str | None:
        """By whose the numbers are: the own line in a body is an own number too."""
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


_SAID_BY: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.STARTED: ("started_at",),
    Kind.ANSWERED: ("answered_at",),
    Kind.ENDED: ("ended_at",),
    Kind.MISSED: ("ended_at", "started_at"),
    Kind.VOICEMAIL: ("ended_at", "started_at"),
}
"""The facts that say when an event happened, by its kind; other kinds have none."""


def take_occurred_at(kind: Kind, facts: dict[str, Any]) -> Instant | None:
    """When an event of this kind happened: its own fact, else the envelope's, which is taken out."""
    occurred_at: Instant | None = facts.pop("occurred_at", None)
    return next((facts[fact] for fact in _SAID_BY.get(kind, ()) if fact in facts), occurred_at)


def warn(warnings: list[str], key: str, error: InvalidValue) -> None:
    """Say what could not be read; never what it was, which may be anybody's name."""
    if len(warnings) < _MOST_WARNINGS:
        warnings.append(f"{key.strip()[:_SHOWN_OF_KEY]}: {error}")


def _direct(facts: dict[str, Any], typed: Any) -> None:
    """The REST API's `type` is the direction; elsewhere it is anything."""
    with suppress(InvalidValue):
        direction = values.direction(typed)
        if direction is not None:
            facts["direction"] = direction


def _name_agent(facts: dict[str, Any]) -> None:
    names = [facts.pop(name, None) for name in ("agent_first_name", "agent_last_name")]
    if "agent_name" not in facts and any(names):
        facts["agent_name"] = " ".join(filter(None, names))
