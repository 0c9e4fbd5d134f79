"""What a CRM client is: it knows its vendor and no schedule.

A client turns calls into the vendor's records and the vendor's answers into outcomes. When a call
is pushed, again or not at all, is the courier's business, so that one taxonomy serves every CRM.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Final, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from relay.call import Call, Status

DEFAULT_LABELS: Final[dict[Status, str]] = {
    Status.IN_PROGRESS: "En Progreso",
    Status.ANSWERED: "Completada",
    Status.COMPLETED: "Completada",
    Status.MISSED: "Perdida",
    Status.VOICEMAIL: "Perdida",
    Status.NO_ANSWER: "Perdida",
}
"""How the mission's CRM shows a status."""


class DestinationSettings(BaseModel):
    """What every destination can be told; a client adds its own keys in a subclass."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    client: str = Field(description="The client that speaks to this CRM.")
    enabled: bool = Field(True, description="Off: calls are still owed, nothing is sent.")
    batch: int = Field(100, ge=1, le=1000, description="Calls in one push, at most.")
    rate: float | None = Field(None, gt=0, description="HTTP requests per second, at most.")
    concurrency: int = Field(2, ge=1, le=32, description="Pushes under way at once.")
    on_merge: Literal["delete", "mark"] = Field(
        "delete",
        description="What becomes of a record when its call proves to be part of another: deleted, or "
        "marked with the other's id (`merged_into`).",
    )
    timeout_seconds: float = Field(
        30, gt=0, le=600, description="Bound of one push, all its requests included."
    )
    labels: dict[Status, str] = Field(
        default_factory=dict, description="What a status is called in this CRM."
    )

    def label(self, status: Status) -> str:
        """The word that this CRM's users read for a status."""
        return self.labels.get(status) or DEFAULT_LABELS[status]


class Retraction(msgspec.Struct, frozen=True):
    """A record that must go: its call is part of another one, `merged_into`, or none of the CRM's."""

    call_id: str
    merged_into: str | None
    version: int
    remote_id: str | None = None


class Push(msgspec.Struct, frozen=True):
    """One call to bring: its newest version, and what changed since the version delivered last.

    `changed` names every field on the first delivery. A client writes those only: what people
    changed in the CRM is theirs.
    """

    call: Call
    changed: frozenset[str]
    remote_id: str | None = None


# --- what a push can come back as -------------------------------------------------------------


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one pushed call. `code` is the vendor's own or a word of ours, `message` what
    a person should read; both without secrets.
    """

    word: ClassVar[str]
    code: str | None = None
    message: str | None = None


class Delivered(Outcome, frozen=True, kw_only=True):
    """The CRM has this version."""

    word: ClassVar[str] = "delivered"
    remote_id: str | None = None


class Rejected(Outcome, frozen=True, kw_only=True):
    """This record is bad and others are fine: a dead letter."""

    word: ClassVar[str] = "rejected"


class Retry(Outcome, frozen=True, kw_only=True):
    """The CRM, or the way to it, failed. `after`: seconds that the CRM asked for."""

    word: ClassVar[str] = "retry"
    after: float | None = None


class Throttled(Outcome, frozen=True, kw_only=True):
    """The relay is too fast: the whole destination waits. `after`: seconds that the CRM asked for."""

    word: ClassVar[str] = "throttled"
    after: float | None = None


class Unauthorised(Outcome, frozen=True, kw_only=True):
    """The credentials are broken: the destination waits for a person."""

    word: ClassVar[str] = "unauthorised"


class Misconfigured(Outcome, frozen=True, kw_only=True):
    """Unknown table, column or property, or a missing grant: the destination waits for a person."""

    word: ClassVar[str] = "misconfigured"


class Split(Outcome, frozen=True, kw_only=True):
    """The batch failed and the CRM did not say for which record: halve and try again."""

    word: ClassVar[str] = "split"


class Unknown(Outcome, frozen=True, kw_only=True):
    """Sent, and no answer: the CRM may have it or not."""

    word: ClassVar[str] = "unknown"


# --- what a check finds -----------------------------------------------------------------------


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that `check` looked at: what is wrong, and what to do."""

    name: str
    ok: bool
    code: str | None = None
    problem: str | None = None
    hint: str | None = None


class CrmClient(ABC):
    """A CRM that calls are brought to. Found under the entry-point group `cloudtalk_relay.clients`.

    One instance serves one destination for as long as the process lives; its methods are called on
    one event loop, `upsert` up to `concurrency` times at once, never for the same call twice.
    """

    Settings: ClassVar[type[DestinationSettings]] = DestinationSettings

    @abstractmethod
    def __init__(self, name: str, settings: DestinationSettings) -> None:
        """Keep the settings, an instance of this class's `Settings`; open nothing yet."""

    @abstractmethod
    async def check(self) -> list[Finding]:
        """Look whether calls could be brought, without writing any."""

    @abstractmethod
    async def setup(self) -> list[str]:
        """Create in the CRM what the client needs, idempotently; say line by line what was done."""

    @abstractmethod
    def setup_text(self) -> str:
        """What `setup` would do, in the CRM's own language (SQL, requests), for a person to run."""

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

    async def aclose(self) -> None:  # noqa: B027 - most clients hold something, not all must
        """Let go of connections; nothing is called afterwards."""
