"""Everything that a user can set: a file, overrides in the environment, secrets in files."""

from relay.settings.errors import SettingsError
from relay.settings.loader import load
from relay.settings.models import CloudTalk, Delivery, Ledger, Log, Server, Settings
from relay.settings.plugins import ClientLoadError, load_client_class
from relay.settings.reload import replace_secrets

__all__ = [
    "ClientLoadError",
    "CloudTalk",
    "Delivery",
    "Ledger",
    "Log",
    "Server",
    "Settings",
    "SettingsError",
    "load",
    "load_client_class",
    "replace_secrets",
]
