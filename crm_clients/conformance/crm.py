"""What the kit must know of a CRM, real or fake, to try a client on it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, SecretStr

from crm_clients.base import ClientState, Context, CrmClient


class Fault(StrEnum):
    """What a CRM, or the way to it, does to a client."""

    DOWN = "down"
    """Connections are refused."""
    SLOW = "slow"
    """Takes requests, does nothing and does not answer."""
    RESET = "reset"
    """Takes the request and breaks the connection; nothing is written."""
    CUT = "cut"
    """Writes what it was told and breaks the connection before it answers."""
    UNAUTHORISED = "unauthorised"
    """The credentials are refused (401)."""
    THROTTLED = "throttled"
    """Too many requests (429); says `Retry-After: 7`."""
    THROTTLED_WITHOUT_WORD = "throttled_without_word"
    """Too many requests (429); does not say until when."""
    FAILING = "failing"
    """An error of its own (500)."""
    UNAVAILABLE = "unavailable"
    """Not now (503); says `Retry-After: 7`."""
    GARBAGE = "garbage"
    """A page where the API's answer should be, with status 200: a captive portal, a parked domain."""
    MISCONFIGURED = "misconfigured"
    """The place that calls go to, a table or an address, is not there."""


class Ability(StrEnum):
    """What not every CRM has, or lets its client know."""

    EDITS = "edits"
    """People can change a record, and the CRM keeps fields that a later write does not name."""
    LOOKING = "looking"
    """Records can be looked up without writing: `missing` can tell."""
    DIAGNOSIS = "diagnosis"
    """Broken credentials and a missing place show without writing: `check` can tell."""
    REFUSING = "refusing"
    """A record can be bad by itself, while others are taken."""
    COUNTING = "counting"
    """The kit can see when writing requests come."""


class Crm(ABC):
    """A CRM for one test: empty at its beginning, and let go of by `close`.

    Whatever it cannot do or be made to do is named in `lacks`; the tests that need it are skipped and
    say so. All methods are called on the test's thread, while the client may be under way on the same
    one: a server needs a thread or a process of its own.
    """

    Client: ClassVar[type[CrmClient[Any]]]
    """The client that is tried."""

    lacks: ClassVar[frozenset[Ability | Fault]] = frozenset()

    texts: ClassVar[tuple[str, str]] = ("notes", "contact_name")
    """Two fields of the call that the CRM holds as texts, by their canonical names."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What a destination would be told to reach this CRM, without `client`."""

    @abstractmethod
    def records(self, call_id: str) -> list[dict[str, Any]]:
        """Every record of the call with this id (`cloudtalk-…`): one, if all is well. Of each, both
        `texts` by their canonical names, and `merged_into` where it is marked so.
        """

    def edit(self, call_id: str, field: str, text: str) -> None:
        """Change one of the `texts`, as a person would. `Ability.EDITS`."""
        raise NotImplementedError("write `edit`, or name Ability.EDITS in `lacks`")

    def remove(self, call_id: str) -> None:
        """Delete the record, as a person would. `Ability.EDITS`."""
        raise NotImplementedError("write `remove`, or name Ability.EDITS in `lacks`")

    def writes(self) -> list[float]:
        """When each writing request came, by `time.monotonic()`. `Ability.COUNTING`."""
        raise NotImplementedError("write `writes`, or name Ability.COUNTING in `lacks`")

    def refusing(self, call_id: str) -> AbstractContextManager[None]:
        """Refuse the record of this call as invalid, and no other, for as long. `Ability.REFUSING`."""
        raise NotImplementedError("write `refusing`, or name Ability.REFUSING in `lacks`")

    def failing(self, fault: Fault) -> AbstractContextManager[None]:
        """Bring this fault about, for as long; it is asked for none that `lacks` names."""
        raise NotImplementedError(f"bring about Fault.{fault.name} in `failing`, or name it in `lacks`")

    def close(self) -> None:  # noqa: B027 - many have nothing to let go of
        """Let go of whatever it holds."""

    # --- what the kit makes of it -------------------------------------------------------------

    def client(self, memory: ClientState, **settings: Any) -> CrmClient[Any]:
        """A new client for it, as the relay would make one after a start."""
        said = {"client": "conformance", **self.settings(), **settings}
        context = Context(memory, ZoneInfo("Europe/Madrid"), "ES")
        return self.Client("crm", self.Client.Settings.model_validate(said), context)

    def secrets(self) -> set[str]:
        """What may stand in no message: every secret in the settings. Add what else is one."""
        return set(_secrets_in(self.client_settings()))

    def client_settings(self) -> BaseModel:
        """The settings as the client reads them."""
        return self.Client.Settings.model_validate({"client": "conformance", **self.settings()})


def _secrets_in(value: Any) -> Iterator[str]:
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case BaseModel():
            yield from _secrets_in(dict(value))
        case Mapping():
            yield from _secrets_in(list(value.values()))
        case list() | tuple():
            for item in value:
                yield from _secrets_in(item)
