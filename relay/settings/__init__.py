"""Everything that a user can set: a file, overrides in the environment, secrets in files."""

from relay.settings.errors import SettingsError
from relay.settings.loader import load
from relay.settings.models import CloudTalk, Delivery, Ledger, Log, Server, Settings
from relay.settings.plugins import ClientError, client_class
from relay.settings.refreshing import refreshed

__all__ = [
    "ClientError",
    "CloudTalk",
    "Delivery",
    "Ledger",
    "Log",
    "Server",
    "Settings",
    "SettingsError",
    "client_class",
    "load",
    "refreshed",
]
