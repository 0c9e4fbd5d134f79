"""The embedded CRM: one SQLite file with a table `calls`, for trying the relay out and for small teams."""

from crm_clients.local.client import LocalClient
from crm_clients.local.settings import LocalSettings

__all__ = ["LocalClient", "LocalSettings"]
