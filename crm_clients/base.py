"""The interface between the relay and a CRM client.

A client translates calls into the vendor's records and the vendor's responses into outcomes. The
relay decides when a call is pushed and when it is retried.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Generic, Protocol, TypeVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

import msgspec

from crm_clients.follow_up import FollowUpRules
from crm_clients.settings import DestinationSettings
from relay.call import Call


class Push(msgspec.Struct, frozen=True):
    """One call to write to the CRM, in its newest version.

    `changed`: the fields that changed since the version delivered last. A client writes only these,
    so that it keeps what people changed in the CRM. If the CRM has lost the record, `changed` has every
    field. `remote_id`: the id of the last `Delivered` of this call.

    `partial`: the CRM may have a record of the call with more than the relay knows, since the relay may have
    lost earlier events of the call. So each first delivery is partial, and a later one if the first found a
    record. On the first delivery `changed` then has only the fields with a known value: a client writes these
    to a record that exists, and a new record whole. In `cloudtalk_data` it keeps the keys that only the CRM
    has.

    `delivered_version`: the version that the CRM took last; 0 if none is known.

    `rewrite`: a person asked for the record as the settings are now, so constants are written again too.
    """

    call: Call
    changed: frozenset[str]
    first: bool = True
    remote_id: str | None = None
    partial: bool = False
    rewrite: bool = False
    delivered_version: int = 0


class Retraction(msgspec.Struct, frozen=True):
    """A record to remove. Its call was merged into `call.merged_into`; if that is None, the call must
    not be in this CRM.
    """

    call: Call
    remote_id: str | None = None


# --- outcomes -----------------------------------------------------------------------------------
#
# Outcome
# ├── Delivered
# ├── CallFailure            this call only
# │   ├── Rejected  Retry  Split  Unknown  Outdated
# └── DestinationFailure     every call of the destination
#     └── Throttled  Unauthorised  Misconfigured


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a push or a retraction for one call.

    `code`: the vendor's error code, or one of the client's. `message`: text for a person. Both must not
    contain secrets.
    """

    name: ClassVar[str]
    code: str | None = None
    message: str | None = None


class Delivered(Outcome, frozen=True, kw_only=True):
    """The CRM has this version. A `code` and a `message` say what it refused besides, as a link.

    `newer_version`: the CRM kept its record, which has this higher version. If the ledger has no such
    version, it was restored from an older copy, and the relay pushes the call again in a higher version.

    `existed`: the first delivery of a call found a record. The next pushes of the call are partial too.
    """

    name: ClassVar[str] = "delivered"
    remote_id: str | None = None
    newer_version: int | None = None
    existed: bool = False


class CallFailure(Outcome, frozen=True, kw_only=True):
    """The push of this call failed; other calls may succeed."""


class Rejected(CallFailure, frozen=True, kw_only=True):
    """The CRM refuses this record and accepts others: the delivery becomes a dead letter."""

    name: ClassVar[str] = "rejected"


class Retry(CallFailure, frozen=True, kw_only=True):
    """The CRM or the connection to it failed. `after`: the wait in seconds that the CRM asked for."""

    name: ClassVar[str] = "retry"
    after: float | None = None


class Split(CallFailure, frozen=True, kw_only=True):
    """A batch failed and the CRM did not report for which record: the relay bisects the batch."""

    name: ClassVar[str] = "split"


class Unknown(CallFailure, frozen=True, kw_only=True):
    """The request was sent and no response came: the CRM may have the record."""

    name: ClassVar[str] = "unknown"


