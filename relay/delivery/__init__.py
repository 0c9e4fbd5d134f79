"""Step 3: delivers the newest version of each call to the CRMs.

Each destination has one worker over all processes.

Import `DeliveryWorker`, `LedgerClientState` and `RetryPolicy` from here, and `relay.delivery.replay` for the
command `relay replay`.
"""

from relay.delivery.client_state import LedgerClientState
from relay.delivery.retry_policy import RetryPolicy
from relay.delivery.worker import DeliveryWorker

__all__ = ["DeliveryWorker", "LedgerClientState", "RetryPolicy"]
