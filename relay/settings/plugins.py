"""CRM clients by name. Built-in clients and plug-ins are found in the same entry-point group."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from crm_clients.base import CrmClient
from relay.settings.errors import ClientLoadError, suggest

ENTRY_POINT_GROUP: Final = "cloudtalk_relay.clients"


def client_names() -> list[str]:
    """Return the names of all installed clients, sorted."""
    return sorted(entry_points(group=ENTRY_POINT_GROUP).names)


def load_client_class(name: str) -> type[CrmClient[Any]]:
    """Import the client that a destination's `client` key names, and no other client.

    Raises `ClientLoadError`.
    """
    entry = next(iter(entry_points(group=ENTRY_POINT_GROUP, name=name)), None)
    if entry is None:
        known = client_names()
        raise ClientLoadError(
            f'expected a client, one of {", ".join(known)}, found "{name}"{suggest(name, known)}'
        )
    return _import_class(entry)


def _import_class(entry: EntryPoint) -> type[CrmClient[Any]]:
    try:
        loaded = entry.load()
    except Exception as error:  # a plug-in can raise anything; its name helps more than its traceback
        raise ClientLoadError(f"{entry.value} cannot be loaded ({type(error).__name__}: {error})") from error
    if not (isinstance(loaded, type) and issubclass(loaded, CrmClient)):
        raise ClientLoadError(f"{entry.value} is not a CRM client: it must derive from CrmClient")
    return loaded
