"""Why nobody answered a missed call, in words that people can read."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class MissedReason(StrEnum):
    """The reasons that CloudTalk's analytics know. Of a new reason the record has CloudTalk's words."""

    OUT_OF_OFFICE = "outside office hours"
    NO_AGENTS_ONLINE = "no agent was online"
    NO_AGENTS_AVAILABLE = "no agent was available"
    NO_AGENTS_PICKED_UP = "nobody picked up"
    CANCELED = "the caller hung up while waiting"
    BUSY = "the agent was busy"
    NOT_PICKED_UP = "the agent did not pick up"
    OFFLINE = "the agent was offline"
    IDLE = "the agent was away"
    IN_MENU = "the caller hung up in the menu"


_SPANISH: Final[Mapping[str, str]] = {
    MissedReason.OUT_OF_OFFICE: "fuera del horario de atención",
    MissedReason.NO_AGENTS_ONLINE: "no había ningún agente conectado",
    MissedReason.NO_AGENTS_AVAILABLE: "no había ningún agente disponible",
    MissedReason.NO_AGENTS_PICKED_UP: "nadie contestó",
    MissedReason.CANCELED: "colgó mientras esperaba",
    MissedReason.BUSY: "el agente estaba ocupado",
    MissedReason.NOT_PICKED_UP: "el agente no contestó",
    MissedReason.OFFLINE: "el agente no estaba conectado",
    MissedReason.IDLE: "el agente estaba ausente",
    MissedReason.IN_MENU: "colgó en el menú",
}


def missed_reason_in_spanish(reason: str) -> str:
    """Return a reason for readers of Spanish. CloudTalk's own words stay as they are."""
    return _SPANISH.get(reason, reason)
