"""What can be asked of the fake account: HubSpot's paths, and what each of them does and refuses."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.responses import JSONResponse, Response

from tests.fakes.hubspot_answers import (
    batch,
    check_unique_ids,
    error_of,
    inputs,
    missing_scope,
    problem,
    refusal,
    require,
    texts,
)
from tests.fakes.hubspot_records import (
    Property,
    Record,
    Records,
    Refused,
    as_said,
    call_properties,
    contact_properties,
    searchable,
    task_properties,
)

READ, WRITE, OWNERS = "crm.objects.contacts.read", "crm.objects.contacts.write", "crm.objects.owners.read"
SCHEMAS = "crm.schemas.contacts.write"

CALL_TO_CONTACT, TASK_TO_CONTACT = 194, 204

_LONGEST_SEARCH = 3_000
"""HubSpot: characters in the body of a search."""

_AREAS = {"objects": "v3", "associations": "v4", "properties": "v3", "owners": "v3"}
"""The areas of the API, and the version of each where versions are numbers."""


@dataclass(frozen=True)
class Asked:
    """A request by its parts: `action` is what follows the kind, as `batch/upsert`."""

    method: str
    area: str
    kind: str
    action: str
    body: dict[str, Any]
    query: Mapping[str, str]


@dataclass
class Owner:
    id: str
    email: str


class Account:
    """The records of an account, and what its API does with them."""

    def __init__(self, version: str, region: str) -> None:
        self.version, self.region = version, region
        self.scopes = {READ, WRITE, OWNERS, SCHEMAS}
        self.owners: list[Owner] = []
        self.calls = Records("calls", call_properties(), self._owner_ids)
        self.tasks = Records("tasks", task_properties(), self._owner_ids)
        self.contacts = Records("contacts", contact_properties(), self._owner_ids)
        self.links: set[tuple[int, str, str]] = set()
        self.search_lag = 0.0
        self.unsearchable = False
        self.links_all_or_none = False

    def place(self, path: str) -> tuple[str, str, str]:
        """Area, kind and action of a path in this version; the area is "" where there is no such path."""
        for area, number in _AREAS.items():
            prefix = f"/crm/{number}/{area}" if self.version == "v3" else f"/crm/{area}/{self.version}"
            if path == prefix or path.startswith(f"{prefix}/"):
                kind, _, action = path.removeprefix(prefix).lstrip("/").partition("/")
                return area, kind, action
        return "", "", ""

    def do(self, asked: Asked) -> Response:
        handler = self._handler(asked)
        if handler is None:
            return problem(404, "resource not found", "NOT_FOUND")
        scope, handle = handler
        if scope not in self.scopes:
            return missing_scope(scope)
        try:
            return handle(asked)
        except Refused as refused:
            return refusal(refused)

    def _handler(self, asked: Asked) -> tuple[str, Callable[[Asked], Response]] | None:
        named = {
            ("GET", "properties", "groups"): (READ, self._groups),
            ("POST", "properties", ""): (SCHEMAS, self._create_property),
            ("POST", "associations", "contacts/batch/create"): (WRITE, self._associate),
        }
        match asked.method, asked.area:
            case "GET", "owners":
                return OWNERS, self._get_owners
            case "POST", "objects":
                return self._of_objects(asked.action)
            case "GET", "properties" if asked.action != "groups":
                return READ, self._get_property
        return named.get((asked.method, asked.area, asked.action))

    def _of_objects(self, action: str) -> tuple[str, Callable[[Asked], Response]] | None:
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
            raise Refused(f"Unable to infer object type from: {kind}")
        return found

    # --- objects --------------------------------------------------------------------------------

    def _batch_write(self, asked: Asked) -> Response:
        records, verb = self._records(asked.kind), asked.action.removeprefix("batch/")
        given = inputs(asked.body)
        traces = [each.get("objectWriteTraceId") for each in given]
        partial = bool(traces) and all(traces) and len({*traces}) == len(traces)
        check_unique_ids([each.get("id") for each in given if "id" in each])
        before = {id_: dict(record.properties) for id_, record in records.records.items()}
        results, refusals = [], []
        for each in given:
            try:
                results.append(self._write(records, verb, each))
            except Refused as refused:
                refusals.append((each, refused))
        if refusals and not partial:
            records.restore(before)
            raise refusals[0][1]
        ok = 201 if verb == "create" else 200
        return batch(results, [error_of(e, r) for e, r in refusals], ok)

    def _write(self, records: Records, verb: str, each: dict[str, Any]) -> dict[str, Any]:
        properties = texts(each.get("properties"))
        if verb == "create":
            if not isinstance(each.get("associations"), list):
                raise Refused("associations is required")
            self._check_associations(each["associations"])
            record, new = records.create(properties), True
            for one in each["associations"]:
                self.links |= {(t["associationTypeId"], record.id, one["to"]["id"]) for t in one["types"]}
        else:
            record, new = self._find_or_create(records, verb, each, properties)
        said = as_said(record)
        if "objectWriteTraceId" in each:
            said["objectWriteTraceId"] = each["objectWriteTraceId"]
        return said | ({"new": new} if verb == "upsert" else {})

    def _find_or_create(
        self, records: Records, verb: str, each: dict[str, Any], properties: dict[str, str]
    ) -> tuple[Record, bool]:
        if "associations" in each:
            raise Refused('Unrecognized field "associations"')
        if not isinstance(each.get("id"), str):
            raise Refused("id must be a string")
        if verb == "upsert" and "idProperty" not in each:
            raise Refused("idProperty is required")
        record = records.by(each.get("idProperty"), each["id"])
        if record is not None:
            return records.update(record, properties), False
        if verb == "update":
            raise Refused("Could not get some objects", category="OBJECT_NOT_FOUND", status=404)
        return records.create(properties | {each["idProperty"]: each["id"]}), True

    def _check_associations(self, associations: list[dict[str, Any]]) -> None:
        for one in associations:
            if one["to"]["id"] not in self.contacts.records:
                raise Refused(f"No contact with ID {one['to']['id']} exists", category="OBJECT_NOT_FOUND")

    def _batch_archive(self, asked: Asked) -> Response:
        for each in inputs(asked.body):
            self._records(asked.kind).records.pop(each["id"], None)
        return Response(status_code=204)

    def _batch_read(self, asked: Asked) -> Response:
        records = self._records(asked.kind)
        require(asked.body, "inputs", "properties", "propertiesWithHistory")
        by = asked.body.get("idProperty")
        if by is not None:
            records.check_unique(by)
        ids = [each["id"] for each in inputs(asked.body)]
        check_unique_ids(ids)
        found = [record for id_ in ids if (record := records.by(by, id_))]
        there = {record.properties.get(by) if by else record.id for record in found}
        lost = [id_ for id_ in ids if id_ not in there]
        error = {
            "status": "error",
            "category": "OBJECT_NOT_FOUND",
            "message": f"Could not get some {asked.kind.upper()} objects, they may be deleted or not exist.",
            "context": {"ids": lost},
        }
        return batch([as_said(r, asked.body["properties"]) for r in found], [error] if lost else [], 200)

    def _search(self, asked: Asked) -> Response:
        require(asked.body, "after", "filterGroups", "limit", "properties", "sorts")
        groups, limit = asked.body["filterGroups"], asked.body["limit"]
        if len(groups) > 5 or any(len(group["filters"]) > 6 for group in groups) or limit > 200:
            raise Refused("Too many filter groups, filters, or results")
        if len(msgspec.json.encode(asked.body)) > _LONGEST_SEARCH:
            raise Refused("The search is too long")
        seen = [
            r
            for r in self._records(asked.kind).records.values()
            if time.monotonic() - r.created > self.search_lag
        ]
        found = [r for r in seen if not groups or any(self._matches(r, group) for group in groups)]
        begin = int(asked.body["after"])
        said: dict[str, Any] = {
            "total": len(found),
            "results": [as_said(r, asked.body["properties"]) for r in found[begin : begin + limit]],
        }
        if begin + limit < len(found):
            said["paging"] = {"next": {"after": str(begin + limit)}}
        return JSONResponse(said)

    def _matches(self, record: Record, group: dict[str, Any]) -> bool:
        values = record.properties if self.unsearchable else searchable(record.properties, self.region)
        for each in group["filters"]:
            if each["operator"] not in {"IN", "EQ"}:
                raise Refused(f"Invalid operator {each['operator']}")
            if each["operator"] == "IN" and ("value" in each or not each.get("values")):
                raise Refused("IN takes values")
            wanted = each["values"] if each["operator"] == "IN" else [each["value"]]
            if values.get(each["propertyName"]) not in wanted:
                return False
        return True

    # --- associations, properties, owners -------------------------------------------------------

    def _associate(self, asked: Asked) -> Response:
        types = {"calls": CALL_TO_CONTACT, "tasks": TASK_TO_CONTACT}
        results, errors = [], []
        for each in inputs(asked.body):
            one, other = each["from"]["id"], each["to"]["id"]
            for type_ in each["types"]:
                if type_ != {
                    "associationCategory": "HUBSPOT_DEFINED",
                    "associationTypeId": types[asked.kind],
                }:
                    raise Refused(f"Association type {type_} does not exist")
            if one in self._records(asked.kind).records and other in self.contacts.records:
                self.links.add((types[asked.kind], one, other))
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
        if errors and self.links_all_or_none:
            return problem(404, "One or more objects could not be found", "OBJECT_NOT_FOUND")
        return batch(results, errors, 201)

    def _get_property(self, asked: Asked) -> Response:
        known = self._records(asked.kind).properties.get(asked.action)
        if known is None:
            return problem(404, f'Property "{asked.action}" does not exist', "OBJECT_NOT_FOUND")
        return JSONResponse({"name": known.name, "type": known.kind, "hasUniqueValue": known.unique})

    def _groups(self, asked: Asked) -> Response:
        name = f"{asked.kind.removesuffix('s')}_information"
        return JSONResponse({"results": [{"name": name, "label": name, "archived": False}]})

    def _create_property(self, asked: Asked) -> Response:
        require(asked.body, "fieldType", "groupName", "label", "name", "type")
        records = self._records(asked.kind)
        if asked.body["name"] in records.properties:
            return problem(
                409, f'A property named "{asked.body["name"]}" already exists', "OBJECT_ALREADY_EXISTS"
            )
        if asked.body["groupName"] != f"{asked.kind.removesuffix('s')}_information":
            raise Refused(f"Property group {asked.body['groupName']} does not exist")
        records.properties[asked.body["name"]] = Property(
            asked.body["name"],
            asked.body["type"],
            unique=asked.body.get("hasUniqueValue", False),
            label=asked.body["label"],
        )
        return JSONResponse(asked.body, 201)

    def _get_owners(self, asked: Asked) -> Response:
        if asked.kind:
            one = next((owner for owner in self.owners if owner.id == asked.kind), None)
            return JSONResponse(_owner(one)) if one else problem(404, "No such owner", "OBJECT_NOT_FOUND")
        email, limit = asked.query.get("email"), int(asked.query.get("limit", "100"))
        found = [_owner(owner) for owner in self.owners if email in {None, owner.email}]
        begin = int(asked.query.get("after", "0"))
        said: dict[str, Any] = {"results": found[begin : begin + limit]}
        if begin + limit < len(found):
            said["paging"] = {"next": {"after": str(begin + limit)}}
        return JSONResponse(said)


def _owner(owner: Owner) -> dict[str, Any]:
    return {"id": owner.id, "email": owner.email, "type": "PERSON", "archived": False}
