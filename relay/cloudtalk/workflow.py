"""Workflow Automations: bodies that customers type by hand, and whatever else is a call's event."""

from typing import Any, Final

from relay.cloudtalk.dialects import Dialect
from relay.cloudtalk.request import RawRequest


def _recognises(_body: dict[str, Any], _received: RawRequest) -> bool:
    """What nobody else does: there is no rule for what a customer types."""
    return True


WORKFLOW: Final = Dialect("workflow", _recognises)
