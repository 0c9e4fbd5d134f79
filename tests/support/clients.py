"""What the relay hands to a client, for tests that have no ledger."""

from zoneinfo import ZoneInfo

from crm_clients.base import ClientState, Context, Retraction
from crm_clients.state import InMemoryClientState
from relay.call import Call
from tests.support.samples import call_at


def context_of(memory: ClientState | None = None, *, timezone: str = "Europe/Madrid") -> Context:
    """A team in Spain, and a memory that ends with the test."""
    return Context(memory or InMemoryClientState(), ZoneInfo(timezone), "ES")


def merged(id: str, into: str, version: int) -> Retraction:  # noqa: A002 - the record's own word
    """The record of a call that proved to be part of another."""
    fields = {name: getattr(call_at(version, id), name) for name in Call.__struct_fields__}
    return Retraction(Call(**fields | {"merged_into": into}))
