"""HubSpot's successful responses: the parts that its API description promises and the client relies on.

A type here is the contract of a response: `parse_response` is the one place where a response is compared with
it. A response without a promised part answers nothing. Read as "there is none", it would duplicate contacts,
or count as delivered what HubSpot has not stored.
"""

from collections.abc import Collection
from http import HTTPStatus
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec

from crm_clients.base import Retry
from crm_clients.hubspot.errors import ApiError, parse_error
from relay.standards.numbers import parse_digits

JsonObject = dict[str, Any]
T = TypeVar("T")

UNEXPECTED_ANSWER: Final = "unexpected_answer"

Id = Annotated[str, msgspec.Meta(min_length=1)] | int
"""HubSpot: ids are texts of digits, in associations also numbers."""

Complete = Literal["COMPLETE"]
"""The status of a batch that HubSpot has executed; the others are PENDING, PROCESSING and CANCELED."""


class NextPage(msgspec.Struct, frozen=True):
    """Where the next page of a list begins."""

    after: Id


class Paging(msgspec.Struct, frozen=True):
    """The further pages of a list; none on the last page."""

    next: NextPage | None = None


class Results(msgspec.Struct, Generic[T], frozen=True, rename="camel"):
    """A list, or the results of a batch. Single records of a batch may have failed, see `errors`.

    HubSpot: partial failure is status 207 in v3 and 2026-03, and `numErrors` with 200 or 201 from 2026-09 on.
    """

    results: list[T]
    status: Complete | None = None
    error_objects: list[JsonObject] | None = msgspec.field(default=None, name="errors")
    num_errors: int | None = None
    total: int | None = None
    paging: Paging | None = None

    def __post_init__(self) -> None:
        """Refuse an empty page that counts results or has a next page. Raises: ValueError."""
        if not self.results and (self.total or self.next_page):
            raise ValueError("it counts results, or names a next page, and contains none")

    @property
    def errors(self) -> list[ApiError]:
        """The errors of single records of a batch. A number of errors without a text is an error too."""
        errors = [parse_error(_status(each), each) for each in self.error_objects or ()]
        return errors or ([_UNEXPLAINED] if self.num_errors else [])

    @property
    def errors_by_id(self) -> dict[str, ApiError]:
        """The errors of single records, by every id that their contexts name."""
        return {id_: error for error in self.errors for id_ in error.context_ids}

    @property
    def next_page(self) -> str:
        """The `after` parameter of the next page of a list; empty on the last page."""
        return str(self.paging.next.after) if self.paging and self.paging.next else ""

    def ends_early(self, offset: int) -> bool:
        """Whether the last page of a search ends before its `total`. `offset`: results on earlier pages."""
        return not self.next_page and offset + len(self.results) < (self.total or 0)


class RecordObject(msgspec.Struct, frozen=True, rename="camel"):
    """A call, contact or task as HubSpot writes it."""

    id: Id
    properties: JsonObject
    object_write_trace_id: str | None = None
    new: bool | None = None


class Record(msgspec.Struct, frozen=True):
    """A call, contact or task in HubSpot. `properties` holds only those that have a value.

    `trace_id`: the `objectWriteTraceId` of the input that wrote it. `created`: whether an upsert created it.
    """

    id: str
    properties: dict[str, str]
    trace_id: str = ""
    created: bool = False

    def find_key(self, keys: Collection[str], id_property: str) -> str | None:
        """Return the key among `keys` of the input that wrote this record.

        HubSpot repeats the trace id of an input, or the property that identifies it, or both.
        """
        candidates = (self.trace_id, self.properties.get(id_property, ""))
        return next((key for key in candidates if key in keys), None)


RecordResults = Results[RecordObject]
"""The response to a search, or to a batch that reads or writes records."""


def to_records(response: RecordResults) -> list[Record]:
    """Return the records of a response."""
    return [
        Record(
            id=str(each.id),
            properties={name: str(value) for name, value in each.properties.items() if value},
            trace_id=each.object_write_trace_id or "",
            created=each.new is True,
        )
        for each in response.results
    ]


class Archived(msgspec.Struct, frozen=True):
    """The response to batch/archive: status 204 without a body."""

    status: Complete | None = None


class OwnerObject(msgspec.Struct, frozen=True):
    """A user who can own records. HubSpot: `archived` owners are former users."""

    id: Id
    email: str | None = None
    archived: bool | None = None


class PropertyGroup(msgspec.Struct, frozen=True):
    """A group of properties; each property is in one."""

    name: str
    archived: bool | None = None


class ModificationMetadata(msgspec.Struct, frozen=True, rename="camel"):
    """What can be changed about a property."""

    read_only_value: bool | None = None


class PropertyObject(msgspec.Struct, frozen=True, rename="camel"):
    """The definition of a property."""

    name: str
    has_unique_value: bool | None = None
    modification_metadata: ModificationMetadata | None = None

    @property
    def is_writable(self) -> bool:
        """Whether records can get a value of this property."""
        return not (self.modification_metadata and self.modification_metadata.read_only_value)


class RecordReference(msgspec.Struct, frozen=True):
    """One end of an association."""

    id: Id


class AssociationObject(msgspec.Struct, frozen=True, rename="camel"):
    """An association that HubSpot made. Its ends have one of two forms, depending on the version."""

    from_object_id: Id | None = None
    to_object_id: Id | None = None
    from_: RecordReference | None = None
    to: RecordReference | None = None

    @property
    def ends(self) -> tuple[str, str]:
        """The record ids of both ends, "" for one that is not stated."""
        return _end(self.from_object_id, self.from_), _end(self.to_object_id, self.to)


def parse_response(content: bytes, expected: type[T], request: str) -> T | Retry:
    """Parse the body of a successful response; without a promised part it is no answer, and so a `Retry`.

    `request`: method and path, for the message.
    """
    try:
        return msgspec.json.decode(content or b"{}", type=expected)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return unexpected_answer(f"The answer to {request} is not what HubSpot's API promises: {error}.")


def unexpected_answer(message: str) -> Retry:
    """Return the outcome of a response that does not say what was asked."""
    return Retry(code=UNEXPECTED_ANSWER, message=message)


def parse_error_body(content: bytes) -> JsonObject:
    """Decode the body of an error response; empty if it is no JSON object: a gateway answered."""
    try:
        body = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return body if isinstance(body, dict) else {}


def _end(flat: str | int | None, reference: RecordReference | None) -> str:
    if flat is not None:
        return str(flat)
    return str(reference.id) if reference else ""


def _status(error: JsonObject) -> int:
    """HubSpot: an entry of `errors` has the text "error" as its status; it counts as a bad request."""
    status = parse_digits(str(error.get("status", "")))
    return HTTPStatus.BAD_REQUEST if status is None else status


_UNEXPLAINED: Final = ApiError(HTTPStatus.SERVICE_UNAVAILABLE, message="HubSpot did not say what failed.")
