"""Parsing: the CPU time to parse a body, and to join an event with its call."""

from collections.abc import Callable
from time import thread_time
from timeit import repeat
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from bench.result import BenchError, Row
from relay.call import CallEvent, CallState, join, state_from_event
from relay.cloudtalk.parser import Parser
from relay.cloudtalk.request import RawRequest
from relay.instants import Instant

_BODIES: Final = 3_000
_QUICK_BODIES: Final = 1_000
_ROUNDS: Final = 5
_MICROSECONDS: Final = 1_000_000
_FIRST_NUMBER: Final = 34_600_000_000

_MISSION_DATA: Final = {
    "id": "call-id",
    "direction": "inbound",
    "from": "+34612345678",
    "to": "+34987654321",
    "contact_id": "contact-id",
    "contact_name": "Nombre del Contacto",
    "duration": 120,
    "started_at": "2024-11-28T10:30:00Z",
    "ended_at": "2024-11-28T10:32:00Z",
    "status": "completed",
}
"""The payload of the mission's example."""

_SIGNED: Final = {
    "event_id": "evt_1",
    "type": "call.ended",
    "version": "v1",
    "occurred_at": "2026-09-26T15:04:05.000Z",
    "data": {
        "call_uuid": "44fe27cd-5268-4670-993e-0129aabbccdd",
        "call_id": "1002402487",
        "direction": "incoming",
        "external_number": "+12025550100",
        "internal_number": {"number_e164": "+12025550111"},
        "started_at": "2026-09-26T15:02:50Z",
        "ended_at": "2026-09-26T15:04:05Z",
        "duration": 75,
        "talking_time": 62,
        "waiting_time": 13,
        "is_voicemail": False,
    },
}
_WORKFLOW: Final = {
    "call_uuid": "44fe27cd-5268-4670-993e-0129aabbccdd",
    "call_id": 1002402487,
    "internal_number": 40312290000,
    "external_number": 39351340000,
    "direction": "incoming",
    "started_at": "2026-09-26 15:02:50",
    "ended_at": None,
    "talking_time": "62",
    "waiting_time": 13,
    "agent_id": 493933,
    "agent_first_name": "Ana",
    "agent_last_name": "Ejemplo",
    "contacts[0].name": "Nombre",
    "tags": "vip,nuevo",
    "# di tentativi di chiamata": 15,
}
"""A body that a customer typed, without the name of the event."""


def measure_parsing(*, quick: bool) -> list[Row]:
    """Measure the best of a few rounds: other processes can only make a round slower."""
    bodies = _QUICK_BODIES if quick else _BODIES
    parser = Parser(ZoneInfo("Europe/Madrid"), "ES")
    # Phone numbers are cached, so a known number and new numbers are measured separately.
    new_numbers = iter(
        [_mission("call.ended", **{"from": f"+{_FIRST_NUMBER + n}"}) for n in range(bodies * _ROUNDS)]
    )
    started, ended = _state(parser, "call.started", 1), _state(parser, "call.ended", 2)

    def parse(body: bytes) -> Callable[[], object]:
        return lambda: parser.parse(RawRequest(body))

    work: dict[str, Callable[[], object]] = {
        "parse a body, mission": parse(_mission("call.ended")),
        "parse a body, mission, with a new number": lambda: parser.parse(RawRequest(next(new_numbers))),
        "parse a body, workflow": parse(_encode(_WORKFLOW)),
        "parse a body, signed": parse(_encode(_SIGNED)),
        "one join": lambda: join(started, ended),
    }
    return [Row(f"CPU: {name} (µs)", (_time_each(run, bodies),)) for name, run in work.items()]


def _time_each(work: Callable[[], Any], times: int) -> float:
    """Return the CPU time of one run in µs."""
    return min(repeat(work, timer=thread_time, number=times, repeat=_ROUNDS)) / times * _MICROSECONDS


def _mission(event: str, **changes: str) -> bytes:
    return _encode({"event": event, "data": _MISSION_DATA | changes})


def _encode(body: dict[str, Any]) -> bytes:
    return msgspec.json.encode(body)


def _state(parser: Parser, event: str, seq: int) -> CallState:
    match parser.parse(RawRequest(_mission(event))):
        case [CallEvent() as parsed]:
            return state_from_event(parsed, seq=seq, received_at=Instant(seq))
        case other:
            raise BenchError(f"the mission's payload was parsed as {other!r}")
