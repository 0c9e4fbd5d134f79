"""From a request to the call events in it."""

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from typing import Any, Final

import msgspec

from relay.call import CallEvent
from relay.cloudtalk.dialects import MISSION, recognise_dialect
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.event_names import EventNames
from relay.cloudtalk.fields import FieldParser
from relay.cloudtalk.mission import MissionParser
from relay.cloudtalk.request import RawRequest, parse_body
from relay.cloudtalk.tolerant import Ignored, LenientParser

__all__ = ["Ignored", "ParsedItem", "Parser", "RawRequest", "parse_body"]

_EMPTY: Final = Ignored("empty", quarantine_unknown=False)


MOST_EVENTS: Final = 1_000
"""In one body. CloudTalk sends one at a time; an import is better told apart."""


class ParsedItem(msgspec.Struct, frozen=True):
    """One event's value and what it says; `whole` where the body is this value and nothing else."""

    value: Any
    reading: CallEvent | Ignored
    whole: bool


class Parser:
    """Reads what CloudTalk sends, as one event or an array of them.

    A time without an offset is in `zone`, a national number of `region`; `own_numbers` tell the
    direction where a body does not; `paths` (whole paths) say which event comes there, where neither
    the body nor the part of the path below `webhook_path` does.
    """

    def __init__(
        self,
        zone: tzinfo,
        region: str,
        own_numbers: Iterable[str] = (),
        paths: Mapping[str, str] = {},
        webhook_path: str = "/cloudtalk/webhook",
    ) -> None:
        facts = FieldParser(zone, region, own_numbers)
        self._mission = MissionParser(facts)
        self._lenient = LenientParser(facts, EventNames(webhook_path, paths))

    def read(self, received: RawRequest) -> list[CallEvent] | Ignored:
        """The events in this request, all of them or none. Raises `InvalidPayload`."""
        parts = self.parts(parse_body(received), received)
        events = [part.reading for part in parts if isinstance(part.reading, CallEvent)]
        ignored = [part.reading for part in parts if isinstance(part.reading, Ignored)]
        return events or (ignored[0] if ignored else _EMPTY)

    def parts(self, value: Any, received: RawRequest) -> list[ParsedItem]:
        """Parse each event in a value of `parse_body`; an empty value has none. Raises `InvalidPayload`."""
        if value is None:
            return []
        if not isinstance(value, list):
            return [ParsedItem(value, self._read_one(value, received, ""), whole=True)]
        if len(value) > MOST_EVENTS:
            raise InvalidPayload("too_many", f"more than {MOST_EVENTS} events in one body")
        # One message may bear several events: what it is known by is then not theirs alone.
        return [
            ParsedItem(item, self._read_one(item, _part_of(received, index), f"/{index}"), whole=False)
            for index, item in enumerate(value)
        ]

    def _read_one(self, value: Any, received: RawRequest, pointer: str) -> CallEvent | Ignored:
        if not isinstance(value, dict):
            message = "expected an object with event and data"
            raise InvalidPayload("not_an_event", message, pointer, always_ack=received.message_id is not None)
        dialect = recognise_dialect(value, received)
        try:
            if dialect is MISSION:
                return self._mission.parse(dialect, value, received, pointer)
            return self._lenient.parse(dialect, value, received, pointer)
        except InvalidPayload as refused:
            refused.always_ack = dialect.always_ack
            raise


def _part_of(received: RawRequest, index: int) -> RawRequest:
    if received.message_id is None:
        return received
    return msgspec.structs.replace(received, message_id=f"{received.message_id}/{index}")
