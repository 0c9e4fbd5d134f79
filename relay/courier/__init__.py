"""Who brings calls to a CRM: one courier for each destination, over all processes."""

from relay.courier.courier import Courier
from relay.courier.memory import LedgerMemory
from relay.courier.settling import Schedule

__all__ = ["Courier", "LedgerMemory", "Schedule"]
