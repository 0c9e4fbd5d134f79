"""The client for any endpoint that accepts Standard Webhooks: one signed POST for each version of a call.

Import only the two names below; the modules are internal.
"""

from crm_clients.webhook.client import WebhookClient
from crm_clients.webhook.settings import WebhookSettings

__all__ = ["WebhookClient", "WebhookSettings"]
