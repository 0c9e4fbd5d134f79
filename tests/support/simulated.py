"""Simulated calls of every dialect, and what their messages contain."""

from datetime import UTC, datetime
from functools import cache
from typing import Final

from relay.simulator import Message, SimulatedCall, generate_calls

NOW: Final = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)


@cache
def simulated_calls(dialect: str) -> tuple[SimulatedCall, ...]:
    """Generate enough calls that every scenario and every style occurs."""
    return tuple(generate_calls(600, 1, NOW, dialect=dialect))


def event_name(message: Message) -> str | None:
    """Return the event's name from the body, the path or the query."""
    keys = ("event", "event_type", "action", "type")
    in_body = next((message.body[key] for key in keys if key in message.body), None)
    return in_body or message.path.removeprefix("/") or message.query.removeprefix("event=") or None


def ended_messages(call: SimulatedCall) -> list[Message]:
    return [m for m in call.messages if "ended_at" in m.body.get("data", m.body)]
