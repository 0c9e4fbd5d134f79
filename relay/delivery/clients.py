"""The CRM clients of the destinations in the settings."""

from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from crm_clients.base import ClientState, Context, CrmClient
from crm_clients.follow_up import FollowUpRules
from relay.settings import Settings, load_client_class


def build_clients(
    settings: Settings,
    client_state: Callable[[str], ClientState],
    *,
    only: Collection[str] | None = None,
) -> dict[str, CrmClient[Any]]:
    """Build the client of each destination, by name, or of the destinations in `only`.

    `client_state` returns the state of a destination's client by the name of the destination.
    """
    timezone, region = ZoneInfo(settings.cloudtalk.timezone), settings.cloudtalk.default_region
    rules = FollowUpRules(
        hours=settings.office_hours,
        within=timedelta(minutes=settings.follow_up.call_back_within_minutes),
        window=timedelta(days=settings.follow_up.window_days),
    )
    return {
        name: load_client_class(destination.client)(
            name, destination, Context(client_state(name), timezone, region, rules)
        )
        for name, destination in settings.destinations.items()
        if only is None or name in only
    }
