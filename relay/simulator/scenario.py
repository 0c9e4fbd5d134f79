"""Scenarios: the ways in which a call may go, in any dialect but the mission's (which has its own)."""

from typing import Final

import msgspec


class Scenario(msgspec.Struct, frozen=True):
    """One way in which a call may go, and the `status` and `follow_up` of the resulting record.

    `weight` is the relative frequency of the scenario.
    """

    weight: int
    direction: str
    status: str
    ended: bool = True
    answered: bool = False
    voicemail: bool = False
    follow_up: bool = False

    @property
    def inbound(self) -> bool:
        return self.direction == "inbound"


SCENARIOS: Final = (
    Scenario(36, "inbound", "completed", answered=True),
    Scenario(14, "inbound", "missed", follow_up=True),
    Scenario(7, "inbound", "voicemail", voicemail=True, follow_up=True),
    Scenario(3, "inbound", "in_progress", ended=False),
    Scenario(3, "inbound", "answered", ended=False, answered=True),
    Scenario(22, "outbound", "completed", answered=True),
    Scenario(10, "outbound", "no_answer"),
    Scenario(2, "outbound", "in_progress", ended=False),
    Scenario(3, "outbound", "answered", ended=False, answered=True),
)
