"""Flatten a body of any form to one table: normalized key → field.

Bodies that people type are flat, or nested under one of several roots, or have keys with dots and brackets;
their keys differ in case, spaces and underscores. Normalized keys do not: `Call_ID`, `data.callId` and
`{"call": {"id": …}}` all become `callid`. An inner value has priority over an outer one; for the event's
name the outer one has priority.
"""

from functools import lru_cache
from typing import Any, Final

import msgspec

from relay.cloudtalk.errors import InvalidPayload, pointer_step
from relay.cloudtalk.json_values import parse_json
from relay.cloudtalk.values import is_missing

ROOTS: Final = ("data", "call", "payload", "event", "properties", "body", "cdr")
"""Keys whose object is flattened as if its fields were one level higher; the first has priority."""

_PAYLOAD_ROOTS: Final = frozenset({"data", "payload", "properties", "body"})
"""Roots that hold everything about a call. A `call` may have a `contact` beside it."""

_CALL_ROOTS: Final = frozenset({"call", "cdr"})
_ROOTS: Final = frozenset(ROOTS)
_CONTAINERS: Final = frozenset({dict, list})
_EVENT_NAME_KEYS: Final = frozenset({"event", "eventtype", "action", "trigger", "type"})
_MAX_ROOT_DEPTH: Final = 4
_LONGEST_KEY: Final = 100
"""A longer key is not normalized, so that the cache stays small."""

_SEPARATORS: Final = str.maketrans("[", ".", "]_- \t\n\r")


class Field(msgspec.Struct, frozen=True, gc=False):
    """A value under `key` in the object at the pointer `parent`."""

    parent: str
    key: str
    value: Any

    @property
    def pointer(self) -> str:
        """The place of the value in the body (RFC 6901)."""
        return self.parent + pointer_step(self.key)


class FlatBody(msgspec.Struct):
    """`event_names` are the fields that may name the event, the outermost first. `payload` is stored as
    the call's data; it is the object at `payload_pointer`.
    """

    fields: dict[str, Field]
    event_names: list[Field]
    payload: dict[str, Any]
    payload_pointer: str


def normalize_key(key: str) -> str:
    return _normalize_key(key) if len(key) <= _LONGEST_KEY else key


@lru_cache(maxsize=4_096)
def _normalize_key(key: str) -> str:
    steps = [s for s in key.lower().translate(_SEPARATORS).split(".") if s and not s.isdigit()]
    root = ""
    while len(steps) > 1 and steps[0] in ROOTS:
        root = steps.pop(0)
    return _qualify_id(root, ".".join(steps))


def _qualify_id(root: str, key: str) -> str:
    """An `id` may be the envelope's or the call's: only in the call's own object it is surely the call's."""
    return "callid" if key == "id" and root in _CALL_ROOTS else key


def flatten(body: dict[str, Any], pointer: str = "") -> FlatBody:
    """Flatten the body at `pointer`. Raises `InvalidPayload` for JSON inside a text that cannot be stored."""
    flat = FlatBody({}, [], body, pointer)
    _add_layer(flat, body, pointer, "", 0)
    return flat


def _add_layer(flat: FlatBody, layer: dict[str, Any], pointer: str, root: str, depth: int) -> None:
    plain: list[tuple[str, Field]] = []
    dotted: list[tuple[str, Field]] = []
    inner: dict[str, tuple[str, dict[str, Any]]] = {}
    for raw_key, value in layer.items():
        key = _normalize_key(raw_key) if len(raw_key) <= _LONGEST_KEY else raw_key
        if (
            key in _ROOTS
            and depth < _MAX_ROOT_DEPTH
            and (object_ := _parse_root(value, pointer, raw_key)) is not None
        ):
            inner[key] = pointer + pointer_step(raw_key), object_
            continue
        field = Field(pointer, raw_key, value)
        (dotted if "." in raw_key or "[" in raw_key else plain).append((key, field))
        if key in _EVENT_NAME_KEYS:
            flat.event_names.append(field)
    for key in ROOTS if inner else ():
        if key in inner:
            _add_root(flat, key, *inner[key], depth + 1)
    for key, field in dotted + plain if dotted else plain:
        _add_field(flat.fields, _qualify_id(root, key) if root else key, field)


def _add_root(flat: FlatBody, root: str, pointer: str, layer: dict[str, Any], depth: int) -> None:
    if root in _PAYLOAD_ROOTS:
        flat.payload, flat.payload_pointer = layer, pointer
    _add_layer(flat, layer, pointer, root, depth)


def _parse_root(value: Any, parent: str, key: str) -> dict[str, Any] | None:
    """Return the object under a root's key: itself, the only item of a list, or JSON inside a text."""
    value = parse_nested(value, parent, key)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, dict) else None


def parse_nested(value: Any, parent: str, key: str) -> Any:
    """Return the object or list that the text under a key holds as JSON; any other value unchanged.

    Raises `InvalidPayload` for JSON that cannot be stored.
    """
    if not isinstance(value, str) or value[:1] not in {"{", "["}:
        return value
    try:
        return parse_json(value.encode())
    except InvalidPayload as error:
        if error.reason == "not_json":
            return value
        pointer = parent + pointer_step(key) + error.pointer
        raise InvalidPayload(error.reason, error.message, pointer) from error


def _add_field(fields: dict[str, Field], key: str, field: Field) -> None:
    if key not in fields or is_missing(fields[key].value):
        fields[key] = field
    if type(field.value) in _CONTAINERS:
        _add_parts(fields, key, field)


def _add_parts(fields: dict[str, Field], key: str, field: Field) -> None:
    """Add the parts of an object as `contact.name`; of a list, the parts of its first item."""
    value = field.value
    if isinstance(value, list):
        value = value[0] if value else None
    for raw_key, item in value.items() if isinstance(value, dict) else ():
        part_key = f"{key}.{normalize_key(raw_key)}"
        if part_key not in fields or is_missing(fields[part_key].value):
            fields[part_key] = Field(field.pointer, raw_key, item)
