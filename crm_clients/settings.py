"""What every destination can be told: pace, labels, which calls it wants, and where fields go."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from relay.call import DELIVERED_FIELDS, Call, Status

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
"""What can be mapped besides the record's fields: the canonical word of the status, which `status`
shows as a label."""

_FEWEST_DIGITS: Final = 7
"""A number without its country code is the same number; a shorter one is an extension."""


class DeliveryFilter(BaseModel):
    """Which calls a destination wants; what is not said lets all pass."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    directions: tuple[Literal["inbound", "outbound", "internal"], ...] = Field(
        (), description="Only calls of these directions."
    )
    own_numbers: tuple[str, ...] = Field((), description="Only calls on these lines of the company.")
    statuses: tuple[Status, ...] = Field((), description="Only calls that came to these.")
    minimum_seconds: int = Field(
        0, ge=0, description="Only calls that lasted so long; one that goes on is not brought before."
    )

    @field_validator("own_numbers")
    @classmethod
    def _with_digits(cls, numbers: tuple[str, ...]) -> tuple[str, ...]:
        for number in numbers:
            if not _digits(number):
                raise ValueError(f'"{number[:100]}" is no telephone number, so that no call would be brought')
        return numbers

    def admits(self, call: Call) -> bool:
        """Whether this version of the call is wanted."""
        return (
            (not self.directions or call.direction in self.directions)
            and (not self.statuses or call.status in self.statuses)
            and (not self.own_numbers or any(_same(call.internal_number, own) for own in self.own_numbers))
            and self._lasted(call)
        )

    def _lasted(self, call: Call) -> bool:
        """A call that is over and whose duration nobody said is not lost for that."""
        if call.duration_seconds is None:
            return not self.minimum_seconds or call.status not in {Status.IN_PROGRESS, Status.ANSWERED}
        return call.duration_seconds >= self.minimum_seconds


class DestinationSettings(BaseModel):
    """What every destination can be told; a client adds its own keys in a subclass."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    MAPPABLE: ClassVar[tuple[str, ...]] = (*DELIVERED_FIELDS, STATE)
    """The canonical fields that `fields` may send elsewhere."""

    REMOTE_FIELD: ClassVar[re.Pattern[str]] = re.compile(r".{1,100}", re.DOTALL)
    """What a field can be called in this CRM."""

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
    labels: dict[Status, Annotated[str, StringConstraints(min_length=1)]] = Field(
        default_factory=dict, description="What a status is called in this CRM."
    )
    fields: dict[str, str] = Field(
        default_factory=dict,
        description='Where a field goes: its name in the record → its name in this CRM; `""`: nowhere.',
    )
    constants: dict[str, str | bool | int | float] = Field(
        default_factory=dict,
        description="What every record of this CRM says besides: field → value.",
    )
    when: DeliveryFilter = Field(
        default_factory=DeliveryFilter,
        description="Which calls are brought. One that was brought is kept up to date whatever it becomes.",
    )

    @field_validator("fields")
    @classmethod
    def _known_fields(cls, fields: dict[str, str]) -> dict[str, str]:
        for ours, theirs in fields.items():
            if ours not in cls.MAPPABLE:
                near = get_close_matches(ours, cls.MAPPABLE, 1)
                hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(cls.MAPPABLE)}"
                raise ValueError(f'there is no field "{ours}"; {hint}')
            cls._usable(theirs, empty=True)
        return fields

    @field_validator("constants")
    @classmethod
    def _known_constants(cls, constants: dict[str, str | bool | int | float]) -> dict[str, object]:
        for theirs in constants:
            cls._usable(theirs)
        return dict(constants)

    @classmethod
    def _usable(cls, theirs: str, *, empty: bool = False) -> None:
        if not (cls.REMOTE_FIELD.fullmatch(theirs) or (empty and not theirs)):
            raise ValueError(f'"{theirs[:100]}" cannot be the name of a field in this CRM')

    def label(self, status: Status) -> str:
        """The word that this CRM's users read for a status."""
        return self.labels.get(status, DEFAULT_LABELS[status])

    def names(self, defaults: Mapping[str, str]) -> dict[str, str]:
        """What each field is called in this CRM; those that go nowhere are left out.

        `defaults`: what the client calls them by itself.
        """
        said = {**defaults, **self.fields}
        return {ours: theirs for ours, theirs in said.items() if theirs}


def keep_apart(theirs: Iterable[str]) -> None:
    """Raise ValueError where two things would go to one field of the CRM."""
    seen: set[str] = set()
    for name in theirs:
        if name in seen:
            raise ValueError(f'"{name}" is said twice: by two fields, a constant, or by the client itself')
        seen.add(name)


def _same(number: str | None, own: str) -> bool:
    one, other = _digits(number or ""), _digits(own)
    if len(one) < _FEWEST_DIGITS or len(other) < _FEWEST_DIGITS:
        return one == other != ""
    # Before a national number may stand a 0, and before a country code two, where the other has none.
    one, other = one.lstrip("0"), other.lstrip("0")
    return min(len(one), len(other)) > 0 and (one.endswith(other) or other.endswith(one))


def _digits(number: str) -> str:
    return re.sub(r"\D", "", number)
