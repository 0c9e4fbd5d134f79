"""Which event a body is: as it says itself, else the query, else the URL, else the settings."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec

from relay.call import Kind
from relay.cloudtalk import values
from relay.cloudtalk.flatten import Field, normalize_key
from relay.cloudtalk.request import RawRequest
from relay.cloudtalk.words import is_event, is_not_of_calls, kind_of

_TYPE: Final = "type"
_SHOWN: Final = 100


class EventName(msgspec.Struct, frozen=True):
    """An event's name as it was said, and the kind that it stands for. `of_calls` is false for messages,
    contacts and users; `in_body` says that the sender typed it into this very body.
    """

    text: str
    kind: Kind | None
    of_calls: bool
    in_body: bool = False

    @property
    def is_known(self) -> bool:
        """Whether it is known what to make of it."""
        return self.kind is not None or not self.of_calls

    @property
    def shown(self) -> str:
        """As a log can bear it."""
        return self.text[:_SHOWN]


def _named(text: str, *, in_body: bool = False) -> EventName:
    kind = kind_of(text)
    return EventName(text, kind, kind is not None or not is_not_of_calls(text), in_body)


class EventNames:
    """Finds names; `paths` says which event a whole path stands for, where its end does not."""

    def __init__(self, webhook_path: str, paths: Mapping[str, str]) -> None:
        self._hook = webhook_path.rstrip("/")
        self._paths = {path.rstrip("/"): name for path, name in paths.items()}

    def name_of(self, said: Sequence[Field], received: RawRequest, *, typed: bool) -> EventName | None:
        """The event's name, None where nobody says it; `typed` tells that `type` is one for sure."""
        return _in_body(said, typed=typed) or self._elsewhere(received)

    def _elsewhere(self, received: RawRequest) -> EventName | None:
        if received.query and (asked := _in_query(received.query)) is not None:
            return _named(asked)
        path = received.path.rstrip("/")
        if path == self._hook and not self._paths:
            return None
        last = unquote(path.removeprefix(self._hook).rpartition("/")[2])
        if is_event(last):
            return _named(last)
        return _named(self._paths[path]) if path in self._paths else None


def _in_body(said: Sequence[Field], *, typed: bool) -> EventName | None:
    """The first that names an event that is known; else the first that is there, where a `type` may
    be the type of anything.
    """
    first: EventName | None = None
    for one in said:
        if (text := _text(one.value)) is not None:
            name = _named(text, in_body=True)
            if name.is_known:
                return name
            if first is None and (typed or normalize_key(one.key) != _TYPE):
                first = name
    return first


def _text(value: Any) -> str | None:
    try:
        return values.text(value)
    except values.InvalidValue:
        return None


def _in_query(query: str) -> str | None:
    asked = (value for key, value in parse_qsl(query) if key.strip().lower() == "event")
    return next((name for value in asked if (name := _text(value)) is not None), None)
