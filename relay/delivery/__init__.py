"""Step 3: delivers the newest version of each call to the CRMs.

Each destination has one worker over all processes. In the order of the flow: `worker` takes due deliveries
(`batching`) and chooses what to do with each (`actions`); `attempt` sends the requests (`bisect`); `settle`
writes the result: the state of each delivery (`transitions`, `retry_policy`) and the pause of the destination
(`pauses`).

Import `DeliveryWorker`, `LedgerClientState` and `RetryPolicy` from here, and `relay.delivery.replay` for the
command `relay replay`.
"""

from relay.delivery.client_state import LedgerClientState
from relay.delivery.retry_policy import RetryPolicy
from relay.delivery.worker import DeliveryWorker

__all__ = ["DeliveryWorker", "LedgerClientState", "RetryPolicy"]
