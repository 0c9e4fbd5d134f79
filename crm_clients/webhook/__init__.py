"""Any endpoint, in the way of Standard Webhooks: a signed POST for each version of a call."""

from crm_clients.webhook.client import WebhookClient
from crm_clients.webhook.settings import WebhookSettings

__all__ = ["WebhookClient", "WebhookSettings"]
