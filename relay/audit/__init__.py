"""The audit: whether CloudTalk's history, the ledger and each CRM have the same calls (`relay audit`).

`comparing` compares one call with its records in a CRM, `crm_side` does so for the calls of a range,
`cloudtalk_side` imports what only CloudTalk's history has, `repairing` lets the delivery workers write again
what a CRM lost, `run` does all of it and stores the result, and `worker` does so every night. Results are in
`relay.ledger.audits`. Import from the modules.
"""
