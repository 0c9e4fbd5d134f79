"""The embedded CRM: one SQLite file with a table `calls`, for trials and small teams.

Import only the two names below; the modules are internal.
"""

from crm_clients.local.client import LocalClient
from crm_clients.local.settings import LocalSettings

__all__ = ["LocalClient", "LocalSettings"]
