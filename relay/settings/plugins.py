"""CRM clients, found by name under an entry-point group: built-in ones come in by the same authenticator."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from crm_clients.base import CrmClient
from relay.settings.errors import SettingsError, nearest

GROUP: Final = "cloudtalk_relay.clients"


class ClientLoadError(SettingsError):
    """There is no such client, or it cannot be loaded."""


def client_names() -> list[str]:
    """The names of all clients that are installed."""
    return sorted(entry_points(group=GROUP).names)


def load_client_class(name: str) -> type[CrmClient[Any]]:
    """The class that a destination's `client` names; only that one's module is imported.

    Raises ClientLoadError, which says what is known.
    """
    entry = next(iter(entry_points(group=GROUP, name=name)), None)
    if entry is None:
        known = client_names()
        raise ClientLoadError(
            f'expected a client, one of {", ".join(known)}, found "{name}"{nearest(name, known)}'
        )
    return _loaded(entry)


def _loaded(entry: EntryPoint) -> type[CrmClient[Any]]:
    try:
        found = entry.load()
    except Exception as error:  # a plug-in may fail in any way, and its name helps more than its traceback
        raise ClientLoadError(f"{entry.value} cannot be loaded ({type(error).__name__}: {error})") from error
    if not (isinstance(found, type) and issubclass(found, CrmClient)):
        raise ClientLoadError(f"{entry.value} is no CRM client: it does not derive from CrmClient")
    return found