class Outdated(CallFailure, frozen=True, kw_only=True):
    """The record has an older version than `Push.delivered_version`: the CRM was restored. Nothing was
    written, since the changed fields alone would leave the other ones old. The relay pushes the whole record.
    """

    name: ClassVar[str] = "outdated"


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


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One result of `check`: what was checked, what is wrong, and how to fix it.

    A finding that is `ok` and has a `problem` is a warning.
    """

    name: str
    ok: bool
    code: str | None = None
    problem: str | None = None
    hint: str | None = None


class Stored(msgspec.Struct, frozen=True):
    """One record of a call, as it is in the CRM now.

    `version`: that of the record; None if the CRM stores none. `different`: the fields of `Push.changed` that
    the client writes and whose value in the CRM is another one than it would write, as canonical names. A
    value that the CRM or the client only changes the form of (the spelling of a time, the order of keys, a
    text that is cut) is not different. Constants are not compared, since people may change them.
    """

    remote_id: str | None
    version: int | None = None
    different: frozenset[str] = frozenset()


# --- the client -------------------------------------------------------------------------------


class ClientState(Protocol):
    """Texts by key that a client needs after a restart. Every destination has its own.

    A key that contains a customer's number must contain it in E.164: `relay forget` finds it by that.
    A call without keys costs nothing.
    """

    async def get_many(
        self, keys: Collection[str], *, max_age_seconds: float | None = None
    ) -> dict[str, str]:
        """Return the texts under these keys. Unknown keys, and texts older than the age, are absent."""

    async def set_many(self, values: Mapping[str, str | None]) -> None:
        """Replace the texts under these keys; None deletes the key."""


class Context(msgspec.Struct, frozen=True):
    """What the relay gives to a client besides its settings.

    `timezone`: the team's, for dates that people read. `region`: the country of phone numbers without
    a country code, as "ES". `follow_up`: when a missed call needs a task, and when that is due.
    """

    state: ClientState
    timezone: ZoneInfo
    region: str
    follow_up: FollowUpRules = FollowUpRules()


S = TypeVar("S", bound=DestinationSettings)


class CrmClient(ABC, Generic[S]):
    """A client for one CRM, found under the entry-point group `cloudtalk_relay.clients`.

    One instance serves one destination as long as the process lives. Its methods run on one event
    loop. Up to `concurrency` calls of `upsert` run at once, never two with the same call.
    """

    Settings: ClassVar[type[DestinationSettings]] = DestinationSettings

    forget_fields: ClassVar[frozenset[str]] = frozenset({"external_number"})
    """The attributes of a call that `forget` needs besides its id and the remote id. Until the CRM has erased
    a call that a person asked to forget, the relay keeps these and nothing else.
    """

    def __init__(self, name: str, settings: S, context: Context) -> None:
        """`settings` is an instance of this class's `Settings`. Must not open connections or files."""
        self.name = name
        self.settings = settings
        self.context = context

    @abstractmethod
    async def check(self) -> list[Finding]:
        """Find out whether calls can be written, without writing any."""

    async def setup(self) -> list[str]:
        """Create what the client needs in the CRM. Idempotent. Return one line per step, for a person."""
        return [f"{self.name} needs no setup"]

    def setup_text(self) -> str:
        """Return what `setup` would do, in the CRM's own language (SQL, requests), for a person to run."""
        return ""

    @abstractmethod
    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        """Write each call. Return one outcome per push, in the order of the pushes.

        Expected failures are outcomes. An exception is a bug of the client: the relay logs it and
        retries later.
        """

    @abstractmethod
    async def retract(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Delete or mark each record, as `on_merge` says. Return one outcome per retraction, in order.

        The relay repeats a retraction if it is in doubt, so a record that does not exist is `Delivered`.
        """

    @abstractmethod
    async def forget(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Delete everything that the client wrote about each call, and its state about the customer.

        The calls have the attributes in `forget_fields`; all others are unknown. What people wrote, such as
        the contact of the customer, stays. The relay repeats it if it is in doubt, so a record that does not
        exist is `Delivered`.
        """

    async def read(self, pushes: Sequence[Push]) -> Mapping[str, Sequence[Stored]] | Outcome | None:
        """Return what the CRM has of these calls, by call id, without writing. No call is given twice.

        The first record is the one that the client writes; all others are doubles: records of the same call
        that the client would not find by its id, as somebody copied them or another program wrote them. A
        double can be the record of another call of the relay (`remote_id`). A call without a record is
        absent, even if it has doubles.

        If `changed` is empty, nothing is compared and no doubles are searched: the versions are enough.
        Returns an outcome if the CRM cannot be read; None if the client cannot read at all.
        """
        del pushes
        return None

    def record_url(self, remote_id: str) -> str | None:
        """Return the page on which a person sees this record in the CRM; None if it is not known.

        By default it follows the setting `record_url`. It is an http or https URL, computed without a
        request.
        """
        template = self.settings.record_url
        return template.replace("{remote_id}", quote(remote_id, safe="")) if template else None

    async def aclose(self) -> None:
        """Close the connections. No other method is called afterwards."""
