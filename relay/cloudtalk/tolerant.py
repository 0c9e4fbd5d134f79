"""The reader behind all dialects but the mission's: from a body of any shape to its event."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec

from relay.call import CallEvent
from relay.cloudtalk import values
from relay.cloudtalk.dialects import Dialect
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.event_names import EventName, EventNames
from relay.cloudtalk.fields import FieldParser, take_occurred_at
from relay.cloudtalk.flatten import Field, FlatBody
from relay.cloudtalk.identity import Identity, identify
from relay.cloudtalk.inference import is_of_call, kind_in
from relay.cloudtalk.request import RawRequest

_UNNAMED: Final = "unnamed"


class Ignored(msgspec.Struct, frozen=True):
    """Nothing to write down: an empty body, a ping, or an event that is not about a call.

    `keep` says that it looks like a call all the same, so that a person should be able to find it.
    """

    type: str
    quarantine_unknown: bool


class LenientParser:
    """Reads what it can, and says in warnings what it could not."""

    def __init__(self, facts: FieldParser, naming: EventNames) -> None:
        self._facts = facts
        self._naming = naming

    def parse(
        self, dialect: Dialect, body: dict[str, Any], received: RawRequest, above: str = ""
    ) -> CallEvent | Ignored:
        """The event in this body, found at `above`.

        Raises `InvalidPayload`: an id of more than 200 characters, or none where an event is named.
        """
        shape = dialect.flatten(body, above)
        name = self._naming.name_of(shape.names, received, typed=dialect.enveloped)
        if name is not None and not name.of_calls:
            return Ignored(name.shown, quarantine_unknown=False)
        warnings: list[str] = []
        facts = self._facts.read(shape.found, warnings)
        identity = self._identify(shape, facts, warnings, named=name is not None)
        kind = kind_in(shape.found, facts) if name is None else name.kind
        if kind is None or not identity.aliases:
            return _without(name, shape, facts, quarantine_unknown=dialect.quarantine_unknown)
        occurred_at = take_occurred_at(kind, facts)
        record = identity.call_uuid or identity.call_id or ""
        keys = tuple(_keys(dialect, shape, received))
        return CallEvent(
            kind,
            dialect.name,
            record,
            identity.aliases,
            occurred_at,
            facts,
            shape.payload,
            keys,
            tuple(warnings),
            source_rank=dialect.source_rank,
            single_id=dialect.single_id,
        )

    def _identify(
        self, shape: FlatBody, facts: dict[str, Any], warnings: list[str], *, named: bool
    ) -> Identity:
        """Whose the event is, the facts brought in line with it.

        A bare `id` is the call's where the body has no better one and is an event of a call for sure.
        """
        call_id, call_uuid = facts.pop("call_id", None), facts.pop("call_uuid", None)
        identity = identify(call_id, call_uuid, facts.get("recording_url"))
        if not identity.aliases and (bare := shape.found.get("id")) and (named or is_of_call(facts)):
            identity = identify(self._facts.read_one("call_id", bare, warnings), None, None)
        ids = {"call_id": identity.call_id, "call_uuid": identity.call_uuid}
        facts.update((fact, id_) for fact, id_ in ids.items() if id_ is not None)
        return identity


def _without(
    name: EventName | None, shape: FlatBody, facts: Mapping[str, Any], *, quarantine_unknown: bool
) -> Ignored:
    """What becomes of a body that is no known event, or of no call that could be told."""
    like_a_call = is_of_call(facts) or not {"call_id", "call_uuid"}.isdisjoint(facts) or "id" in shape.found
    if name is None:
        return Ignored(_UNNAMED, quarantine_unknown=like_a_call and quarantine_unknown)
    if name.kind is None:
        return Ignored(name.shown, quarantine_unknown=like_a_call)
    if not (name.in_body or like_a_call):
        return Ignored(_UNNAMED, quarantine_unknown=False)
    raise _missing_id(shape)


def _missing_id(shape: FlatBody) -> InvalidPayload:
    data: Field | None = shape.found.get("data")
    if data is not None:
        return InvalidPayload("unreadable_field", f"{data.key}: expected an object", data.pointer)
    return InvalidPayload(
        "missing_id", "the call's id is missing: call_uuid, call_id or id", shape.payload_at
    )


def _keys(dialect: Dialect, shape: FlatBody, received: RawRequest) -> Iterator[str]:
    """What a redelivery is known by: the message's id, and the event's own where it has one."""
    if received.message_id is not None:
        yield f"msg:{received.message_id}"
    said = shape.found.get("eventid") if dialect.enveloped else None
    with suppress(values.InvalidValue):
        event_id = None if said is None else values.ident(said.value)
        if event_id is not None:
            yield f"evt:{event_id}"
