"""The records of the fake account: what HubSpot accepts, and what it rejects."""

import itertools
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

import phonenumbers

MAX_TEXT_LENGTH = 65_536

CALL_STATUSES = frozenset(
    [
        "BUSY",
        "CALLING_CRM_USER",
        "CANCELED",
        "COMPLETED",
        "CONNECTING",
        "FAILED",
        "IN_PROGRESS",
        "NO_ANSWER",
        "QUEUED",
        "RINGING",
    ]
)
DISPOSITIONS = {
    "9d9162e7-6cf3-4944-bf63-4dff82258764": "Busy",
    "f240bbac-87c9-4f6e-bf70-924b57d47db7": "Connected",
    "a4c4c377-d246-4b32-a13b-75a56a4cd0ff": "Left live message",
    "b2cf5968-551e-4856-9783-52b3da59a7d0": "Left voicemail",
    "73a0d17f-1163-4015-bdd5-ec830791da20": "No answer",
    "17b47fee-58de-441e-a44c-c6300d46f273": "Wrong number",
}


class RecordRejected(Exception):
    """HubSpot rejects one record of a batch, or the whole request."""

    def __init__(
        self, message: str, *, category: str = "VALIDATION_ERROR", code: str = "", status: int = 400
    ) -> None:
        super().__init__(message)
        self.message, self.category, self.code, self.status = message, category, code, status


@dataclass
class Property:
    """`kind` is string, number, datetime or owner; `options` are those of an enumeration."""

    name: str
    kind: str = "string"
    options: frozenset[str] = frozenset()
    unique: bool = False
    read_only: bool = False
    label: str = ""
    group: str = ""


@dataclass
class Record:
    id: str
    properties: dict[str, str]
    created: float = field(default_factory=time.monotonic)


Rule = Callable[[dict[str, str]], str | None]
"""A validation rule of an administrator: returns why it rejects a record, or None."""

_ids = itertools.count(1001)


class Records:
    """The records of one kind."""

    def __init__(self, kind: str, properties: list[Property], owners: Callable[[], set[str]]) -> None:
        self.kind = kind
        self.properties = {each.name: each for each in properties}
        self.records: dict[str, Record] = {}
        self.rules: list[Rule] = []
        self._owners = owners
        # Record ids by unique property and value. An entry may be old: `find` compares it with the record.
        self._ids_by_value: dict[tuple[str, str], str] = {}

    def __iter__(self) -> Iterator[dict[str, str]]:
        return iter([record.properties for record in self.records.values()])

    def __len__(self) -> int:
        return len(self.records)

    def get_one(self, **properties: str) -> Record:
        """Return the only record with these properties."""
        found = [r for r in self.records.values() if properties.items() <= r.properties.items()]
        assert len(found) == 1, f"{len(found)} {self.kind} with {properties}"
        return found[0]

    def add(self, **properties: str) -> str:
        """Add a record as a person does; return its id."""
        record = Record(str(next(_ids)), {}, created=0.0)
        self.records[record.id] = record
        return self._set(record, properties).id

    def find(self, id_property: str | None, value: str) -> Record | None:
        if id_property is None:
            return self.records.get(value)
        self.check_unique(id_property)
        record = self.records.get(self._ids_by_value.get((id_property, value), ""))
        return record if record and record.properties.get(id_property) == value else None

    def check_unique(self, name: str) -> None:
        if name not in self.properties or not self.properties[name].unique:
            raise RecordRejected(f"Unable to perform update/upsert by non-unique {self.kind} property {name}")

    def create(self, properties: dict[str, str]) -> Record:
        self._check(properties, None)
        self._check_required(properties)
        record = Record(str(next(_ids)), {})
        self.records[record.id] = record
        return self._set(record, properties)

    def update(self, record: Record, properties: dict[str, str]) -> Record:
        self._check(properties, record)
        return self._set(record, properties)

    def restore(self, before: dict[str, dict[str, str]]) -> None:
        """Undo all writes since: a batch that is rejected as a whole changes nothing."""
        self.records = {id_: record for id_, record in self.records.items() if id_ in before}
        for id_, properties in before.items():
            self.records[id_].properties = properties

    def _set(self, record: Record, properties: dict[str, str]) -> Record:
        record.properties |= properties
        record.properties = {name: value for name, value in record.properties.items() if value != ""}
        unique = (name for name in properties if name in self.properties and self.properties[name].unique)
        self._ids_by_value |= {(name, properties[name]): record.id for name in unique}
        return record

    def _check(self, properties: dict[str, str], record: Record | None) -> None:
        for name, value in properties.items():
            known = self.properties.get(name)
            if known is None:
                raise RecordRejected(f'Property "{name}" does not exist', code="PROPERTY_DOESNT_EXIST")
            self._check_value(known, value)
            if known.unique and (other := self.find(name, value)) and other is not record:
                raise RecordRejected(f"{name} {value} is taken", category="CONFLICT", status=409)
        whole = (record.properties if record else {}) | properties
        for broken in filter(None, (rule(whole) for rule in self.rules)):
            raise RecordRejected(broken, code="VALIDATION_RULE")

    def _check_value(self, known: Property, value: str) -> None:
        if known.read_only:
            raise RecordRejected(f'"{known.name}" is read only', code="READ_ONLY_VALUE")
        if len(value) > MAX_TEXT_LENGTH or "\0" in value:
            raise RecordRejected(f"{known.name} is too long", code="INVALID_LONG_STRING")
        if not value:
            return
        if known.options and value not in known.options:
            raise RecordRejected(f"{value} was not one of the allowed options", code="INVALID_OPTION")
        if known.kind == "owner" and value not in self._owners():
            raise RecordRejected(f"Owner {value} does not exist", code="INVALID_OWNER_ID")
        if known.kind == "number" and not value.lstrip("-").isdigit():
            raise RecordRejected(f"{value} was not a valid number", code="INVALID_INTEGER")
        if known.kind == "datetime" and not value.isdigit():
            try:
                datetime.fromisoformat(value)
            except ValueError as error:
                raise RecordRejected(f"{value} was not a valid timestamp", code="INVALID_DATE") from error

    def _check_required(self, properties: dict[str, str]) -> None:
        if self.kind == "contacts":
            if not any(properties.get(name) for name in ("email", "firstname", "lastname")):
                raise RecordRejected(
                    "At least one of email, firstname or lastname is required", code="REQUIRED_FIELD"
                )
        elif not properties.get("hs_timestamp"):
            raise RecordRejected("hs_timestamp is required", code="REQUIRED_FIELD")


