"""Everything that a user can set: a file, overrides in the environment, secrets in files."""

from relay.settings.clients import ClientError, client_class
from relay.settings.mistakes import SettingsError
from relay.settings.reading import load
from relay.settings.refreshing import refreshed
from relay.settings.sections import CloudTalk, Delivery, Ledger, Log, Server, Settings

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
