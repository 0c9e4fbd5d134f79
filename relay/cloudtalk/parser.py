"""Parse a request into call events: decode the body, recognise the dialect, parse each event."""

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from typing import Any, Final

import msgspec

from relay.call import CallEvent, has_unknown_outcome
from relay.cloudtalk.decoding import parse_body
from relay.cloudtalk.dialects import ENRICHMENT, MISSION, REST, Dialect, recognise_dialect
from relay.cloudtalk.enrichment import parse_enrichment
from relay.cloudtalk.errors import InvalidPayload, InvalidValue
from relay.cloudtalk.event_names import EventName, EventNameResolver, has_call_facts, infer_kind
from relay.cloudtalk.fields import FieldParser, pop_occurred_at
from relay.cloudtalk.flatten import FlatBody
from relay.cloudtalk.history_row import HistoryRowParser
from relay.cloudtalk.identity import Identity, build_identity
from relay.cloudtalk.mission import MissionParser
from relay.cloudtalk.request import RawRequest
from relay.cloudtalk.values import is_missing, parse_id
from relay.cloudtalk.variables import explain_variables, find_variables
from relay.cloudtalk.wrappers import CALL_KEYS, add_wrapped, unwrap

MAX_EVENTS: Final = 1_000
"""The limit of events in one body. CloudTalk sends one; an import can send several bodies."""

_UNNAMED: Final = "unnamed"
_LONGEST_COMPANY: Final = 40
_PING_KEYS: Final = frozenset({"test", "ping"})
"""A body with no other key is a ping."""


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
    direction if the body does not. If there are `company_ids`, an event in the signed envelope that names
    another company is refused. `paths` (whole paths) give the event's name if neither the body nor the
    part of the path below `webhook_path` does.
    """

    def __init__(
        self,
        zone: tzinfo,
        region: str,
        own_numbers: Iterable[str] = (),
        paths: Mapping[str, str] = {},
        webhook_path: str = "/cloudtalk/webhook",
        company_ids: Iterable[str] = (),
    ) -> None:
        self._company_ids = frozenset(company_ids)
        field_parser = FieldParser(zone, region, own_numbers)
        self._mission = MissionParser(field_parser)
        self._history = HistoryRowParser(field_parser)
        self._lenient = LenientParser(field_parser, EventNameResolver(webhook_path, paths))

    def parse(self, request: RawRequest) -> list[CallEvent] | Ignored:
        """Return the events in this request, all or none. Raises `InvalidPayload`."""
        items = self.parse_items(parse_body(request), request)
        events = [item.parsed for item in items if isinstance(item.parsed, CallEvent)]
        ignored = [item.parsed for item in items if isinstance(item.parsed, Ignored)]
        return events or (ignored[0] if ignored else EMPTY)

    def parse_one(self, request: RawRequest) -> CallEvent:
        """Return the event in a request that the relay made itself. Raises `InvalidPayload`."""
        events = self.parse(request)
        if not isinstance(events, list) or len(events) != 1:
            raise InvalidPayload("not_an_event", "expected an object with event and data")
        return events[0]

    def parse_items(self, value: Any, request: RawRequest) -> list[ParsedItem]:
        """Parse each event in a value of `parse_body`; None has no events. Raises `InvalidPayload`."""
        if value is None:
            return []
        unwrapped, pointer = unwrap(value)
        if not isinstance(unwrapped, list):
            return [ParsedItem(value, self._parse_item(request, unwrapped, pointer), whole=True)]
        if len(unwrapped) > MAX_EVENTS:
            raise InvalidPayload("too_many", f"more than {MAX_EVENTS} events in one body")
        # The message id belongs to the array: with an index it becomes unique for each event.
        return [
            ParsedItem(
                item,
                self._parse_item(_with_index(request, index), *unwrap(item, f"{pointer}/{index}")),
                whole=False,
            )
            for index, item in enumerate(unwrapped)
        ]

    def _parse_item(self, request: RawRequest, value: Any, pointer: str) -> CallEvent | Ignored:
        if not isinstance(value, dict):
            raise InvalidPayload("not_an_event", "expected an object with event and data", pointer)
        dialect = recognise_dialect(value, request)
        if dialect is REST:
            return self._history.parse(dialect, value, pointer)
        if dialect is ENRICHMENT:
            return parse_enrichment(dialect, value, request.path, pointer)
        try:
            if dialect.enveloped:
                self._check_company(value, pointer)
            parser = self._mission if dialect is MISSION else self._lenient
            return _with_missing_outcome(parser.parse(dialect, value, request, pointer), dialect)
        except InvalidPayload as error:
            error.always_ack = dialect.always_ack
            raise

    def _check_company(self, envelope: Mapping[str, Any], pointer: str) -> None:
        """Raises `InvalidPayload` for an event of another company's account."""
        company = envelope.get("company_id")
        if self._company_ids and not is_missing(company) and str(company).strip() not in self._company_ids:
            message = f"company_id {str(company)[:_LONGEST_COMPANY]} is none of cloudtalk.company_ids"
            raise InvalidPayload("foreign_company", message, f"{pointer}/company_id")


