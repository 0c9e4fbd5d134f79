"""A test call: posted like one of CloudTalk, followed into every CRM, and removed again.

    run       the steps in order, and what is reported of each
    requests  the events of the call, with a token or a signature that opens the webhook
    post      sends an event to `server.public_url`, and explains a response that is no acknowledgement
    follow    watches the deliveries in the ledger
    removal   removes a test call from the CRMs and from the ledger

The ledger keeps a test call until every CRM has removed it. So if the command is killed, or a CRM cannot be
reached, the next test removes it first (`relay check --send`, or the console), or the next start of a relay
(`relay.operations.left_over_tests`).
"""

from relay.operations.test_call.run import CallTest
from relay.operations.test_call.steps import Kind, OnStep, State, Step

__all__ = ["CallTest", "Kind", "OnStep", "State", "Step"]
