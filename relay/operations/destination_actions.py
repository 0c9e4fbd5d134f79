"""What a person does to a destination: pause, resume, probe. `who`: see `ActionRow`."""

from relay.instants import Instant
from relay.ledger import actions, destinations
from relay.ledger.actions import ActionRow
from relay.ledger.connection import Connection
from relay.settings import Settings


def pause(connection: Connection, settings: Settings, name: str, *, who: str, now: Instant) -> None:
    """Deliver nothing to the destination until it is resumed. Its calls stay pending."""
    ensure_registered(connection, settings, name)
    destinations.pause(connection, name, now=now)
    actions.add(connection, [ActionRow(now, who, "destination.pause", name, None)])


def resume(connection: Connection, settings: Settings, name: str, *, who: str, now: Instant) -> bool:
    """Deliver to the destination again, whatever paused it. Return whether it was paused."""
    ensure_registered(connection, settings, name)
    was_paused = destinations.get(connection, name).paused_reason is not None
    destinations.resume(connection, name)
    if was_paused:
        actions.add(connection, [ActionRow(now, who, "destination.resume", name, None)])
    return was_paused


def probe(connection: Connection, settings: Settings, name: str, *, who: str, now: Instant) -> bool:
    """Try a destination that waits after a failure now. Return whether it was waiting."""
    ensure_registered(connection, settings, name)
    was_waiting = destinations.probe_now(connection, name, now=now)
    if was_waiting:
        actions.add(connection, [ActionRow(now, who, "destination.probe", name, None)])
    return was_waiting


def ensure_registered(connection: Connection, settings: Settings, name: str) -> None:
    """Register a destination of the settings that no relay has served yet."""
    if name in settings.destinations and name not in {row.name for row in destinations.list_all(connection)}:
        destinations.register(connection, {name: settings.destinations[name].client})
