"""The HubSpot client passes the conformance kit."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from crm_clients.conformance import ClientConformance, HttpCrm, Request, Response
from crm_clients.hubspot import HubSpotClient
from tests.fakes.hubspot import TOKEN, HubSpot, RawRequest
from tests.fakes.hubspot_records import Property

_TEXTS = {"notes": "call_notes", "contact_name": "call_contact"}


class FakeAccount(HttpCrm):
    """The fake account behind the server of the kit, which injects the faults."""

    Client = HubSpotClient

    def __init__(self) -> None:
        super().__init__()
        self.hubspot = HubSpot()
        self.hubspot.create_relay_properties()
        self.hubspot.limits.burst.max_requests = self.hubspot.limits.search.max_requests = 10_000
        for name in (*_TEXTS.values(), "cloudtalk_merged_into"):
            self.hubspot.calls.properties[name] = Property(name)

    def settings(self) -> dict[str, Any]:
        return {"token": TOKEN, "base_url": self.url, "contacts": "create", "fields": _TEXTS}

    def respond(self, request: Request) -> Response:
        parts = urlsplit(request.path)
        query = dict(parse_qsl(parts.query))
        response = self.hubspot.handle(
            RawRequest(request.method, unquote(parts.path), query, request.headers, request.body)
        )
        headers = {n: v for n, v in response.headers.items() if n not in {"content-length", "content-type"}}
        return Response(
            response.status_code, json.loads(bytes(response.body)) if response.body else None, headers
        )

    def is_write(self, request: Request) -> bool:
        is_read = request.path.endswith(("/search", "/batch/read")) or request.body == b'{"inputs":[]}'
        return request.method != "GET" and not is_read

    def records(self, call_id: str) -> list[dict[str, Any]]:
        return [
            {field: properties.get(name) for field, name in _TEXTS.items()}
            | {"merged_into": properties.get("cloudtalk_merged_into")}
            for properties in self.hubspot.calls
            if properties["cloudtalk_call_id"] == call_id
        ]

    def edit(self, call_id: str, field: str, text: str) -> None:
        self.hubspot.calls.get_one(cloudtalk_call_id=call_id).properties[_TEXTS[field]] = text

    def double(self, call_id: str) -> None:
        other = {"cloudtalk_call_id": "cloudtalk-1002402487"}
        self.hubspot.calls.add(**self.hubspot.calls.get_one(cloudtalk_call_id=call_id).properties | other)

    def remove(self, call_id: str) -> None:
        del self.hubspot.calls.records[self.hubspot.calls.get_one(cloudtalk_call_id=call_id).id]


class TestHubSpot(ClientConformance):
    @pytest.fixture
    def crm(self) -> Iterator[FakeAccount]:
        with closing(FakeAccount()) as crm:
            yield crm
