"""One call in several dialects: a company has workflows, adds native webhooks, and forgets none of them.

Workflows and native webhooks both tell the end; who tells the answer and the recording varies.
"""

from random import Random
from typing import Any

from relay.simulator.flow import step
from relay.simulator.message import Message, SimulatedCall
from relay.simulator.record import iso, record_of, told
from relay.simulator.signed import Signed
from relay.simulator.story import Story, Timed
from relay.simulator.workflow import Workflow, fits

__all__ = ["fits", "simulated"]


def simulated(story: Story, random: Random) -> SimulatedCall:
    """The call as all of them tell it."""
    workflow = Workflow(story, random)
    messages = [workflow.started(), *workflow.ringing(), *_answered(story, workflow, random)]
    if not story.course.ended:
        return told(story, messages, record_of(story))
    signed = Signed(story, random, may_withhold=False)
    messages += [
        *signed.ended(),
        workflow.ended(),
        *workflow.modified(),
        *signed.summary(),
        *signed.transcript(),
    ]
    messages += random.choice((signed, workflow)).recording()
    return told(story, messages, _expected(story, workflow))


def _answered(story: Story, workflow: Workflow, random: Random) -> list[Timed]:
    if not story.course.answered:
        return []
    ways = [workflow.answered()]
    if story.course.ended:  # which will name the agent; these need not
        ways += [(story.waiting, _mission(story))]
        ways += [step(story, random)] if story.course.direction == "inbound" else []
    return [random.choice(ways)]


def _mission(story: Story) -> Message:
    """What a workflow sends whose author followed the mission's document, with the uuid as the id."""
    who, inbound = story.customer, story.course.direction == "inbound"
    data = {
        "id": story.uuid,
        "direction": story.course.direction,
        "from": who.number if inbound else story.own,
        "to": story.own if inbound else who.number,
        "contact_id": who.contact_id,
        "contact_name": who.contact_name,
        "started_at": iso(story.started),
        "status": "answered",
    }
    return Message({"event": "call.answered", "data": data})


def _expected(story: Story, workflow: Workflow) -> dict[str, Any]:
    """Native webhooks say the end that a workflow may leave out, and a transcript of their own."""
    expected = record_of(story) | {"recording_url": workflow.expected()["recording_url"]}
    del expected["transcript"]
    return expected
