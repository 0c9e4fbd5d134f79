"""Who brings calls to a CRM: one courier for each destination, over all processes."""

from relay.delivery.client_state import LedgerMemory
from relay.delivery.transitions import Schedule
from relay.delivery.worker import Courier

__all__ = ["Courier", "LedgerMemory", "Schedule"]
