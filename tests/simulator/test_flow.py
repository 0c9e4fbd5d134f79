"""The messages of the flow dialect."""

from tests.support.simulated import ended_messages, simulated_calls

CALLS = simulated_calls("flow")


def test_a_flow_step_has_the_uuid_only_if_an_agent_answered() -> None:
    for call in CALLS:
        step = call.bodies[0]
        uuid = step["call.uuid"] if "call.uuid" in step else step["call_uuid"]
        answered = call.expected["status"] == "completed"
        assert uuid == (call.expected["call_uuid"] if answered else None)
        assert ended_messages(call)