def read_filter(filter_: dict[str, Any]) -> Callable[[str], bool]:
    """Return whether a search with this filter finds a property with a value.

    CONTAINS_TOKEN finds a word of the value, and `*` is a wildcard. No word goes beyond a space or a sign.
    """
    match filter_:
        case {"operator": "EQ", "value": str(wanted)}:
            return lambda value: value == wanted
        case {"operator": "IN", "values": [*wanted]} if wanted and "value" not in filter_:
            return frozenset(wanted).__contains__
        case {"operator": "CONTAINS_TOKEN", "value": str(pattern)} if pattern.strip("*"):
            word = re.escape(pattern.lower()).replace(r"\*", r"\S*")
            find = re.compile(rf"(?<!\S){word}(?!\S)").search
            return lambda value: find(_words(value)) is not None
    raise RecordRejected(f"Invalid filter {filter_}")


@cache
def _words(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.lower())


def with_searchable_numbers(properties: dict[str, str], region: str) -> dict[str, str]:
    """Add the properties that HubSpot computes for searches: numbers without their country code.

    What HubSpot computes for a text with words or several numbers is not documented. Here it is no number, or
    a wrong one.
    """
    computed = {
        f"hs_searchable_calculated_{name}_number": number
        for name, source in (("phone", "phone"), ("mobile", "mobilephone"))
        if (number := _national_number(properties.get(source, ""), region))
    }
    return properties | computed


@cache
def _national_number(written: str, region: str) -> str:
    try:
        return phonenumbers.national_significant_number(phonenumbers.parse(written, region))
    except phonenumbers.NumberParseException:
        return ""


def call_properties() -> list[Property]:
    return [
        Property("hs_timestamp", "datetime"),
        Property("hs_call_title"),
        Property("hs_call_body"),
        Property("hs_call_direction", options=frozenset({"INBOUND", "OUTBOUND"})),
        Property("hs_call_duration", "number"),
        Property("hs_call_from_number"),
        Property("hs_call_to_number"),
        Property("hs_call_status", options=CALL_STATUSES),
        Property("hs_call_disposition", options=frozenset(DISPOSITIONS)),
        Property("hs_call_recording_url"),
        Property("hs_call_has_voicemail", options=frozenset({"true", "false"})),
        Property("hs_call_source", options=frozenset({"INTEGRATIONS_PLATFORM"})),
        Property("hubspot_owner_id", "owner"),
        Property("hs_createdate", "datetime", read_only=True),
    ]


def task_properties() -> list[Property]:
    return [
        Property("hs_timestamp", "datetime"),
        Property("hs_task_subject"),
        Property("hs_task_body"),
        Property("hs_task_completion_date"),
        Property(
            "hs_task_status",
            options=frozenset(["NOT_STARTED", "IN_PROGRESS", "WAITING", "DEFERRED", "COMPLETED"]),
        ),
        Property("hs_task_priority", options=frozenset({"LOW", "MEDIUM", "HIGH"})),
        Property("hs_task_type", options=frozenset({"CALL", "EMAIL", "TODO"})),
        Property("hubspot_owner_id", "owner"),
    ]


def contact_properties() -> list[Property]:
    plain = ("email", "firstname", "lastname", "phone", "mobilephone")
    return [*map(Property, plain), Property("hubspot_owner_id", "owner")]


def record_json(record: Record, names: list[str] | None = None) -> dict[str, Any]:
    """Format a record as HubSpot does, which accepts times in milliseconds and returns ISO 8601."""
    properties: dict[str, Any] = {"hs_object_id": record.id}
    properties |= record.properties if names is None else {n: record.properties.get(n) for n in names}
    if (time := properties.get("hs_timestamp")) and time.isdigit():
        moment = datetime.fromtimestamp(int(time) / 1000, UTC)
        properties["hs_timestamp"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    stamp = "2026-11-24T10:00:00.000Z"
    return {
        "id": record.id,
        "properties": properties,
        "createdAt": stamp,
        "updatedAt": stamp,
        "archived": False,
    }
