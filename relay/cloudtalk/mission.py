"""The mission's payload: `{"event": "call.…", "data": {…}}`, as a customer's automation builds it.

`data` bears `id direction from to contact_id contact_name duration started_at ended_at status`;
durations are seconds, times ISO 8601. `call.answered` bears no time of its own. These are read
strictly; whatever else the customer adds is read as in any hand-written body.
"""

from collections.abc import Callable
from typing import Any

from relay.call import CallEvent
from relay.cloudtalk import values
from relay.cloudtalk.dialects import MISSION_KINDS, Dialect
from relay.cloudtalk.errors import InvalidPayload, step
from relay.cloudtalk.fields import FieldParser, take_occurred_at, warn
from relay.cloudtalk.flatten import flatten
from relay.cloudtalk.identity import alias_of, identify
from relay.cloudtalk.request import RawRequest


class MissionParser:
    """Reads the mission's `data`."""

    def __init__(self, facts: FieldParser) -> None:
        self._facts = facts
        read = facts.readers
        self._fields: dict[str, Callable[[Any], Any]] = {
            "direction": read["direction"],
            "from": read["from"],
            "to": read["to"],
            "contact_id": values.ident,
            "contact_name": values.text,
            "duration": read["duration"],
            "started_at": read["started_at"],
            "answered_at": read["answered_at"],
            "ended_at": read["ended_at"],
            "status": read["status"],
        }
        self._known = frozenset(self._fields) | {"id"}

    def parse(
        self, dialect: Dialect, body: dict[str, Any], request: RawRequest, above: str = ""
    ) -> CallEvent:
        """Parse a body at pointer `above`. Raises `InvalidPayload` with the pointer of the invalid field."""
        if not isinstance(body["event"], str):
            raise InvalidPayload("unreadable_field", "event: expected text", f"{above}/event")
        kind, data, pointer = MISSION_KINDS[body["event"]], body["data"], f"{above}/data"
        warnings: list[str] = []
        name = _read(values.ident, data, "id", pointer, warnings)
        if name is None:
            raise InvalidPayload("missing_id", "the call's id is missing", f"{pointer}/id")
        facts: dict[str, Any] = {"call_id": name}
        for field, reader in self._fields.items():
            if field in data and (value := _read(reader, data, field, pointer, warnings)) is not None:
                facts[field] = value
        others = {} if self._known.issuperset(data) else self._others(data, pointer, warnings)
        aliases = tuple(_identify(name, facts, others))
        facts |= {fact: value for fact, value in others.items() if fact not in facts}
        self._facts.complete(facts)
        occurred_at = take_occurred_at(kind, facts)
        return CallEvent(
            kind,
            dialect.name,
            name,
            aliases,
            occurred_at,
            facts,
            data,
            keys=(f"msg:{request.message_id}",) if request.message_id else (),
            warnings=tuple(warnings),
            source_rank=dialect.source_rank,
            single_id=dialect.single_id,
        )

    def _others(self, data: dict[str, Any], pointer: str, warnings: list[str]) -> dict[str, Any]:
        """Facts under keys that are not the mission's."""
        others = {key: value for key, value in data.items() if key not in self._known}
        return self._facts.read(flatten(others, pointer).found, warnings)


def _identify(name: str, facts: dict[str, Any], others: dict[str, Any]) -> dict[str, None]:
    """All that the call may be known by; its `id` stays what it is, whatever other ids are said."""
    own = alias_of(name)
    call_id = others.pop("call_id", None) or (name if own.startswith("id:") else None)
    call_uuid = others.pop("call_uuid", None) or (name if own.startswith("uuid:") else None)
    identity = identify(call_id, call_uuid, others.get("recording_url"))
    if identity.call_uuid is not None:
        facts["call_uuid"] = identity.call_uuid
    return dict.fromkeys((own, *identity.aliases))


def _read(
    reader: Callable[[Any], Any], data: dict[str, Any], field: str, pointer: str, warnings: list[str]
) -> Any:
    try:
        return reader(data.get(field))
    except values.UnrenderedTemplate as error:
        warn(warnings, field, error)
        return None
    except values.InvalidValue as error:
        raise InvalidPayload("unreadable_field", f"{field}: {error}", pointer + step(field)) from error
