"""A HubSpot client before the fake account, and the calls that tests bring with it."""

from typing import Any, Final

import msgspec

from crm_clients.base import ClientState, Delivered, Outcome, Push, Retraction
from crm_clients.hubspot import HubSpotClient
from crm_clients.state import InMemoryClientState
from relay.call import DELIVERED_FIELDS, Call, Status
from tests.fakes.hubspot import TOKEN
from tests.support.clients import context_of
from tests.support.samples import call_at

ALL: Final = frozenset(DELIVERED_FIELDS)
NUMBER: Final = "+34600111222"

_FINISHED: Final = {
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
_MISSED: Final = _FINISHED | {
    "status": Status.MISSED,
    "answered_at": None,
    "talking_seconds": 0,
    "follow_up": True,
}


def call(name: str = "cloudtalk-1", **fields: Any) -> Call:
    """A finished inbound call."""
    return msgspec.structs.replace(call_at(1, name), **_FINISHED | {"version": 1} | fields)


def missed(name: str = "cloudtalk-1", **fields: Any) -> Call:
    """An inbound call that nobody answered."""
    return call(name, **_MISSED | fields)


def first(of: Call) -> Push:
    return Push(of, ALL)


def later(of: Call, *changed: str, remote_id: str | None = None, **fields: Any) -> Push:
    """A delivery after the first one, of which these fields have changed."""
    newer = msgspec.structs.replace(of, version=of.version + 1, **fields)
    return Push(newer, frozenset({*changed, *fields}), first=False, remote_id=remote_id)


def gone(of: Call, *, into: str | None = None, remote_id: str | None = None) -> Retraction:
    return Retraction(msgspec.structs.replace(of, merged_into=into), remote_id)


def client_of(url: str, *, memory: ClientState | None = None, **settings: Any) -> HubSpotClient:
    chosen = {"client": "hubspot", "token": TOKEN, "base_url": url, "rate": 500, "search_rate": 500}
    return HubSpotClient(
        "hubspot",
        HubSpotClient.Settings.model_validate(chosen | settings),  # type: ignore[arg-type]
        context_of(memory or InMemoryClientState()),
    )


def words(outcomes: list[Outcome]) -> list[str]:
    return [outcome.name for outcome in outcomes]


def remote_id(outcome: Outcome) -> str:
    assert isinstance(outcome, Delivered), outcome
    assert outcome.remote_id
    return outcome.remote_id
