"""From a request to the call events in it."""

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from typing import Any, Final

import msgspec

from relay.call import CallEvent
from relay.cloudtalk import mission
from relay.cloudtalk.errors import Refused
from relay.cloudtalk.event_names import Naming
from relay.cloudtalk.fields import FactReader
from relay.cloudtalk.flow import FLOW
from relay.cloudtalk.mission import MissionReader
from relay.cloudtalk.request import Received, parse_body
from relay.cloudtalk.signed import SIGNED
from relay.cloudtalk.tolerant import Ignored, TolerantReader
from relay.cloudtalk.workflow import WORKFLOW

__all__ = ["Ignored", "Part", "Reader", "Received", "parse_body"]

_DIALECTS: Final = (SIGNED, FLOW, WORKFLOW)
"""After the mission's, in the order in which they are asked whether a body is theirs."""

_EMPTY: Final = Ignored("empty", keep=False)


MOST_EVENTS: Final = 1_000
"""In one body. CloudTalk sends one at a time; an import is better told apart."""


class Part(msgspec.Struct, frozen=True):
    """One event's value and what it says; `whole` where the body is this value and nothing else."""

    value: Any
    reading: CallEvent | Ignored
    whole: bool


class Reader:
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
        facts = FactReader(zone, region, own_numbers)
        self._mission = MissionReader(facts)
        self._tolerant = TolerantReader(facts, Naming(webhook_path, paths))

    def read(self, received: Received) -> list[CallEvent] | Ignored:
        """The events in this request, all of them or none. Raises `Refused`."""
        parts = self.parts(parse_body(received), received)
        events = [part.reading for part in parts if isinstance(part.reading, CallEvent)]
        ignored = [part.reading for part in parts if isinstance(part.reading, Ignored)]
        return events or (ignored[0] if ignored else _EMPTY)

    def parts(self, value: Any, received: Received) -> list[Part]:
        """What each part of this value of `parse_body` says; none where it is empty. Raises `Refused`."""
        if value is None:
            return []
        if not isinstance(value, list):
            return [Part(value, self._read_one(value, received, ""), whole=True)]
        if len(value) > MOST_EVENTS:
            raise Refused("too_many", f"more than {MOST_EVENTS} events in one body")
        # One message may bear several events: what it is known by is then not theirs alone.
        return [
            Part(item, self._read_one(item, _part_of(received, index), f"/{index}"), whole=False)
            for index, item in enumerate(value)
        ]

    def _read_one(self, value: Any, received: Received, pointer: str) -> CallEvent | Ignored:
        if not isinstance(value, dict):
            message = "expected an object with event and data"
            raise Refused("not_an_event", message, pointer, lenient=received.message_id is not None)
        kind = mission.recognise(value, pointer)
        if kind is not None:
            return self._mission.read(kind, value["data"], f"{pointer}/data", received)
        dialect = next(dialect for dialect in _DIALECTS if dialect.recognises(value, received))
        try:
            return self._tolerant.read(dialect, value, received, pointer)
        except Refused as refused:
            refused.lenient = dialect.lenient
            raise


def _part_of(received: Received, index: int) -> Received:
    if received.message_id is None:
        return received
    return msgspec.structs.replace(received, message_id=f"{received.message_id}/{index}")
