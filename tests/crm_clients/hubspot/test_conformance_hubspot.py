"""HubSpot's client owes what every client owes."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from crm_clients.conformance import ClientConformance, HttpCrm, Request, Response
from crm_clients.hubspot import HubSpotClient
from tests.fakes.hubspot import TOKEN, HubSpot, Incoming
from tests.fakes.hubspot_records import Property

_TEXTS = {"notes": "call_notes", "contact_name": "call_contact"}


class FakeAccount(HttpCrm):
    """The fake account behind the kit's own server, which brings the faults."""

    Client = HubSpotClient

    def __init__(self) -> None:
        super().__init__()
        self.hubspot = HubSpot()
        self.hubspot.set_up()
        self.hubspot.limits.burst.most = self.hubspot.limits.search.most = 10_000
        for name in (*_TEXTS.values(), "cloudtalk_merged_into"):
            self.hubspot.calls.properties[name] = Property(name)

    def settings(self) -> dict[str, Any]:
        return {"token": TOKEN, "base_url": self.url, "contacts": "create", "fields": _TEXTS}

    def answer(self, request: Request) -> Response:
        parts = urlsplit(request.path)
        query = dict(parse_qsl(parts.query))
        said = self.hubspot.handle(
            Incoming(request.method, unquote(parts.path), query, request.headers, request.body)
        )
        headers = {n: v for n, v in said.headers.items() if n not in {"content-length", "content-type"}}
        return Response(said.status_code, json.loads(bytes(said.body)) if said.body else None, headers)

    def is_write(self, request: Request) -> bool:
        reading = request.path.endswith(("/search", "/batch/read")) or request.body == b'{"inputs":[]}'
        return request.method != "GET" and not reading

    def records(self, call_id: str) -> list[dict[str, Any]]:
        return [
            {ours: said.get(theirs) for ours, theirs in _TEXTS.items()}
            | {"merged_into": said.get("cloudtalk_merged_into")}
            for said in self.hubspot.calls
            if said["cloudtalk_call_id"] == call_id
        ]

    def edit(self, call_id: str, field: str, text: str) -> None:
        self.hubspot.calls.one(cloudtalk_call_id=call_id).properties[_TEXTS[field]] = text

    def remove(self, call_id: str) -> None:
        del self.hubspot.calls.records[self.hubspot.calls.one(cloudtalk_call_id=call_id).id]


class TestHubSpot(ClientConformance):
    @pytest.fixture
    def crm(self) -> Iterator[FakeAccount]:
        with closing(FakeAccount()) as crm:
            yield crm
