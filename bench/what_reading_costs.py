"""What an event costs before and after the disk: reading its body, and joining it to its call."""

from collections.abc import Callable
from timeit import repeat
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from bench.answer import Answer, BenchError, Figure
from relay.call import CallEvent, CallState, join, state_from_event
from relay.cloudtalk.parser import Parser
from relay.cloudtalk.request import RawRequest
from relay.instants import Instant

QUESTION: Final = "What does reading cost?"
_TIMES: Final = 10_000
_QUICK_TIMES: Final = 1_000
_REPEATS: Final = 5
_MICROSECONDS: Final = 1_000_000
_FIRST_NUMBER: Final = 34_600_000_000

_DATA: Final = {
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
"""The mission's payload."""


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
"""A hand-written body without an event's name."""

_MOST_TYPED: Final = 25
_MOST_TOLERANT: Final = 150


def answer(*, quick: bool) -> Answer:
    """The best of a few repeats: what disturbs a pure function is never its own."""
    times = _QUICK_TIMES if quick else _TIMES
    reader = Parser(ZoneInfo("Europe/Madrid"), "ES")
    known = _body("call.ended")
    others = [_body("call.ended", **{"from": f"+{_FIRST_NUMBER + n}"}) for n in range(times * _REPEATS)]
    strange = iter(others)
    begun, ended = _state(reader, "call.started", 1), _state(reader, "call.ended", 2)

    def read(body: bytes) -> Callable[[], object]:
        return lambda: reader.parse(RawRequest(body))

    signed, workflow = msgspec.json.encode(_SIGNED), msgspec.json.encode(_WORKFLOW)
    return Answer(
        QUESTION,
        (
            Figure("mission", _cost(read(known), times), "µs", _MOST_TYPED),
            Figure("signed", _cost(read(signed), times), "µs", _MOST_TYPED),
            Figure("workflow", _cost(read(workflow), times), "µs", _MOST_TOLERANT),
            Figure(
                "mission, a new number", _cost(lambda: reader.parse(RawRequest(next(strange))), times), "µs"
            ),
            Figure("", _cost(lambda: join(begun, ended), times), "µs per join"),
        ),
        f"best of {_REPEATS} rounds of {times:,} bodies, one thread",
    )


def _cost(work: Callable[[], Any], times: int) -> float:
    return min(repeat(work, number=times, repeat=_REPEATS)) / times * _MICROSECONDS


def _body(event: str, **other: str) -> bytes:
    return msgspec.json.encode({"event": event, "data": _DATA | other})


def _state(reader: Parser, event: str, seq: int) -> CallState:
    match reader.parse(RawRequest(_body(event))):
        case [CallEvent() as reading]:
            return state_from_event(reading, seq=seq, received_at=Instant(seq))
        case other:
            raise BenchError(f"the mission's payload was read as {other!r}")
