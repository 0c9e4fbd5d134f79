"""The flow dialect: a step of a call flow sends a request while the customer waits on the line.

`{{call.uuid}}` is null until an agent has answered. A step before that names no call: the relay
acknowledges its request and puts the body into quarantine. A workflow sends the end of the call.
"""

from random import Random
from typing import Final

from relay.simulator import event_naming
from relay.simulator.message import Body, Message, SimulatedCall
from relay.simulator.scenario import Scenario
from relay.simulator.script import CallScript
from relay.simulator.timed_message import TimedMessage, build_simulated_call
from relay.simulator.workflow import WorkflowEvents

_WORKFLOW_KEYS: Final = {
    "call.external_number": "external_number",
    "call.uuid": "call_uuid",
    "call.waiting_time": "waiting_time",
    "call.agent_id": "agent_id",
    "call.agent_email": "agent_email",
    "contact.id": "contact_id",
    "contact.name": "contact_name",
}
"""CloudTalk's flow variables, and the keys that a customer with workflows would send them under."""


def supports(scenario: Scenario) -> bool:
    """Call flows handle incoming calls only."""
    return scenario.ended and scenario.inbound


def simulate_call(script: CallScript, random: Random) -> SimulatedCall:
    """Build the messages of a company that uses a call flow and workflows."""
    workflow = WorkflowEvents(script, random)
    after_call = [workflow.ended(), *workflow.modified(), *workflow.recording(), *workflow.transcript()]
    return build_simulated_call(script, [flow_step(script, random), *after_call], workflow.expected())


def flow_step(script: CallScript, random: Random) -> TimedMessage:
    """Build the request of the step that runs once an agent has answered, or once none has."""
    body = _variables(script)
    if random.random() < 0.5:  # noqa: PLR2004 - half of them
        body = {_WORKFLOW_KEYS[variable]: value for variable, value in body.items()}
    is_named = script.scenario.answered and random.random() < 0.5  # noqa: PLR2004 - half of them
    message = event_naming.name_in_path(event_naming.ANSWERED, body) if is_named else Message(body)
    return TimedMessage(script.waiting, message)


def _variables(script: CallScript) -> Body:
    customer, agent = script.customer, script.agent
    known = not customer.created_during_call
    return {
        "call.external_number": customer.number,
        "call.uuid": script.uuid if script.scenario.answered else None,
        "call.waiting_time": script.waiting,
        "call.agent_id": agent.id if agent else None,
        "call.agent_email": agent.email if agent else None,
        "contact.id": int(customer.contact_id) if customer.contact_id and known else None,
        "contact.name": customer.contact_name if known else None,
    }
