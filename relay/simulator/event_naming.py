"""The ways in which customers name the events of their workflows: CloudTalk itself sends no name."""

from collections.abc import Callable
from random import Random
from typing import Final

from relay.simulator.message import Body, Message

EventNamer = Callable[[str, Body], Message]
"""Builds a message from an event's name, as `relay cloudtalk-setup` prints it, and a body."""

STARTED: Final = "call.started"
RINGING: Final = "call.ringing"
ANSWERED: Final = "call.answered"
MODIFIED: Final = "call.modified"
ENDED: Final = "call.ended"
RECORDING: Final = "recording.uploaded"
TRANSCRIPT: Final = "transcription.created"

_RECOGNISABLE_BY_KEYS: Final = frozenset({ENDED, RECORDING, TRANSCRIPT})
"""Events that need no name: their bodies have keys that no other event has."""

_SPELLINGS: Final[tuple[dict[str, str], ...]] = (
    {},
    {
        STARTED: "call_started",
        RINGING: "ringing_on_agent",
        ANSWERED: "call_answered",
        ENDED: "call_ended",
        RECORDING: "recording_uploaded",
    },
    {STARTED: "started", RINGING: "ringing_on_agent", ANSWERED: "answered", ENDED: "ended"},
    {STARTED: "dialing", RINGING: "ringing", ENDED: "CALL_ENDED", RECORDING: "call.recording_ready"},
)


def choose_namer(random: Random) -> EventNamer:
    """Choose one customer's way of naming events; a call uses one way for all its events."""
    return random.choice(
        (
            name_in_path,
            name_in_path,
            name_in_query,
            name_if_needed,
            _choose_body_namer(random),
            _choose_body_namer(random),
        )
    )


def name_in_path(name: str, body: Body) -> Message:
    """Use one URL per event, as `relay cloudtalk-setup` recommends."""
    return Message(body, path=f"/{name}")


def name_in_query(name: str, body: Body) -> Message:
    return Message(body, query=f"event={name}")


def name_if_needed(name: str, body: Body) -> Message:
    """Send no name if the keys of the body identify the event."""
    return Message(body) if name in _RECOGNISABLE_BY_KEYS else name_in_path(name, body)


def _choose_body_namer(random: Random) -> EventNamer:
    key = random.choice(("event", "event_type", "action"))
    spelling = random.choice(_SPELLINGS)
    return lambda name, body: Message({key: spelling.get(name, name)} | body)
