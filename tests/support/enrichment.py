"""What CloudTalk's analytics and AI answer about a call, as its OpenAPI description 1.7 has it."""

from typing import Any

NOBODY: dict[str, Any] = {"id": None, "date": None, "agent": {"id": None, "name": None}}


def agent_call(
    id: int,  # noqa: A002 - CloudTalk's own name
    name: str,
    *,
    reason: str | None = "not_picked_up",
    ringing: int | None = 15,
    resolved: dict[str, Any] = NOBODY,
) -> dict[str, Any]:
    """A step of an agent who did not answer."""
    return {
        "type": "agent",
        "id": id,
        "name": name,
        "group_ids": [10],
        "date": "2024-11-28T10:30:05.000Z",
        "call_times": {"talking_time": None, "ringing_time": ringing, "total_time": ringing},
        "status": "missed",
        "reason": reason,
        "resolved_by": resolved["id"],
        "resolved_by_call": resolved,
    }


def queue(
    *agents: dict[str, Any], reason: str | None = "no_agents_picked_up", resolved: dict[str, Any] = NOBODY
) -> dict[str, Any]:
    """A step of a queue in which nobody answered."""
    return {
        "type": "queue",
        "id": 10,
        "name": "Sales",
        "date": "2024-11-28T10:30:00.000Z",
        "status": "missed",
        "reason": reason,
        "resolved_by": resolved["id"],
        "resolved_by_call": resolved,
        "strategy": "ringall",
        "agent_calls": list(agents),
    }


def missed(*steps: dict[str, Any], **other: Any) -> dict[str, Any]:
    """What the analytics say about a missed call, beside its ids."""
    return {
        "direction": "incoming",
        "status": "missed",
        "out_of_office": False,
        "call_steps": list(steps),
        **other,
    }


def transcription(*said: tuple[str, str]) -> dict[str, Any]:
    """A whole transcription of these (`agent` or `contact`, text)."""
    segments = [
        {"start": float(at), "end": at + 0.5, "caller": f"caller-{who}", "text": text}
        for at, (who, text) in enumerate(said)
    ]
    callers = [{"type": who, "id": 7, "localIdentifier": f"caller-{who}"} for who in ("agent", "contact")]
    return {"data": {"callId": 1, "segments": segments, "callers": callers, "language": "es"}}


SMART_NOTES: dict[str, Any] = {
    "callId": 1,
    "smartNotes": {
        "callDetails": {
            "callDateTime": "2024-01-01T21:00:00Z",
            "participants": [{"name": "Marta Ruiz", "callerType": "contact"}],
            "callMetadata": "Reservation 4711",
        },
        "actionItems": ["Send the offer", "Call again on Monday"],
        "decisionsMade": [],
        "importantDatesAndDeadlines": [
            {"dateMention": "2024-01-11T10:00:00Z", "eventDescription": "The offer ends"}
        ],
    },
}
