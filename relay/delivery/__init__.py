"""Step 3: delivers the newest version of each call to the CRMs.

Each destination has one worker over all processes. In the order of the flow: `worker` takes due deliveries,
round after round (`next_due`, `taking`, `batching`), and chooses what to do with each (`choose_action`);
`attempt` sends the requests (`bisect`) in a task of its own (`under_way`); `settle` writes the result: the
state of each delivery (`transitions`, `retry_policy`), the pause of the destination (`pauses`) and the time
of its last delivery (`last_delivery`).

Import `DeliveryWorker`, `LedgerClientState` and `RetryPolicy` from here, and `relay.delivery.replay` for the
command `relay replay`.
"""

from relay.delivery.client_state import LedgerClientState
from relay.delivery.retry_policy import RetryPolicy
from relay.delivery.worker import DeliveryWorker

__all__ = ["DeliveryWorker", "LedgerClientState", "RetryPolicy"]
