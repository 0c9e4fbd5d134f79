"""The record that a story must end as, written from the story alone."""

from datetime import datetime
from typing import Any

from relay.simulator.message import Message, SimulatedCall
from relay.simulator.story import Story, Timed


def record_of(story: Story) -> dict[str, Any]:
    """The record where all of the story was told, but for its recording and transcript."""
    course = story.course
    return (
        _identity(story)
        | _people(story)
        | _end(story)
        | {
            "direction": course.direction,
            "status": course.status,
            "started_at": iso(story.started),
            "recording_url": None,
            "transcript": None,
            "tags": story.edits[-1][1].split(",") if story.edits else [],
            "follow_up": course.follow_up,
        }
    )


def _identity(story: Story) -> dict[str, Any]:
    return {
        "id": f"cloudtalk-{story.uuid}",
        "call_id": str(story.call_id) if story.course.ended else None,
        "call_uuid": story.uuid,
    }


def _people(story: Story) -> dict[str, Any]:
    who, course = story.customer, story.course
    caller, callee = (who.number, story.own) if course.direction == "inbound" else (story.own, who.number)
    known = not who.late or course.ended or course.answered
    # A call that only rings has no agent yet, not even where one dialled it.
    agent = story.agent if course.ended or course.answered else None
    return {
        "from": caller,
        "to": callee,
        "external_number": who.number,
        "internal_number": story.own,
        "contact_id": who.contact_id if known else None,
        "contact_name": who.contact_name if known else None,
        "agent_id": str(agent.id) if agent else None,
        "agent_name": agent.name if agent else None,
        "agent_email": agent.email if agent else None,
    }


def _end(story: Story) -> dict[str, Any]:
    over = story.course.ended
    return {
        "ended_at": iso(story.at(story.over)) if over else None,
        "duration_seconds": story.over if over else None,
        "talking_seconds": story.talking if over else None,
        "waiting_seconds": story.waiting if over else None,
        "wrapup_seconds": story.wrapup if over else None,
    }


def told(story: Story, messages: list[Timed], expected: dict[str, Any]) -> SimulatedCall:
    """The messages in their order, and the record. Its id is that of whichever of CloudTalk's two ids
    came first, and a tag taken away must not come before it was given.
    """
    in_order: list[Message] = [message for _, message in sorted(messages, key=lambda timed: timed[0])]
    by_order = {"id", "tags"} if len(story.edits) > 1 else {"id"}
    return SimulatedCall(tuple(in_order), expected, frozenset(by_order))


def iso(moment: datetime) -> str:
    """As the record writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
