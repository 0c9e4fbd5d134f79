"""HubSpot's successful responses, and the parts of them that the client reads."""

from collections.abc import Collection
from http import HTTPStatus
from typing import Any

import msgspec

from crm_clients.hubspot.errors import ApiError, parse_error

JsonObject = dict[str, Any]


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


class ApiResponse(msgspec.Struct, frozen=True):
    """A response with a success status. Single records of a batch may still have failed, see `errors`.

    HubSpot: partial failure is status 207 in v3 and 2026-03, and `numErrors` with 200 or 201 from 2026-09 on.
    """

    body: JsonObject

    @property
    def results(self) -> list[JsonObject]:
        """The objects in `results`; empty if there are none."""
        results = self.body.get("results")
        return [each for each in results if isinstance(each, dict)] if isinstance(results, list) else []

    @property
    def records(self) -> list[Record]:
        """The `results` of a request for calls, contacts or tasks."""
        return [_parse_record(each) for each in self.results]

    @property
    def errors(self) -> list[ApiError]:
        """The errors of single records of a batch."""
        errors = self.body.get("errors")
        objects = [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
        return [parse_error(_status(each), each) for each in objects]

    @property
    def errors_by_id(self) -> dict[str, ApiError]:
        """The errors of single records, by every id that their contexts name."""
        return {id_: error for error in self.errors for id_ in error.context_ids}

    @property
    def next_page(self) -> str:
        """The `after` parameter of the next page of a list; empty on the last page."""
        return str(((self.body.get("paging") or {}).get("next") or {}).get("after") or "")


def parse_body(content: bytes) -> JsonObject | None:
    """Decode a body; None if it is no JSON object: a gateway or a captive portal answered."""
    try:
        body = msgspec.json.decode(content) if content else {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return body if isinstance(body, dict) else None


def _parse_record(result: JsonObject) -> Record:
    properties = result.get("properties") or {}
    return Record(
        id=str(result["id"]),
        properties={name: str(value) for name, value in properties.items() if value},
        trace_id=str(result.get("objectWriteTraceId") or ""),
        created=result.get("new") is True,
    )


def _status(error: JsonObject) -> int:
    """HubSpot: an entry of `errors` has the text "error" as its status; it counts as a bad request."""
    status = str(error.get("status", ""))
    return int(status) if status.isdigit() else HTTPStatus.BAD_REQUEST
