"""The HTTP Request step of a call flow: the customer's keys around `{{call.…}}` and `{{contact.…}}`."""

from typing import Any, Final

from relay.cloudtalk.dialects import Dialect
from relay.cloudtalk.request import RawRequest

_VARIABLES: Final = frozenset(
    {
        "call.uuid",
        "call.external_number",
        "call.waiting_time",
        "call.agent_id",
        "call.agent_email",
        "contact.id",
    }
)


def _recognises(body: dict[str, Any], received: RawRequest) -> bool:
    """By the URL, else by keys called like the variables of a call flow; a workflow's are others."""
    if received.is_of_flow or not _VARIABLES.isdisjoint(body):
        return True
    call = body.get("call")
    return ("uuid" in body and "call_uuid" not in body) or (isinstance(call, dict) and "uuid" in call)


# The caller waits for the answer, and the flow branches on it.
# Until somebody answers, its uuid is null: that is no mistake that a person could mend.
FLOW: Final = Dialect("flow", _recognises, always_ack=True, quarantine_unknown=False)
