"""Settings that every destination has: limits, labels, a filter of calls, and names of fields."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, ClassVar, Final, Literal

import msgspec
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from relay.call import DELIVERED_FIELDS, Call, RecordingLinks, Status

DEFAULT_LABELS: Final[dict[Status, str]] = {
    Status.IN_PROGRESS: "En Progreso",
    Status.ANSWERED: "Completada",
    Status.COMPLETED: "Completada",
    Status.MISSED: "Perdida",
    Status.VOICEMAIL: "Perdida",
    Status.NO_ANSWER: "Perdida",
}
"""How the mission's CRM shows a status."""

STATE: Final = "state"
"""A field that a CRM can have besides those of the record: the canonical status, for programs. The field
`status` has the label, for people."""

Constant = str | bool | int | float
"""The value of a field that every record has."""

_FEWEST_DIGITS: Final = 7
"""Numbers are compared without their country code; a number with fewer digits is an extension."""


class DeliveryFilter(BaseModel):
    """Which calls a destination receives. A condition that is not set matches every call."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)

    directions: tuple[Literal["inbound", "outbound", "internal"], ...] = Field(
        (), description="Only calls of these directions."
    )
    own_numbers: tuple[str, ...] = Field(
        (), description="Only calls from or to these numbers of the company."
    )
    statuses: tuple[Status, ...] = Field((), description="Only calls with one of these statuses.")
    minimum_seconds: int = Field(
        0,
        ge=0,
        description="Only calls of at least this duration. A call in progress is delivered only after its "
        "end.",
    )

    @field_validator("own_numbers")
    @classmethod
    def _validate_numbers(cls, numbers: tuple[str, ...]) -> tuple[str, ...]:
        for number in numbers:
            if not _digits(number):
                raise ValueError(f'"{number[:100]}" has no digits, so it would match no call')
        return numbers

    def matches(self, call: Call) -> bool:
        """Whether this version of the call is to be delivered."""
        return self.first_mismatch(call) is None

    def first_mismatch(self, call: Call) -> str | None:
        """Return the first condition that excludes this version of the call; None if none does."""
        if self.directions and call.direction not in self.directions:
            return "directions"
        if self.statuses and call.status not in self.statuses:
            return "statuses"
        if self.own_numbers and not self._matches_number(call):
            return "own_numbers"
        return None if self._matches_duration(call) else "minimum_seconds"

    def _matches_number(self, call: Call) -> bool:
        return any(_is_same_number(call.internal_number, own) for own in self.own_numbers)

    def _matches_duration(self, call: Call) -> bool:
        """A finished call of unknown duration matches, so that it is not lost."""
        if call.duration_seconds is None:
            return not self.minimum_seconds or call.status not in {Status.IN_PROGRESS, Status.ANSWERED}
        return call.duration_seconds >= self.minimum_seconds


class DestinationSettings(BaseModel):
    """Settings of every destination. A client adds its own keys in a subclass."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)

    MAPPABLE: ClassVar[tuple[str, ...]] = (*(field for field in DELIVERED_FIELDS if field != "legs"), STATE)
    """The canonical fields that `fields` can rename. `legs` is a list of objects: no column of a CRM."""

    REMOTE_FIELD: ClassVar[re.Pattern[str]] = re.compile(r".{1,100}", re.DOTALL)
    """The names that a field can have in this CRM."""

    client: str = Field(description="The client that connects to this CRM.")
    enabled: bool = Field(
        True,
        description="Whether the relay delivers to this CRM. If false, calls become pending, and nothing "
        "is sent.",
    )
    batch: int = Field(100, ge=1, le=1000, description="Maximum number of calls in one push.")
    rate: float | None = Field(None, gt=0, description="Maximum number of HTTP requests per second.")
    concurrency: int = Field(2, ge=1, le=32, description="Maximum number of pushes at the same time.")
    on_merge: Literal["delete", "mark"] = Field(
        "delete",
        description="What happens to the record of a call that was merged into another call. `delete`: "
        "the record is deleted; `mark`: its `merged_into` gets the id of the other call.",
    )
    update: Literal["always", "complete", "never"] = Field(
        "always",
        description="When the record of a call is written. `always`: at each change; `complete`: only once "
        "the call is over and has not changed for `complete_after_seconds`; `never`: once, when the call is "
        "complete, and no later change is written, for a CRM whose rules forbid edits. A call whose end "
        "never arrives counts as complete after 30 hours without an event.",
    )
    complete_after_seconds: float = Field(
        60,
        ge=0,
        description="Seconds without a change after the end of a call until it is complete: the time for its "
        "recording and notes to arrive. Used if `update` is `complete` or `never`.",
    )
    timeout_seconds: float = Field(
        30, gt=0, le=600, description="Maximum duration of one push, including all its requests."
    )
    labels: dict[Status, Annotated[str, StringConstraints(min_length=1)]] = Field(
        default_factory=dict, description="The labels of statuses in this CRM: status → label."
    )
    fields: dict[str, str] = Field(
        default_factory=dict,
        description='Names of fields in this CRM: name in the record → name in the CRM. The name `""` '
        "means that the field is not sent.",
    )
    constants: dict[str, Constant] = Field(
        default_factory=dict,
        description="Fields that every record in this CRM gets: name in the CRM → value.",
    )
    when: DeliveryFilter = Field(
        default_factory=DeliveryFilter,
        description="Which calls are delivered. A delivered call is kept up to date, whatever it becomes.",
    )

    record_url: str = Field(
        "",
        description="The page of a record in this CRM, for the link in the console: a URL with "
        "`{remote_id}` in place of the id of the record, such as `https://crm.example.com/calls/{remote_id}`.",
    )

    @field_validator("record_url")
    @classmethod
    def _validate_record_url(cls, url: str) -> str:
        if url and not (url.startswith(("https://", "http://")) and url.count("{remote_id}") == 1):
            raise ValueError(
                "expected a URL with {remote_id}, like https://crm.example.com/calls/{remote_id}"
            )
        return url

    @field_validator("update")
    @classmethod
    def _validate_update(cls, update: str, info: ValidationInfo) -> str:
        if update == "never" and info.data.get("on_merge") == "mark":
            raise ValueError('on_merge = "mark" writes a record again, which "never" forbids: use "delete"')
        return update

    @field_validator("fields")
    @classmethod
    def _validate_fields(cls, fields: dict[str, str]) -> dict[str, str]:
        for field, remote_name in fields.items():
            if field not in cls.MAPPABLE:
                near = get_close_matches(field, cls.MAPPABLE, 1)
                hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(cls.MAPPABLE)}"
                raise ValueError(f'there is no field "{field}"; {hint}')
            if remote_name:
                cls._validate_remote_name(remote_name)
        return fields

    @field_validator("constants")
    @classmethod
    def _validate_constants(cls, constants: dict[str, Constant]) -> dict[str, object]:
        for remote_name in constants:
            cls._validate_remote_name(remote_name)
        return dict(constants)

    @classmethod
    def _validate_remote_name(cls, name: str) -> None:
        if not cls.REMOTE_FIELD.fullmatch(name):
            raise ValueError(f'"{name[:100]}" cannot be the name of a field in this CRM')

    _recording_links: RecordingLinks | None = PrivateAttr(None)
    """Set by the relay from `[recordings]`: they are the same for every destination."""

    RENDERED_BY: ClassVar[tuple[str, ...]] = ("fields", "constants")
    """The settings, besides the labels, that decide how a record looks in this CRM."""

    @property
    def rendering(self) -> str:
        """A short text that changes if records look different: other labels, fields, constants, links."""
        labels = {status: self.label(status) for status in Status}
        settings = {name: getattr(self, name) for name in self.RENDERED_BY}
        links = [] if self._recording_links is None else [self._recording_links.rendering]
        encoded = msgspec.json.encode([labels, settings, *links], order="sorted")
        return hashlib.sha256(encoded).hexdigest()[:12]

    @property
    def recording_links(self) -> RecordingLinks | None:
        """How links to recordings are made; None if records have CloudTalk's links."""
        return self._recording_links

    def label(self, status: Status) -> str:
        """Return the text that people read for a status in this CRM."""
        return self.labels.get(status, DEFAULT_LABELS[status])

    def remote_names(self, defaults: Mapping[str, str]) -> dict[str, str]:
        """Map each field to its name in this CRM; fields that are not sent are absent.

        `defaults`: the names that the client gives to fields which the settings do not rename.
        """
        return {field: name for field, name in {**defaults, **self.fields}.items() if name}


def require_distinct_names(remote_names: Iterable[str]) -> None:
    """Raise `ValueError` if two fields or constants would have the same name in the CRM."""
    seen: set[str] = set()
    for name in remote_names:
        if name in seen:
            raise ValueError(f'"{name}" is used twice: by two fields, by a constant, or by the client itself')
        seen.add(name)


def _is_same_number(number: str | None, own: str) -> bool:
    left, right = _digits(number or ""), _digits(own)
    if len(left) < _FEWEST_DIGITS or len(right) < _FEWEST_DIGITS:
        return left == right != ""
    # One spelling may have a national 0 or an international 00 at the start, and the other not.
    left, right = left.lstrip("0"), right.lstrip("0")
    return min(len(left), len(right)) > 0 and (left.endswith(right) or right.endswith(left))


def _digits(number: str) -> str:
    return re.sub(r"\D", "", number)
