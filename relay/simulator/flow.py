"""The flow dialect: a call flow asks over HTTP while a customer waits; a workflow says how it ended.

`{{call.uuid}}` is null until somebody has answered, so a step before that says nothing of which call
it is about: the relay acknowledges it and keeps it apart.
"""

from random import Random
from typing import Final

from relay.simulator import naming
from relay.simulator.message import Body, Message, SimulatedCall
from relay.simulator.record import told
from relay.simulator.story import Course, Story, Timed
from relay.simulator.workflow import Workflow

_FLAT: Final = {
    "call.external_number": "external_number",
    "call.uuid": "call_uuid",
    "call.waiting_time": "waiting_time",
    "call.agent_id": "agent_id",
    "call.agent_email": "agent_email",
    "contact.id": "contact_id",
    "contact.name": "contact_name",
}
"""CloudTalk's variables, and keys that a customer who also has workflows would give them."""


def fits(course: Course) -> bool:
    """Call flows are for calls that come in."""
    return course.ended and course.direction == "inbound"


def simulated(story: Story, random: Random) -> SimulatedCall:
    """The call as a flow and a workflow tell it."""
    teller = Workflow(story, random)
    told_by_workflows = [teller.ended(), *teller.modified(), *teller.recording(), *teller.transcript()]
    return told(story, [step(story, random), *told_by_workflows], teller.expected())


def step(story: Story, random: Random) -> Timed:
    """The HTTP request, made when somebody answered or when nobody did."""
    body = _variables(story)
    if random.random() < 0.5:  # noqa: PLR2004 - a coin
        body = {_FLAT[variable]: value for variable, value in body.items()}
    named = story.course.answered and random.random() < 0.5  # noqa: PLR2004 - a coin
    return story.waiting, naming.by_path(naming.ANSWERED, body) if named else Message(body)


def _variables(story: Story) -> Body:
    who, agent = story.customer, story.agent
    return {
        "call.external_number": who.number,
        "call.uuid": story.uuid if story.course.answered else None,
        "call.waiting_time": story.waiting,
        "call.agent_id": agent.id if agent else None,
        "call.agent_email": agent.email if agent else None,
        "contact.id": int(who.contact_id) if who.contact_id and not who.late else None,
        "contact.name": None if who.late else who.contact_name,
    }