def _with_missing_outcome(event: CallEvent | Ignored, dialect: Dialect) -> CallEvent | Ignored:
    """Name what an Ended lacks that does not state whether anybody talked: its call counts as completed."""
    if isinstance(event, Ignored) or not has_unknown_outcome(event):
        return event
    return msgspec.structs.replace(event, missing=dialect.outcome_variable)


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
        flat = add_wrapped(dialect.flatten(body, pointer))
        name = self._event_names.resolve(flat.event_names, request, type_is_name=dialect.enveloped)
        if name is not None and not name.about_call:
            return Ignored(name.log_text, quarantine=False)
        warnings: list[str] = []
        facts = self._field_parser.parse(flat.fields, warnings)
        identity = self._add_ids(flat, facts, warnings, has_name=name is not None)
        kind = infer_kind(flat.fields, facts) if name is None else name.kind
        if kind is None or not identity.aliases:
            return _ignore_or_refuse(dialect, name, body, flat)
        occurred_at = pop_occurred_at(kind, facts)
        return CallEvent(
            kind,
            dialect.name,
            identity.call_uuid or identity.call_id or "",
            identity.aliases,
            occurred_at,
            facts,
            flat.payload,
            message_ids=_message_ids(dialect, flat, request),
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
    dialect: Dialect, name: EventName | None, body: Mapping[str, Any], flat: FlatBody
) -> Ignored:
    """Handle a body without a known event name or without an id. Raises `InvalidPayload`."""
    if name is not None and name.kind is None:
        looks_like_call = "id" in flat.fields or not CALL_KEYS.isdisjoint(flat.fields)
        return Ignored(name.log_text, quarantine=looks_like_call)
    if _PING_KEYS.issuperset(body):
        return Ignored(_UNNAMED, quarantine=False)
    variables = find_variables({key: field.value for key, field in flat.fields.items()})
    if name is None and not variables:
        return Ignored(_UNNAMED, quarantine=dialect.quarantine_unknown)
    if (data := flat.fields.get("data")) is not None:
        raise InvalidPayload("unreadable_field", f"{data.key}: expected an object", data.pointer)
    message = "the call's id is missing: call_uuid, call_id or id"
    raise InvalidPayload("missing_id", message + explain_variables(variables), flat.payload_pointer)


def _message_ids(dialect: Dialect, flat: FlatBody, request: RawRequest) -> tuple[str, ...]:
    """The ids by which a redelivery is recognised: the message's, and the event's if it has one."""
    message = () if request.message_id is None else (f"msg:{request.message_id}",)
    field = flat.fields.get("eventid") if dialect.enveloped else None
    try:
        event_id = None if field is None else parse_id(field.value)
    except InvalidValue:
        return message
    return message if event_id is None else (*message, f"evt:{event_id}")
