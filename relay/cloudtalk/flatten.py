"""A body of any shape as one flat table: which words were said, where, and what under each.

Hand-written bodies are flat, nested under one of several roots, or have dots and brackets in their
keys; keys differ in case, spaces and underscores. A *word* is a key without all that:
`Call_ID`, `data.callId` and `{"call": {"id": …}}` are all `callid`. What stands deeper speaks over
its envelope, except for the event's name, which the envelope says.
"""

from functools import lru_cache
from typing import Any, Final

import msgspec

from relay.cloudtalk import body
from relay.cloudtalk.errors import InvalidPayload, step
from relay.cloudtalk.values import is_nothing

ROOTS: Final = ("data", "call", "payload", "event", "properties", "body", "cdr")
_PAYLOADS: Final = frozenset({"data", "payload", "properties", "body"})
"""The roots that hold all that is said of a call; a `call` may have a `contact` beside it."""

_ROOTS: Final = frozenset(ROOTS)
_CONTAINERS: Final = frozenset({dict, list})
_CALLS: Final = frozenset({"call", "cdr"})
_NAMES: Final = frozenset({"event", "eventtype", "action", "trigger", "type"})
_DEEPEST: Final = 4
_LONGEST: Final = 100
_SEPARATORS: Final = str.maketrans("[", ".", "]_- \t\n\r")


class Field(msgspec.Struct, frozen=True, gc=False):
    """A value and where it stands: under `key` in the object at `above`."""

    above: str
    key: str
    value: Any

    @property
    def pointer(self) -> str:
        """Where it stands in the body."""
        return self.above + step(self.key)


class FlatBody(msgspec.Struct):
    """What was found in a body. `names` may say which event it is, the outermost first; `payload` is
    what is kept as the call's data, and stands at `payload_at`.
    """

    found: dict[str, Field]
    names: list[Field]
    payload: dict[str, Any]
    payload_at: str


def normalize_key(key: str) -> str:
    """The word that a key is."""
    return _normalize_key(key) if len(key) <= _LONGEST else key


@lru_cache(maxsize=4_096)
def _normalize_key(key: str) -> str:
    steps = [s for s in key.lower().translate(_SEPARATORS).split(".") if s and not s.isdigit()]
    root = ""
    while len(steps) > 1 and steps[0] in ROOTS:
        root = steps.pop(0)
    return _under(root, ".".join(steps))


def _under(root: str, word: str) -> str:
    """An `id` is an envelope's, or the call's: only the call's own object tells."""
    return "callid" if word == "id" and root in _CALLS else word


def flatten(said: dict[str, Any], above: str = "") -> FlatBody:
    """Flatten the body at pointer `above`. Raises `InvalidPayload` for nested JSON text that is too deep."""
    shape = FlatBody({}, [], said, above)
    _take(shape, said, above, "", 0)
    return shape


def _take(shape: FlatBody, layer: dict[str, Any], above: str, root: str, depth: int) -> None:
    own: list[tuple[str, Field]] = []
    dotted: list[tuple[str, Field]] = []
    inner: dict[str, tuple[str, dict[str, Any]]] = {}
    for key, value in layer.items():
        word = _normalize_key(key) if len(key) <= _LONGEST else key
        if word in _ROOTS and depth < _DEEPEST and (found := _object_in(value, above, key)) is not None:
            inner[word] = above + step(key), found
            continue
        said = Field(above, key, value)
        (dotted if "." in key or "[" in key else own).append((word, said))
        if word in _NAMES:
            shape.names.append(said)
    for word in ROOTS if inner else ():
        if word in inner:
            _descend(shape, word, *inner[word], depth + 1)
    for word, said in dotted + own if dotted else own:
        _keep(shape.found, _under(root, word) if root else word, said)


def _descend(shape: FlatBody, word: str, above: str, layer: dict[str, Any], depth: int) -> None:
    if word in _PAYLOADS:
        shape.payload, shape.payload_at = layer, above
    _take(shape, layer, above, word, depth)


def _object_in(value: Any, above: str, key: str) -> dict[str, Any] | None:
    """The object that a root holds: itself, alone in a list, or as JSON in text."""
    if isinstance(value, str) and value[:1] == "{":
        try:
            value = body.parse(value.encode())
        except InvalidPayload as refused:
            if refused.reason == "not_json":
                return None
            raise InvalidPayload(
                refused.reason, refused.message, above + step(key) + refused.pointer
            ) from refused
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, dict) else None


def _keep(found: dict[str, Field], word: str, said: Field) -> None:
    if word not in found or is_nothing(found[word].value):
        found[word] = said
    if type(said.value) in _CONTAINERS:
        _keep_parts(found, word, said)


def _keep_parts(found: dict[str, Field], word: str, said: Field) -> None:
    """The parts of an object under its name, `contact.name`; of a list, those of its first one."""
    value = said.value
    if isinstance(value, list):
        value = value[0] if value else None
    for key, item in value.items() if isinstance(value, dict) else ():
        part = f"{word}.{normalize_key(key)}"
        if part not in found or is_nothing(found[part].value):
            found[part] = Field(said.pointer, key, item)
