"""What a CRM client is: it knows its vendor and no schedule.

A client turns calls into the vendor's records and the vendor's answers into outcomes. When a call
is pushed, again or not at all, is the courier's business, so that one taxonomy serves every CRM.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Generic, Protocol, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from crm_clients.settings import DestinationSettings
from relay.call import Call


class Retraction(msgspec.Struct, frozen=True):
    """A record that must go: its call is part of another one (`call.merged_into`), or none of the CRM's."""

    call: Call
    remote_id: str | None = None


class Push(msgspec.Struct, frozen=True):
    """One call to bring: its newest version, and what changed since the version delivered last.

    A client writes the fields in `changed` only: what people changed in the CRM is theirs. The first
    delivery names every field, as does one of a record that the CRM has lost. `remote_id` is what
    `Delivered` said last.
    """

    call: Call
    changed: frozenset[str]
    first: bool = True
    remote_id: str | None = None


# --- outcomes -----------------------------------------------------------------------------------
#
# Outcome
# ├── Delivered
# ├── CallFailure            this call only
# │   ├── Rejected  Retry  Split  Unknown
# └── DestinationFailure     every call of the destination
#     └── Throttled  Unauthorised  Misconfigured


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one pushed call. `code` is the vendor's own or a word of ours, `message` what
    a person should read; both without secrets.
    """

    name: ClassVar[str]
    code: str | None = None
    message: str | None = None


class Delivered(Outcome, frozen=True, kw_only=True):
    """The CRM has this version."""

    name: ClassVar[str] = "delivered"
    remote_id: str | None = None


class CallFailure(Outcome, frozen=True, kw_only=True):
    """The push of this call failed; it says nothing about other calls."""


class Rejected(CallFailure, frozen=True, kw_only=True):
    """The CRM refuses this record and accepts others: the delivery becomes a dead letter."""

    name: ClassVar[str] = "rejected"


class Retry(CallFailure, frozen=True, kw_only=True):
    """The CRM or the connection to it failed. `after`: the wait in seconds that the CRM asked for."""

    name: ClassVar[str] = "retry"
    after: float | None = None


class Split(CallFailure, frozen=True, kw_only=True):
    """A batch failed and the CRM did not say for which record: bisect it."""

    name: ClassVar[str] = "split"


class Unknown(CallFailure, frozen=True, kw_only=True):
    """The request was sent and no answer came: the CRM may have the record."""

    name: ClassVar[str] = "unknown"


class DestinationFailure(Outcome, frozen=True, kw_only=True):
    """The next request would fail too, whatever its call: the destination pauses, no attempt is counted."""


class Throttled(DestinationFailure, frozen=True, kw_only=True):
    """The relay exceeded a rate limit. `after`: the wait in seconds that the CRM asked for.

    The whole destination pauses, unless only one `rate_limit` is used up: then only these calls wait.
    """

    name: ClassVar[str] = "throttled"
    after: float | None = None
    rate_limit: str | None = None


class Unauthorised(DestinationFailure, frozen=True, kw_only=True):
    """The credentials are invalid: the destination pauses until a person acts."""

    name: ClassVar[str] = "unauthorised"


class Misconfigured(DestinationFailure, frozen=True, kw_only=True):
    """A table, column, property or grant is missing: the destination pauses until a person acts."""

    name: ClassVar[str] = "misconfigured"


# --- what a check finds -----------------------------------------------------------------------


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that `check` looked at: what is wrong, and what to do."""

    name: str
    ok: bool
    code: str | None = None
    problem: str | None = None
    hint: str | None = None


# --- what a client is given, and is -----------------------------------------------------------


class ClientState(Protocol):
    """What a client wants to know again after a restart: texts by key, of this destination alone.

    Whoever holds the customer's number in a key spells it in E.164: so it is found when a person is
    to be forgotten.
    """

    async def get_many(self, keys: Collection[str], *, within: float | None = None) -> dict[str, str]:
        """What is kept under these keys; only what was kept in the last `within` seconds, if given."""

    async def set_many(self, values: Mapping[str, str | None]) -> None:
        """Keep these, in the place of what was kept under their keys. None: keep nothing."""


class Context(msgspec.Struct, frozen=True):
    """What the relay hands to a client: its memory, and how the team reads times and numbers."""

    state: ClientState
    timezone: ZoneInfo
    region: str
    """Country of numbers that come without a country code, as "ES"."""


S = TypeVar("S", bound=DestinationSettings)


class CrmClient(ABC, Generic[S]):
    """A CRM that calls are brought to. Found under the entry-point group `cloudtalk_relay.clients`.

    One instance serves one destination for as long as the process lives; its methods are called on
    one event loop, `upsert` up to `concurrency` times at once, never for the same call twice.
    """

    Settings: ClassVar[type[DestinationSettings]] = DestinationSettings

    def __init__(self, name: str, settings: S, context: Context) -> None:
        """Keep what is given; `settings` is an instance of this class's `Settings`. Open nothing yet."""
        self.name = name
        self.settings = settings
        self.context = context

    @abstractmethod
    async def check(self) -> list[Finding]:
        """Look whether calls could be brought, without writing any."""

    async def setup(self) -> list[str]:
        """Create in the CRM what the client needs, idempotently; say line by line what was done."""
        return [f"{self.name} needs nothing to be set up"]

    def setup_text(self) -> str:
        """What `setup` would do, in the CRM's own language (SQL, requests), for a person to run."""
        return ""

    @abstractmethod
    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        """Bring each call, once; one outcome per push, in their order.

        Expected failures are outcomes. An exception is a fault of the client: the courier logs it
        and tries again later.
        """

    @abstractmethod
    async def retract(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Delete or mark each record, as `on_merge` says; one outcome per retraction, in their order.

        A record that is not there is as good as gone: the relay asks again when it is in doubt.
        """

    @abstractmethod
    async def forget(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Delete whatever the client wrote about each call, and what it remembers of the customer."""

    async def missing(self, pushes: Sequence[Push]) -> Collection[str] | Outcome:
        """The ids of those calls of which the CRM has no record any more, found by reading alone.

        A replay asks, so that it writes only what is not there. An outcome: that one could not look.
        """
        del pushes
        return ()

    async def aclose(self) -> None:
        """Let go of connections; nothing is called afterwards."""
