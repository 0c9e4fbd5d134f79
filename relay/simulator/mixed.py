"""Several dialects for one call, as in a company that has workflows and adds native webhooks.

Workflows and native webhooks both send the end. Which of them sends the answer and the recording
varies from call to call.
"""

from random import Random
from typing import Any

from relay.simulator.expected import expected_record, format_utc
from relay.simulator.flow import flow_step
from relay.simulator.message import Message, SimulatedCall
from relay.simulator.script import CallScript
from relay.simulator.signed import SignedEvents
from relay.simulator.timed_message import TimedMessage, build_simulated_call
from relay.simulator.workflow import WorkflowEvents, supports

__all__ = ["simulate_call", "supports"]


def simulate_call(script: CallScript, random: Random) -> SimulatedCall:
    workflow = WorkflowEvents(script, random)
    messages = [workflow.started(), *workflow.ringing(), *_answered(script, workflow, random)]
    if not script.scenario.ended:
        return build_simulated_call(script, messages, expected_record(script))
    signed = SignedEvents(script, random, may_withhold=False)
    messages += [
        *signed.ended(),
        workflow.ended(),
        *workflow.modified(),
        *signed.summary(),
        *signed.transcript(),
    ]
    messages += random.choice((signed, workflow)).recording()
    return build_simulated_call(script, messages, _expected(script, workflow))


def _answered(script: CallScript, workflow: WorkflowEvents, random: Random) -> list[TimedMessage]:
    if not script.scenario.answered:
        return []
    choices = [workflow.answered()]
    # The mission's event and the flow step have no agent's name; only the end supplies it.
    if script.scenario.ended:
        choices.append(TimedMessage(script.waiting, _mission_answered(script)))
        if script.scenario.inbound:
            choices.append(flow_step(script, random))
    return [random.choice(choices)]


def _mission_answered(script: CallScript) -> Message:
    """Build an event in the mission's format, with the uuid as its id."""
    caller, callee = script.caller_and_callee
    data = {
        "id": script.uuid,
        "direction": script.scenario.direction,
        "from": caller,
        "to": callee,
        "contact_id": script.customer.contact_id,
        "contact_name": script.customer.contact_name,
        "started_at": format_utc(script.started_at),
        "status": "answered",
    }
    return Message({"event": "call.answered", "data": data})


def _expected(script: CallScript, workflow: WorkflowEvents) -> dict[str, Any]:
    """Native webhooks always state the end, which a workflow may omit, and have no transcript."""
    return expected_record(script) | {"recording_url": workflow.expected()["recording_url"]}
