"""Who brings calls to a CRM: one courier for each destination, over all processes."""

from relay.delivery.client_state import LedgerClientState
from relay.delivery.transitions import RetryPolicy
from relay.delivery.worker import DeliveryWorker

__all__ = ["DeliveryWorker", "LedgerClientState", "RetryPolicy"]
