"""The interface between the test kit and a CRM, real or fake."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, SecretStr

from crm_clients.base import ClientState, Context, CrmClient


class Fault(StrEnum):
    """A failure of the CRM or of the network that the kit injects."""

    DOWN = "down"
    """Connections are refused."""
    HANGING = "hanging"
    """A request is accepted, not processed and not answered."""
    CLOSED_BEFORE_WRITE = "closed_before_write"
    """A request is accepted and the connection is reset; nothing is written."""
    CLOSED_AFTER_WRITE = "closed_after_write"
    """A request is processed and the connection is closed before the response."""
    UNAUTHORISED = "unauthorised"
    """The credentials are refused (401)."""
    THROTTLED = "throttled"
    """Too many requests (429), with `Retry-After: 7`."""
    THROTTLED_WITHOUT_RETRY_AFTER = "throttled_without_retry_after"
    """Too many requests (429), without `Retry-After`."""
    SERVER_ERROR = "server_error"
    """An internal error of the CRM (500)."""
    UNAVAILABLE = "unavailable"
    """Temporarily unavailable (503), with `Retry-After: 7`."""
    HTML_PAGE = "html_page"
    """An HTML page with status 200 instead of the API's response: a captive portal, a parked domain."""
    ENDLESS_ANSWER = "endless_answer"
    """A request is processed, and the body of the response does not end."""
    MISCONFIGURED = "misconfigured"
    """The table or the address that calls are written to does not exist."""


class Capability(StrEnum):
    """Something that not every CRM or client can do."""

    EDITS = "edits"
    """People can change a record, and the CRM keeps fields that a later write does not name."""
    LOOKUP = "lookup"
    """Records can be found by reading, so that the client implements `read`."""
    DOUBLES = "doubles"
    """A second record of a call can exist, and be found: the kit makes one by `double`."""
    DIAGNOSIS = "diagnosis"
    """`check` can find invalid credentials and a missing table or address without writing."""
    REJECTION = "rejection"
    """The CRM can reject one record and accept others."""
    WRITE_TIMES = "write_times"
    """The kit can see when writing requests arrive."""


class Crm(ABC):
    """A CRM for one test. It is empty at first, and `close` releases it.

    `unsupported` names what it cannot do and which faults it cannot inject; the kit skips the tests
    that need them. All methods are called on the test's thread, on which the client may have requests
    in flight. So a server needs a thread or a process of its own.
    """

    Client: ClassVar[type[CrmClient[Any]]]
    """The client under test."""

    unsupported: ClassVar[frozenset[Capability | Fault]] = frozenset()

    text_fields: ClassVar[tuple[str, str]] = ("notes", "contact_name")
    """Two canonical fields of a call that the CRM stores as texts."""

    endless_answers_read = 0
    """How often the client has read all that the CRM sends during ENDLESS_ANSWER, which is 64 MiB."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the settings of a destination for this CRM, without `client`."""

    @abstractmethod
    def records(self, call_id: str) -> list[dict[str, Any]]:
        """Return every record of the call with this id (`cloudtalk-…`).

        A record has both `text_fields` under their canonical names, and `merged_into` if it is marked.
        """

    def edit(self, call_id: str, field: str, text: str) -> None:
        """Change one of the `text_fields`, as a person would. For `Capability.EDITS`."""
        raise NotImplementedError("implement `edit`, or name Capability.EDITS in `unsupported`")

    def remove(self, call_id: str) -> None:
        """Delete the record, as a person would. For `Capability.EDITS`."""
        raise NotImplementedError("implement `remove`, or name Capability.EDITS in `unsupported`")

    def double(self, call_id: str) -> None:
        """Make a second record of the call, as another program would. For `Capability.DOUBLES`."""
        raise NotImplementedError("implement `double`, or name Capability.DOUBLES in `unsupported`")

    def write_times(self) -> list[float]:
        """Return when each writing request arrived, by `time.monotonic()`. For `Capability.WRITE_TIMES`."""
        raise NotImplementedError("implement `write_times`, or name Capability.WRITE_TIMES in `unsupported`")

    def reject(self, call_id: str) -> AbstractContextManager[None]:
        """Reject only the record of this call during the block. For `Capability.REJECTION`."""
        raise NotImplementedError("implement `reject`, or name Capability.REJECTION in `unsupported`")

    def inject(self, fault: Fault) -> AbstractContextManager[None]:
        """Inject a fault during the block. It is called with supported faults only."""
        raise NotImplementedError(f"implement Fault.{fault.name} in `inject`, or name it in `unsupported`")

    def close(self) -> None:  # noqa: B027 - many have nothing to release
        """Release what the CRM holds."""

    # --- used by the kit --------------------------------------------------------------------------

    def make_client(self, state: ClientState, **settings: Any) -> CrmClient[Any]:
        """Return a new client, as the relay makes it after a start."""
        values = {"client": "conformance", **self.settings(), **settings}
        context = Context(state, ZoneInfo("Europe/Madrid"), "ES")
        return self.Client("crm", self.Client.Settings.model_validate(values), context)

    def secrets(self) -> set[str]:
        """Return what no message may contain: all secrets of the settings. Extend it if there are others."""
        return set(_find_secrets(self.parse_settings()))

    def parse_settings(self) -> BaseModel:
        """Return the settings as the client gets them."""
        return self.Client.Settings.model_validate({"client": "conformance", **self.settings()})


def _find_secrets(value: Any) -> Iterator[str]:
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case BaseModel():
            yield from _find_secrets(dict(value))
        case Mapping():
            yield from _find_secrets(list(value.values()))
        case list() | tuple():
            for item in value:
                yield from _find_secrets(item)
