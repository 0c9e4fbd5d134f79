"""How a customer told CloudTalk to name its events: a workflow sends no name of its own."""

from collections.abc import Callable
from random import Random
from typing import Final

from relay.simulator.message import Body, Message

Naming = Callable[[str, Body], Message]
"""Makes a message of an event's name, in the words of `relay cloudtalk-setup`, and its body."""

STARTED: Final = "call.started"
RINGING: Final = "call.ringing"
ANSWERED: Final = "call.answered"
MODIFIED: Final = "call.modified"
ENDED: Final = "call.ended"
RECORDING: Final = "recording.uploaded"
TRANSCRIPT: Final = "transcription.created"

_TOLD_BY_CONTENT: Final = frozenset({ENDED, RECORDING, TRANSCRIPT})
"""What can be known without any name, by the keys that only such a body has."""

_OTHER_WORDS: Final[tuple[dict[str, str], ...]] = (
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


def naming(random: Random) -> Naming:
    """One customer's way, kept for all events of a call."""
    return random.choice((by_path, by_path, by_query, unnamed, _by_key(random), _by_key(random)))


def by_path(name: str, body: Body) -> Message:
    """One URL per event, as `relay cloudtalk-setup` has it."""
    return Message(body, path=f"/{name}")


def by_query(name: str, body: Body) -> Message:
    """The name behind the question mark."""
    return Message(body, query=f"event={name}")


def unnamed(name: str, body: Body) -> Message:
    """No name, where the keys alone tell what it is."""
    return Message(body) if name in _TOLD_BY_CONTENT else by_path(name, body)


def _by_key(random: Random) -> Naming:
    key = random.choice(("event", "event_type", "action"))
    words = random.choice(_OTHER_WORDS)
    return lambda name, body: Message({key: words.get(name, name)} | body)
