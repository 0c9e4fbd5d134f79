"""A HubSpot client for the fake account, and the calls and pushes of its tests."""

from typing import Any, Final

import msgspec

from crm_clients.base import ClientState, Delivered, Outcome, Push, Retraction
from crm_clients.follow_up import FollowUpRules
from crm_clients.hubspot import HubSpotClient
from crm_clients.state import InMemoryClientState
from relay.call import DELIVERED_FIELDS, Call, Status
from tests.fakes.hubspot import TOKEN
from tests.support.clients import make_context
from tests.support.samples import make_call

NUMBER: Final = "+34600111222"

_COMPLETED: Final = {
    "direction": "inbound",
    "status": Status.COMPLETED,
    "from_": NUMBER,
    "to": "+34910000001",
    "external_number": NUMBER,
    "internal_number": "+34910000001",
    "agent_email": "ana@example.test",
    "started_at": "2026-11-24T09:42:11Z",
    "answered_at": "2026-11-24T09:42:20Z",
    "ended_at": "2026-11-24T09:43:12Z",
    "duration_seconds": 61,
    "talking_seconds": 52,
}
_MISSED: Final = {"status": Status.MISSED, "answered_at": None, "talking_seconds": 0, "follow_up": True}


def call(name: str = "cloudtalk-1", **fields: Any) -> Call:
    """A completed inbound call."""
    return msgspec.structs.replace(make_call(1, name), **_COMPLETED | {"version": 1} | fields)


def missed_call(name: str = "cloudtalk-1", **fields: Any) -> Call:
    """An inbound call that nobody answered."""
    return call(name, **_MISSED | fields)


def first_push(of: Call) -> Push:
    """The first delivery of a call."""
    return Push(of, frozenset(DELIVERED_FIELDS))


def later_push(of: Call, *changed: str, remote_id: str | None = None, **fields: Any) -> Push:
    """A later delivery. `fields`: new values; `changed`: further fields that count as changed."""
    newer = msgspec.structs.replace(of, version=of.version + 1, **fields)
    return Push(newer, frozenset({*changed, *fields}), first=False, remote_id=remote_id)


def retraction(of: Call, *, into: str | None = None, remote_id: str | None = None) -> Retraction:
    return Retraction(msgspec.structs.replace(of, merged_into=into), remote_id)


def build_client(
    url: str,
    *,
    state: ClientState | None = None,
    follow_up: FollowUpRules | None = None,
    **settings: Any,
) -> HubSpotClient:
    defaults = {"client": "hubspot", "token": TOKEN, "base_url": url, "rate": 500, "search_rate": 500}
    return HubSpotClient(
        "hubspot",
        HubSpotClient.Settings.model_validate(defaults | settings),  # type: ignore[arg-type]
        make_context(state or InMemoryClientState(), follow_up=follow_up),
    )


def outcome_names(outcomes: list[Outcome]) -> list[str]:
    return [outcome.name for outcome in outcomes]


def remote_id(outcome: Outcome) -> str:
    """Return the remote id of a call that must have been delivered."""
    assert isinstance(outcome, Delivered), outcome
    assert outcome.remote_id
    return outcome.remote_id
