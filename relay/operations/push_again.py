"""Delivering calls again because a person asked for it: the same for `relay replay` and for the console."""

from collections.abc import Callable, Collection, Mapping

from crm_clients.settings import DestinationSettings
from relay.delivery.replay import Replay, ReplayResult, Scope
from relay.instants import Instant
from relay.ledger import Ledger, actions
from relay.ledger.actions import ActionRow
from relay.settings import Settings

_ACTION = "delivery.replay"


async def push_calls_again(
    ledger: Ledger,
    settings: Settings,
    targets: Mapping[str, DestinationSettings],
    ids: Collection[str],
    *,
    scope: Scope,
    who: str,
) -> ReplayResult:
    """Deliver these calls again to the targets. `ids`: of their records. `who`: see `ActionRow`."""
    result = await _replay(ledger, settings, targets, scope).replay_calls(set(ids))
    now = ledger.now()
    rows = [ActionRow(now, who, _ACTION, name, id_) for name in sorted(targets) for id_ in sorted(ids)]
    await ledger.write(lambda connection: actions.add(connection, rows))
    return result


async def push_again_between(
    ledger: Ledger,
    settings: Settings,
    targets: Mapping[str, DestinationSettings],
    start: Instant | None,
    end: Instant | None,
    on_progress: Callable[[int, int], None],
    *,
    scope: Scope,
    who: str,
) -> ReplayResult:
    """Deliver the calls again that started between these times. `who`: see `ActionRow`."""
    now = ledger.now()
    rows = [ActionRow(now, who, _ACTION, name, None) for name in sorted(targets)]
    await ledger.write(lambda connection: actions.add(connection, rows))
    return await _replay(ledger, settings, targets, scope).replay_between(start, end, on_progress)


def _replay(
    ledger: Ledger, settings: Settings, targets: Mapping[str, DestinationSettings], scope: Scope
) -> Replay:
    return Replay(ledger, targets, forward_internal=settings.cloudtalk.forward_internal, scope=scope)
