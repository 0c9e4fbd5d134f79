"""Contexts and retractions for tests of clients."""

from zoneinfo import ZoneInfo

from crm_clients.base import ClientState, Context, Retraction
from crm_clients.state import InMemoryClientState
from relay.call import Call
from tests.support.samples import make_call


def context_of(state: ClientState | None = None, *, timezone: str = "Europe/Madrid") -> Context:
    """The context of a team in Spain, by default with an empty client state."""
    return Context(state or InMemoryClientState(), ZoneInfo(timezone), "ES")


def merged(id: str, into: str, version: int) -> Retraction:  # noqa: A002 - the record's own word
    """The retraction of a call that was merged into another one."""
    fields = {name: getattr(make_call(version, id), name) for name in Call.__struct_fields__}
    return Retraction(Call(**fields | {"merged_into": into}))
