"""Settings: the models, and how they are loaded from a TOML file, the environment and secret files.

Import from here: `load` and `Settings` with its sections, the errors, `review` and `review_public_url` for
warnings about valid settings, `load_client_class`, `collect_secrets` for the log, `reveal` for
the texts of secrets, and `replace_secrets` for a reload.
"""

from relay.settings.errors import ClientLoadError, SettingsError
from relay.settings.loader import load
from relay.settings.models import CloudTalk, Delivery, Ledger, Log, Privacy, Server, Settings
from relay.settings.plugins import load_client_class
from relay.settings.reload import replace_secrets
from relay.settings.review import review, review_public_url
from relay.settings.secrets import collect_secrets, reveal

__all__ = [
    "ClientLoadError",
    "CloudTalk",
    "Delivery",
    "Ledger",
    "Log",
    "Privacy",
    "Server",
    "Settings",
    "SettingsError",
    "collect_secrets",
    "load",
    "load_client_class",
    "replace_secrets",
    "reveal",
    "review",
    "review_public_url",
]
