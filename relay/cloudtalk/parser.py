"""Parse a request into call events: decode the body, recognise the dialect, parse each event."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import tzinfo
from typing import Any, Final

import msgspec

from relay.call import CallEvent
from relay.cloudtalk.dialects import MISSION, Dialect, recognise_dialect
from relay.cloudtalk.errors import InvalidPayload, InvalidValue
from relay.cloudtalk.event_names import EventName, EventNameResolver, has_call_facts, infer_kind
from relay.cloudtalk.fields import FieldParser, pop_occurred_at
from relay.cloudtalk.flatten import FlatBody
from relay.cloudtalk.identity import Identity, build_identity
from relay.cloudtalk.mission import MissionParser
from relay.cloudtalk.request import RawRequest, parse_body
from relay.cloudtalk.values import parse_id

MAX_EVENTS: Final = 1_000
"""The limit of events in one body. CloudTalk sends one; an import can send several bodies."""

_UNNAMED: Final = "unnamed"


class Ignored(msgspec.Struct, frozen=True):
    """A body that is no event of a call: it is empty, a ping, or about something else.

    `quarantine`: it looks like a call all the same, so a person should be able to find it.
    """

    type: str
    quarantine: bool


EMPTY: Final = Ignored("empty", quarantine=False)


class ParsedItem(msgspec.Struct, frozen=True):
    """The value of one event and what it was parsed to. `whole`: the body is this value and no array."""

    value: Any
    parsed: CallEvent | Ignored
    whole: bool


class Parser:
    """Parses what CloudTalk sends: one event or an array of events.

    A time without an offset is in `zone`, a national phone number of `region`; `own_numbers` give the
    direction if the body does not. `paths` (whole paths) give the event's name if neither the body nor the
    part of the path below `webhook_path` does.
    """

    def __init__(
        self,
        zone: tzinfo,
        region: str,
        own_numbers: Iterable[str] = (),
        paths: Mapping[str, str] = {},
        webhook_path: str = "/cloudtalk/webhook",
    ) -> None:
        field_parser = FieldParser(zone, region, own_numbers)
        self._mission = MissionParser(field_parser)
        self._lenient = LenientParser(field_parser, EventNameResolver(webhook_path, paths))

    def parse(self, request: RawRequest) -> list[CallEvent] | Ignored:
        """Return the events in this request, all or none. Raises `InvalidPayload`."""
        items = self.parse_items(parse_body(request), request)
        events = [item.parsed for item in items if isinstance(item.parsed, CallEvent)]
        ignored = [item.parsed for item in items if isinstance(item.parsed, Ignored)]
        return events or (ignored[0] if ignored else EMPTY)

    def parse_items(self, value: Any, request: RawRequest) -> list[ParsedItem]:
        """Parse each event in a value of `parse_body`; None has no events. Raises `InvalidPayload`."""
        if value is None:
            return []
        if not isinstance(value, list):
            return [ParsedItem(value, self._parse_item(value, request, ""), whole=True)]
        if len(value) > MAX_EVENTS:
            raise InvalidPayload("too_many", f"more than {MAX_EVENTS} events in one body")
        # The message id belongs to the array: with an index it becomes unique for each event.
        return [
            ParsedItem(item, self._parse_item(item, _with_index(request, index), f"/{index}"), whole=False)
            for index, item in enumerate(value)
        ]

    def _parse_item(self, value: Any, request: RawRequest, pointer: str) -> CallEvent | Ignored:
        if not isinstance(value, dict):
            raise InvalidPayload("not_an_event", "expected an object with event and data", pointer)
        dialect = recognise_dialect(value, request)
        try:
            if dialect is MISSION:
                return self._mission.parse(dialect, value, request, pointer)
            return self._lenient.parse(dialect, value, request, pointer)
        except InvalidPayload as error:
            error.always_ack = dialect.always_ack
            raise


def _with_index(request: RawRequest, index: int) -> RawRequest:
    if request.message_id is None:
        return request
    return msgspec.structs.replace(request, message_id=f"{request.message_id}/{index}")


class LenientParser:
    """Parses the bodies of all dialects but the mission: an invalid value becomes a warning of the event."""

    def __init__(self, field_parser: FieldParser, event_names: EventNameResolver) -> None:
        self._field_parser = field_parser
        self._event_names = event_names

    def parse(
        self, dialect: Dialect, body: dict[str, Any], request: RawRequest, pointer: str = ""
    ) -> CallEvent | Ignored:
        """Parse the body at `pointer`.

        Raises `InvalidPayload` for an id of more than 200 characters, and for an event with a name and
        without an id.
        """
        flat = dialect.flatten(body, pointer)
        name = self._event_names.resolve(flat.event_names, request, type_is_name=dialect.enveloped)
        if name is not None and not name.about_call:
            return Ignored(name.log_text, quarantine=False)
        warnings: list[str] = []
        facts = self._field_parser.parse(flat.fields, warnings)
        identity = self._add_ids(flat, facts, warnings, has_name=name is not None)
        kind = infer_kind(flat.fields, facts) if name is None else name.kind
        if kind is None or not identity.aliases:
            return _ignore_or_refuse(dialect, name, flat, facts)
        occurred_at = pop_occurred_at(kind, facts)
        return CallEvent(
            kind,
            dialect.name,
            identity.call_uuid or identity.call_id or "",
            identity.aliases,
            occurred_at,
            facts,
            flat.payload,
            keys=tuple(_dedup_keys(dialect, flat, request)),
            warnings=tuple(warnings),
            source_rank=dialect.source_rank,
            single_id=dialect.single_id,
        )

    def _add_ids(
        self, flat: FlatBody, facts: dict[str, Any], warnings: list[str], *, has_name: bool
    ) -> Identity:
        """Replace the ids in the facts by the event's identity.

        A plain `id` counts as the call's id if there is no other one and the body is surely about a call.
        """
        call_id, call_uuid = facts.pop("call_id", None), facts.pop("call_uuid", None)
        identity = build_identity(call_id, call_uuid, facts.get("recording_url"))
        if not identity.aliases and (field := flat.fields.get("id")) and (has_name or has_call_facts(facts)):
            call_id = self._field_parser.parse_field("call_id", field, warnings)
            identity = build_identity(call_id, None, None)
        ids = {"call_id": identity.call_id, "call_uuid": identity.call_uuid}
        facts.update((fact, id_) for fact, id_ in ids.items() if id_ is not None)
        return identity


def _ignore_or_refuse(
    dialect: Dialect, name: EventName | None, flat: FlatBody, facts: Mapping[str, Any]
) -> Ignored:
    """Handle a body without a known event name or without an id. Raises `InvalidPayload`."""
    has_id = not {"call_id", "call_uuid"}.isdisjoint(facts) or "id" in flat.fields
    looks_like_call = has_id or has_call_facts(facts)
    if name is None:
        return Ignored(_UNNAMED, quarantine=looks_like_call and dialect.quarantine_unknown)
    if name.kind is None:
        return Ignored(name.log_text, quarantine=looks_like_call)
    if not (name.in_body or looks_like_call):
        return Ignored(_UNNAMED, quarantine=False)
    if (data := flat.fields.get("data")) is not None:
        raise InvalidPayload("unreadable_field", f"{data.key}: expected an object", data.pointer)
    message = "the call's id is missing: call_uuid, call_id or id"
    raise InvalidPayload("missing_id", message, flat.payload_pointer)


def _dedup_keys(dialect: Dialect, flat: FlatBody, request: RawRequest) -> Iterator[str]:
    """The ids by which a redelivery is recognised: the message's, and the event's if it has one."""
    if request.message_id is not None:
        yield f"msg:{request.message_id}"
    field = flat.fields.get("eventid") if dialect.enveloped else None
    with suppress(InvalidValue):
        event_id = None if field is None else parse_id(field.value)
        if event_id is not None:
            yield f"evt:{event_id}"
