"""Wrappers: an automation often puts the event under a key of its own, as `{"record": {…}}`.

The keys in `flatten.ROOTS` are known. Any other key holds the event if there is no second object that could.
"""

from collections.abc import Iterator
from typing import Any, Final

from relay.cloudtalk.errors import pointer_step
from relay.cloudtalk.event_names import CALL_FACTS
from relay.cloudtalk.fields import FIRST_STEPS, keys_of
from relay.cloudtalk.flatten import ROOTS, FlatBody, flatten, normalize_key, parse_nested

CALL_KEYS: Final = keys_of({"call_id", "call_uuid", *CALL_FACTS})
"""Keys that only an event of a call has."""

_MAX_WRAPPERS: Final = 4


def unwrap(value: Any, pointer: str = "") -> tuple[Any, str]:
    """Return the value inside the wrappers around it, and its pointer.

    A wrapper is an object with a single key, which holds an object, its JSON, or a list of objects.
    Raises `InvalidPayload` for JSON inside a text that cannot be stored.
    """
    for _ in range(_MAX_WRAPPERS):
        if not isinstance(value, dict) or len(value) != 1:
            break
        ((key, inner),) = value.items()
        inner = parse_nested(inner, pointer, key)
        if not _is_wrapper(key, inner):
            break
        value, pointer = inner, pointer + pointer_step(key)
        if isinstance(value, list) and len(value) == 1:
            value, pointer = value[0], pointer + "/0"
    return value, pointer


def _is_wrapper(key: str, inner: Any) -> bool:
    """Whether the only key of an object holds the event. An object under a root is left to `flatten`."""
    normalized = normalize_key(key)
    if normalized.partition(".")[0] in FIRST_STEPS:
        return False
    if isinstance(inner, list) and inner and all(isinstance(item, dict) for item in inner):
        return len(inner) > 1 or normalized not in ROOTS
    return isinstance(inner, dict) and normalized not in ROOTS


def add_wrapped(flat: FlatBody) -> FlatBody:
    """Add the fields of the event that a wrapper in the payload holds, if the body has no field of a call.

    Other keys may be beside this wrapper, such as the event's name; it is the only object with fields of a
    call.
    """
    if not CALL_KEYS.isdisjoint(flat.fields):
        return flat
    wrapped = [inner for inner in _flatten_objects(flat) if not CALL_KEYS.isdisjoint(inner.fields)]
    if len(wrapped) != 1:
        return flat
    (inner,) = wrapped
    names = flat.event_names + inner.event_names
    return FlatBody(flat.fields | inner.fields, names, inner.payload, inner.payload_pointer)


def _flatten_objects(flat: FlatBody) -> Iterator[FlatBody]:
    for key, value in flat.payload.items():
        inner = parse_nested(value, flat.payload_pointer, key)
        pointer = flat.payload_pointer + pointer_step(key)
        if isinstance(inner, list) and len(inner) == 1:
            inner = inner[0]
        if isinstance(inner, dict) and normalize_key(key).partition(".")[0] not in FIRST_STEPS:
            yield add_wrapped(flatten(inner, pointer))
