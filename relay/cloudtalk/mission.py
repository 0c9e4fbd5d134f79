"""Parse the mission dialect: `{"event": "call.…", "data": {…}}`, as a customer's automation builds it.

`data` has `id direction from to contact_id contact_name duration started_at ended_at status`: durations in
seconds, times in ISO 8601. `call.answered` has no time of its own. An invalid value of one of these keys
makes the body invalid. All other keys are parsed leniently, as in the other dialects.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from relay.call import CallEvent
from relay.cloudtalk import values
from relay.cloudtalk.dialects import MISSION_KINDS, Dialect
from relay.cloudtalk.errors import (
    InvalidPayload,
    InvalidValue,
    UnknownStatus,
    UnrenderedTemplate,
    pointer_step,
)
from relay.cloudtalk.fields import FieldParser, add_warning, pop_occurred_at
from relay.cloudtalk.flatten import flatten
from relay.cloudtalk.identity import alias_of_id, build_identity
from relay.cloudtalk.request import RawRequest
from relay.cloudtalk.variables import explain_variables, find_variables

_Parsers = Mapping[str, Callable[[Any], Any]]
"""Parsers by key."""

_ID_PARSER: Final[_Parsers] = {"id": values.parse_id}


class MissionParser:
    """Parses the keys of the mission strictly."""

    def __init__(self, field_parser: FieldParser) -> None:
        self._field_parser = field_parser
        parsers = field_parser.parsers
        self._parsers: _Parsers = {
            "direction": parsers["direction"],
            "from": parsers["from"],
            "to": parsers["to"],
            "contact_id": values.parse_id,
            "contact_name": values.parse_text,
            "duration": parsers["duration"],
            "started_at": parsers["started_at"],
            "answered_at": parsers["answered_at"],
            "ended_at": parsers["ended_at"],
            "status": parsers["status"],
        }
        self._keys = frozenset(self._parsers) | {"id"}

    def parse(
        self, dialect: Dialect, body: dict[str, Any], request: RawRequest, pointer: str = ""
    ) -> CallEvent:
        """Parse the body at `pointer`. Raises `InvalidPayload` with the pointer of the invalid field."""
        if not isinstance(body["event"], str):
            raise InvalidPayload("unreadable_field", "event: expected text", f"{pointer}/event")
        kind, data, pointer = MISSION_KINDS[body["event"]], body["data"], f"{pointer}/data"
        warnings: list[str] = []
        id_ = _parse_keys(_ID_PARSER, data, pointer, warnings).get("id")
        if id_ is None:
            explanation = explain_variables(find_variables(data))
            raise InvalidPayload("missing_id", "the call's id is missing" + explanation, f"{pointer}/id")
        facts = {"call_id": id_, **_parse_keys(self._parsers, data, pointer, warnings)}
        other_facts = {} if self._keys.issuperset(data) else self._parse_others(data, pointer, warnings)
        aliases = tuple(_add_ids(id_, facts, other_facts))
        facts |= {fact: value for fact, value in other_facts.items() if fact not in facts}
        self._field_parser.complete(facts, warnings)
        occurred_at = pop_occurred_at(kind, facts)
        return CallEvent(
            kind,
            dialect.name,
            id_,
            aliases,
            occurred_at,
            facts,
            data,
            message_ids=(f"msg:{request.message_id}",) if request.message_id else (),
            warnings=tuple(warnings),
            source_rank=dialect.source_rank,
            single_id=dialect.single_id,
        )

    def _parse_others(self, data: dict[str, Any], pointer: str, warnings: list[str]) -> dict[str, Any]:
        """Parse the facts under keys that the mission does not define."""
        others = {key: value for key, value in data.items() if key not in self._keys}
        return self._field_parser.parse_stated(flatten(others, pointer).fields, warnings)


def _add_ids(id_: str, facts: dict[str, Any], other_facts: dict[str, Any]) -> dict[str, None]:
    """Return all ids of the call as aliases; its own `id` stays the first, whatever other ids there are."""
    alias = alias_of_id(id_)
    call_id = other_facts.pop("call_id", None) or (id_ if alias.startswith("id:") else None)
    call_uuid = other_facts.pop("call_uuid", None) or (id_ if alias.startswith("uuid:") else None)
    identity = build_identity(call_id, call_uuid, other_facts.get("recording_url"))
    if identity.call_uuid is not None:
        facts["call_uuid"] = identity.call_uuid
    return dict.fromkeys((alias, *identity.aliases))


def _parse_keys(parsers: _Parsers, data: dict[str, Any], pointer: str, warnings: list[str]) -> dict[str, Any]:
    """Return the values of these keys that are not missing. Raises `InvalidPayload`."""
    parsed: dict[str, Any] = {}
    for key, parse in parsers.items():
        if (value := data.get(key)) is None:
            continue
        try:
            value = parse(value)
        except (UnrenderedTemplate, UnknownStatus) as error:
            add_warning(warnings, key, error)
        except InvalidValue as error:
            message = f"{key}: {error}"
            raise InvalidPayload("unreadable_field", message, pointer + pointer_step(key)) from error
        else:
            if value is not None:
                parsed[key] = value
    return parsed
