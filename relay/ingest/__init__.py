"""Step 1: each request is read, authenticated, parsed and stored before the response is sent.

The application imports `endpoint.WebhookEndpoint` and `limits.AdmissionControl`. Ingest calls no CRM and
folds no event.
"""
