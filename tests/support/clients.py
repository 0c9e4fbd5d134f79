"""Contexts and retractions for tests of clients."""

from zoneinfo import ZoneInfo

import msgspec

from crm_clients.base import ClientState, Context, Retraction
from crm_clients.follow_up import FollowUpRules
from crm_clients.state import InMemoryClientState
from tests.support.samples import make_call


def make_context(
    state: ClientState | None = None,
    *,
    timezone: str = "Europe/Madrid",
    follow_up: FollowUpRules | None = None,
) -> Context:
    """The context of a team in Spain, by default with an empty client state, and with tasks for old calls."""
    rules = follow_up or FollowUpRules()
    return Context(state or InMemoryClientState(), ZoneInfo(timezone), "ES", rules)


def make_retraction(id: str, into: str, version: int) -> Retraction:  # noqa: A002 - the field's name
    """The retraction of a call that was merged into another one."""
    return Retraction(msgspec.structs.replace(make_call(version, id), merged_into=into))
