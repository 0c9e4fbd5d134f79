"""The API of the fake account: HubSpot's paths, and what each of them does and refuses."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.responses import JSONResponse, Response

from tests.fakes.hubspot_records import (
    Property,
    Record,
    RecordRejected,
    Records,
    call_properties,
    contact_properties,
    read_filter,
    record_json,
    task_properties,
    with_searchable_numbers,
)
from tests.fakes.hubspot_responses import (
    batch_error,
    batch_response,
    error_response,
    missing_scope_response,
    rejection_response,
    require_inputs,
    require_keys,
    require_texts,
    require_unique_ids,
)

READ, WRITE, OWNERS = "crm.objects.contacts.read", "crm.objects.contacts.write", "crm.objects.owners.read"
SCHEMAS = "crm.schemas.contacts.write"

CALL_TO_CONTACT, TASK_TO_CONTACT = 194, 204

_MAX_SEARCH_LENGTH = 3_000
"""HubSpot: characters in the body of a search."""

_AREAS = {"objects": "v3", "associations": "v4", "properties": "v3", "owners": "v3"}
"""The areas of the API, and the version of each where versions are numbers."""


@dataclass(frozen=True)
class ApiRequest:
    """A request by its parts: `action` is what follows the kind, as `batch/upsert`."""

    method: str
    area: str
    kind: str
    action: str
    body: dict[str, Any]
    query: Mapping[str, str]


Handler = Callable[[ApiRequest], Response]


@dataclass
class Owner:
    id: str
    email: str


class Account:
    """The records of an account, and its API.

    `associations`: type, record id and contact id. `search_lag`: seconds until a search finds a new record.
    `unsearchable`: searches know no national numbers. `associations_all_or_none`: one bad pair fails all.
    """

    def __init__(self, version: str, region: str) -> None:
        self.version, self.region = version, region
        self.scopes = {READ, WRITE, OWNERS, SCHEMAS}
        self.owners: list[Owner] = []
        self.calls = Records("calls", call_properties(), self._owner_ids)
        self.tasks = Records("tasks", task_properties(), self._owner_ids)
        self.contacts = Records("contacts", contact_properties(), self._owner_ids)
        self.associations: set[tuple[int, str, str]] = set()
        self.search_lag = 0.0
        self.unsearchable = False
        self.associations_all_or_none = False

    def split_path(self, path: str) -> tuple[str, str, str]:
        """Return area, kind and action; the area is "" if this version has no such path."""
        for area, number in _AREAS.items():
            prefix = f"/crm/{number}/{area}" if self.version == "v3" else f"/crm/{area}/{self.version}"
            if path == prefix or path.startswith(f"{prefix}/"):
                kind, _, action = path.removeprefix(prefix).lstrip("/").partition("/")
                return area, kind, action
        return "", "", ""

    def execute(self, request: ApiRequest) -> Response:
        handler = self._handler(request)
        if handler is None:
            return error_response(404, "resource not found", "NOT_FOUND")
        scope, handle = handler
        if scope not in self.scopes:
            return missing_scope_response(scope)
        try:
            return handle(request)
        except RecordRejected as rejected:
            return rejection_response(rejected)

    def _handler(self, request: ApiRequest) -> tuple[str, Handler] | None:
        named = {
            ("GET", "properties", "groups"): (READ, self._groups),
            ("POST", "properties", ""): (SCHEMAS, self._create_property),
            ("POST", "associations", "contacts/batch/create"): (WRITE, self._associate),
        }
        match request.method, request.area:
            case "GET", "owners":
                return OWNERS, self._get_owners
            case "POST", "objects":
                return self._object_handler(request.action)
            case "GET", "properties" if request.action != "groups":
                return READ, self._get_property
        return named.get((request.method, request.area, request.action))

    def _object_handler(self, action: str) -> tuple[str, Handler] | None:
        return {
            "batch/upsert": (WRITE, self._batch_write),
            "batch/create": (WRITE, self._batch_write),
            "batch/update": (WRITE, self._batch_write),
            "batch/archive": (WRITE, self._batch_archive),
            "batch/read": (READ, self._batch_read),
            "search": (READ, self._search),
        }.get(action)

    def _owner_ids(self) -> set[str]:
        return {owner.id for owner in self.owners}

    def _records(self, kind: str) -> Records:
        found = {"calls": self.calls, "tasks": self.tasks, "contacts": self.contacts}.get(kind)
        if found is None:
            raise RecordRejected(f"Unable to infer object type from: {kind}")
        return found

    # --- objects --------------------------------------------------------------------------------

    def _batch_write(self, request: ApiRequest) -> Response:
        records, verb = self._records(request.kind), request.action.removeprefix("batch/")
        inputs = require_inputs(request.body)
        trace_ids = [each.get("objectWriteTraceId") for each in inputs]
        partial = bool(trace_ids) and all(trace_ids) and len({*trace_ids}) == len(trace_ids)
        require_unique_ids([each.get("id") for each in inputs if "id" in each])
        before = {id_: dict(record.properties) for id_, record in records.records.items()}
        results, rejections = [], []
        for each in inputs:
            try:
                results.append(self._write(records, verb, each))
            except RecordRejected as rejected:
                rejections.append((each, rejected))
        if rejections and not partial:
            records.restore(before)
            raise rejections[0][1]
        errors = [batch_error(input_, rejected) for input_, rejected in rejections]
        return batch_response(results, errors, 201 if verb == "create" else 200)

    def _write(self, records: Records, verb: str, each: dict[str, Any]) -> dict[str, Any]:
        properties = require_texts(each.get("properties"))
        if verb == "create":
            if not isinstance(each.get("associations"), list):
                raise RecordRejected("associations is required")
            self._check_associations(each["associations"])
            record, new = records.create(properties), True
            for one in each["associations"]:
                self.associations |= {
                    (t["associationTypeId"], record.id, one["to"]["id"]) for t in one["types"]
                }
        else:
            record, new = self._find_or_create(records, verb, each, properties)
        result = record_json(record)
        if "objectWriteTraceId" in each:
            result["objectWriteTraceId"] = each["objectWriteTraceId"]
        return result | ({"new": new} if verb == "upsert" else {})

    def _find_or_create(
        self, records: Records, verb: str, each: dict[str, Any], properties: dict[str, str]
    ) -> tuple[Record, bool]:
        if "associations" in each:
            raise RecordRejected('Unrecognized field "associations"')
        if not isinstance(each.get("id"), str):
            raise RecordRejected("id must be a string")
        if verb == "upsert" and "idProperty" not in each:
            raise RecordRejected("idProperty is required")
        record = records.find(each.get("idProperty"), each["id"])
        if record is not None:
            return records.update(record, properties), False
        if verb == "update":
            raise RecordRejected("Could not get some objects", category="OBJECT_NOT_FOUND", status=404)
        return records.create(properties | {each["idProperty"]: each["id"]}), True

    def _check_associations(self, associations: list[dict[str, Any]]) -> None:
        for one in associations:
            if one["to"]["id"] not in self.contacts.records:
                raise RecordRejected(
                    f"No contact with ID {one['to']['id']} exists", category="OBJECT_NOT_FOUND"
                )

    def _batch_archive(self, request: ApiRequest) -> Response:
        for each in require_inputs(request.body):
            self._records(request.kind).records.pop(each["id"], None)
        return Response(status_code=204)

    def _batch_read(self, request: ApiRequest) -> Response:
        records = self._records(request.kind)
        require_keys(request.body, "inputs", "properties", "propertiesWithHistory")
        by = request.body.get("idProperty")
        if by is not None:
            records.check_unique(by)
        ids = [each["id"] for each in require_inputs(request.body)]
        require_unique_ids(ids)
        found = [record for id_ in ids if (record := records.find(by, id_))]
        present = {record.properties.get(by) if by else record.id for record in found}
        absent = [id_ for id_ in ids if id_ not in present]
        error = {
            "status": "error",
            "category": "OBJECT_NOT_FOUND",
            "message": f"Could not get some {request.kind} objects, they may be deleted or not exist.",
            "context": {"ids": absent},
        }
        return batch_response(
            [record_json(r, request.body["properties"]) for r in found], [error] if absent else [], 200
        )

    def _search(self, request: ApiRequest) -> Response:
        require_keys(request.body, "after", "filterGroups", "limit", "properties", "sorts")
        groups, limit = request.body["filterGroups"], request.body["limit"]
        filters = [len(group["filters"]) for group in groups]
        if len(groups) > 5 or max(filters, default=0) > 6 or sum(filters) > 18 or limit > 200:
            raise RecordRejected("Too many filter groups, filters, or results")
        if len(msgspec.json.encode(request.body)) > _MAX_SEARCH_LENGTH:
            raise RecordRejected("The search is too long")
        searchable = [
            r
            for r in self._records(request.kind).records.values()
            if time.monotonic() - r.created > self.search_lag
        ]
        matches = [
            [(each["propertyName"], read_filter(each)) for each in group["filters"]] for group in groups
        ]
        found = [r for r in searchable if not groups or self._is_found(r, matches)]
        begin = int(request.body["after"])
        body: dict[str, Any] = {
            "total": len(found),
            "results": [record_json(r, request.body["properties"]) for r in found[begin : begin + limit]],
        }
        if begin + limit < len(found):
            body["paging"] = {"next": {"after": str(begin + limit)}}
        return JSONResponse(body)

    def _is_found(self, record: Record, groups: list[list[tuple[str, Callable[[str], bool]]]]) -> bool:
        values = record.properties
        if not self.unsearchable:
            values = with_searchable_numbers(values, self.region)
        return any(all(fits(values.get(name, "")) for name, fits in group) for group in groups)

    # --- associations, properties, owners -------------------------------------------------------

    def _associate(self, request: ApiRequest) -> Response:
        types = {"calls": CALL_TO_CONTACT, "tasks": TASK_TO_CONTACT}
        results, errors = [], []
        for each in require_inputs(request.body):
            one, other = each["from"]["id"], each["to"]["id"]
            for type_ in each["types"]:
                if type_ != {
                    "associationCategory": "HUBSPOT_DEFINED",
                    "associationTypeId": types[request.kind],
                }:
                    raise RecordRejected(f"Association type {type_} does not exist")
            if one in self._records(request.kind).records and other in self.contacts.records:
                self.associations.add((types[request.kind], one, other))
                results.append({"fromObjectId": int(one), "toObjectId": int(other), "labels": []})
            else:
                errors.append(
                    {
                        "status": "error",
                        "category": "VALIDATION_ERROR",
                        "subCategory": "crm.associations.TO_OBJECT_NOT_FOUND",
                        "message": f"No contact with ID {other} exists",
                        "context": {"fromObjectId": [one], "toObjectId": [other]},
                    }
                )
        if errors and self.associations_all_or_none:
            return error_response(404, "One or more objects could not be found", "OBJECT_NOT_FOUND")
        return batch_response(results, errors, 201)

    def _get_property(self, request: ApiRequest) -> Response:
        known = self._records(request.kind).properties.get(request.action)
        if known is None:
            return error_response(404, f'Property "{request.action}" does not exist', "OBJECT_NOT_FOUND")
        return JSONResponse(
            {
                "name": known.name,
                "type": known.kind,
                "hasUniqueValue": known.unique,
                "modificationMetadata": {"readOnlyValue": known.read_only, "readOnlyDefinition": False},
            }
        )

    def _groups(self, request: ApiRequest) -> Response:
        name = f"{request.kind.removesuffix('s')}_information"
        return JSONResponse({"results": [{"name": name, "label": name, "archived": False}]})

    def _create_property(self, request: ApiRequest) -> Response:
        require_keys(request.body, "fieldType", "groupName", "label", "name", "type")
        records = self._records(request.kind)
        if request.body["name"] in records.properties:
            return error_response(
                409, f'A property named "{request.body["name"]}" already exists', "OBJECT_ALREADY_EXISTS"
            )
        if request.body["groupName"] != f"{request.kind.removesuffix('s')}_information":
            raise RecordRejected(f"Property group {request.body['groupName']} does not exist")
        records.properties[request.body["name"]] = Property(
            request.body["name"],
            request.body["type"],
            unique=request.body.get("hasUniqueValue", False),
            label=request.body["label"],
        )
        return JSONResponse(request.body, 201)

    def _get_owners(self, request: ApiRequest) -> Response:
        if request.kind:
            one = next((owner for owner in self.owners if owner.id == request.kind), None)
            return (
                JSONResponse(_owner(one)) if one else error_response(404, "No such owner", "OBJECT_NOT_FOUND")
            )
        email, limit = request.query.get("email"), int(request.query.get("limit", "100"))
        found = [_owner(owner) for owner in self.owners if email in {None, owner.email}]
        begin = int(request.query.get("after", "0"))
        body: dict[str, Any] = {"results": found[begin : begin + limit]}
        if begin + limit < len(found):
            body["paging"] = {"next": {"after": str(begin + limit)}}
        return JSONResponse(body)


def _owner(owner: Owner) -> dict[str, Any]:
    return {"id": owner.id, "email": owner.email, "type": "PERSON", "archived": False}
