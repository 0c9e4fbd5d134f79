"""The webhook's endpoint: its responses, what it stores, and that no request harms another."""

import asyncio
import base64
import gc
import gzip
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx
import pytest
from structlog.testing import capture_logs

from relay.app import Relay
from relay.cloudtalk.errors import InvalidPayload
from relay.ledger import LedgerUnavailable, journal
from relay.ledger.connection import Connection
from relay.operations.check import run_checks
from relay.standards.webhooks import Signer
from tests.support.in_process import in_process_relay, ingest_of, settings_in
from tests.support.journal import read_events, read_quarantine

WEBHOOK_PATH = "/cloudtalk/webhook"
JSON = {"content-type": "application/json"}
FORM = "application/x-www-form-urlencoded"
STARTED = {"event": "call.started", "data": {"id": "1", "direction": "inbound"}}
RelayAndClient = tuple[Relay, httpx.AsyncClient]


@pytest.fixture
async def open_relay(tmp_path: Path) -> AsyncIterator[RelayAndClient]:
    """A relay without tokens, and a client on the same machine."""
    async with in_process_relay(settings_in(tmp_path)) as running:
        yield running


async def quarantined(relay: Relay) -> list[Any]:
    return await relay.ledger.read(read_quarantine)


async def stored_events(relay: Relay) -> list[Any]:
    return await relay.ledger.read(read_events)


# --- accepted requests ------------------------------------------------------------------------------


async def test_an_event_is_acknowledged_once_it_is_stored(open_relay: RelayAndClient) -> None:
    relay, client = open_relay
    response = await client.post(WEBHOOK_PATH, json=STARTED)
    assert response.status_code == 200
    assert response.json() == {
        "success": True,
        "message": "Webhook procesado correctamente",
        "id": "cloudtalk-1",
    }
    (row,) = await stored_events(relay)
    assert (row.dialect, row.kind, row.path, row.raw) == (
        "mission",
        "started",
        WEBHOOK_PATH,
        response.request.content,
    )


async def test_an_array_is_acknowledged_with_the_ids_of_all(open_relay: RelayAndClient) -> None:
    _, client = open_relay
    other = {"event": "call.ended", "data": {"id": 2}}
    assert (await client.post(WEBHOOK_PATH, json=[STARTED, other])).json()["ids"] == [
        "cloudtalk-1",
        "cloudtalk-2",
    ]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("path", [WEBHOOK_PATH, WEBHOOK_PATH + "/", WEBHOOK_PATH + "/call.started"])
async def test_several_methods_and_every_path_below_are_accepted(
    open_relay: RelayAndClient, method: str, path: str
) -> None:
    _, client = open_relay
    assert (await client.request(method, path, json=STARTED)).json()["id"] == "cloudtalk-1"


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "application/x+json", "text/plain", ""]
)
async def test_a_json_body_is_accepted_under_any_supported_type(
    open_relay: RelayAndClient, content_type: str
) -> None:
    _, client = open_relay
    headers = {"content-type": content_type} if content_type else {}
    response = await client.post(
        WEBHOOK_PATH, content=b'{"event":"call.started","data":{"id":1}}', headers=headers
    )
    assert response.status_code == 200


@pytest.mark.parametrize("body", [b"", b"{}", b'{"test":true}', b'{"event":"contact.updated"}', b"[]"])
async def test_pings_and_unknown_events_are_acknowledged_and_ignored(
    open_relay: RelayAndClient, body: bytes
) -> None:
    relay, client = open_relay
    response = await client.post(WEBHOOK_PATH, content=body, headers=JSON)
    assert (response.status_code, response.json()["ignored"]) == (200, True)
    assert await stored_events(relay) == []
    assert await quarantined(relay) == []


async def test_an_unknown_event_that_looks_like_a_call_is_quarantined(open_relay: RelayAndClient) -> None:
    relay, client = open_relay
    response = await client.post(WEBHOOK_PATH, json={"event": "call.teleported", "data": {"id": 1}})
    assert response.json()["ignored"] is True
    assert [row.reason for row in await quarantined(relay)] == ["unknown_event"]


async def test_an_event_in_a_wrapper_is_stored_as_it_was_sent(open_relay: RelayAndClient) -> None:
    relay, client = open_relay
    response = await client.post(WEBHOOK_PATH + "/call.ended", json={"record": {"call_id": 77}})
    assert (response.status_code, response.json()["id"]) == (200, "cloudtalk-77")
    (row,) = await stored_events(relay)
    assert json.loads(row.raw) == {"record": {"call_id": 77}}


@pytest.mark.parametrize(
    "name",
    [b"Ana \\ud83d", b"Ana \\u0000", b"Ana \xf0\x9f\x98", b"Ana \xff"],
    ids=["half", "null", "cut", "latin"],
)
async def test_a_call_is_stored_although_one_of_its_texts_cannot_be(
    open_relay: RelayAndClient, name: bytes
) -> None:
    relay, client = open_relay
    body = b'{"event":"call.started","data":{"id":"1","contact_name":"' + name + b'"}}'
    assert (await client.post(WEBHOOK_PATH, content=body, headers=JSON)).status_code == 200
    (row,) = await stored_events(relay)
    assert (json.loads(row.parsed)["facts"]["contact_name"], row.raw) == ("Ana \ufffd", body)


async def test_a_body_of_typed_variables_is_refused_with_the_reason_and_quarantined(
    open_relay: RelayAndClient,
) -> None:
    relay, client = open_relay
    response = await client.post(WEBHOOK_PATH, json={"call_uuid": "{{call_uuid}}"})
    assert response.status_code == 422
    assert "{{call_uuid}} was typed; choose it from the picker" in response.json()["detail"]
    (row,) = await quarantined(relay)
    assert row.id == response.json()["quarantine_id"]


async def test_a_signed_event_of_another_company_is_acknowledged_and_quarantined(tmp_path: Path) -> None:
    body = {"event_id": "evt_1", "type": "call.ended", "company_id": 9, "data": {"call_uuid": "u-1"}}
    settings = settings_in(tmp_path, cloudtalk={"company_ids": ["12345"]})
    async with in_process_relay(settings) as (relay, client):
        response = await client.post(WEBHOOK_PATH, json=body)
        assert (response.status_code, response.json()["quarantined"]) == (200, True)
        assert [row.reason for row in await quarantined(relay)] == ["foreign_company"]
        assert await stored_events(relay) == []


async def test_a_get_request_of_a_browser_is_acknowledged(open_relay: RelayAndClient) -> None:
    _, client = open_relay
    assert (await client.get(WEBHOOK_PATH)).json()["ignored"] is True


# --- invalid requests -------------------------------------------------------------------------------

INVALID = [
    (b"hello", JSON, 400, "not_json"),
    (b'{"event":"call.started","data":{"id":NaN}}', JSON, 400, "not_json"),
    (b'{"event":"call.started","data":{"id":"1","duration":1e400}}', JSON, 422, "unstorable_number"),
    (b'{"event":"call.started","data":{"id":10000000000000000000}}', JSON, 422, "unstorable_number"),
    (b'{"event":"call.started","data":' + b'{"a":' * 500 + b"1" + b"}" * 501, JSON, 422, "too_deep"),
    (b"[" * 100_000, JSON, 422, "too_deep"),
    (b'{"event":"call.started","data":{}}', JSON, 422, "missing_id"),
    (b'{"event":"call.started","data":{"id":[]}}', JSON, 422, "unreadable_field"),
    (b'{"event":"call.started","data":"x"}', JSON, 422, "unreadable_field"),
    (b"42", JSON, 422, "not_an_event"),
    (b"\x89PNG", {"content-type": "image/png"}, 415, "content_type"),
    (b"{}", {"content-type": "multipart/form-data; boundary=x"}, 415, "content_type"),
]


@pytest.mark.parametrize(("body", "headers", "status", "reason"), INVALID)
async def test_an_invalid_body_gets_a_problem_document_and_a_log_line_and_is_quarantined(
    open_relay: RelayAndClient, body: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    relay, client = open_relay
    with capture_logs() as logs:
        response = await client.post(WEBHOOK_PATH, content=body, headers=headers)
    problem = response.json()
    assert response.status_code == problem["status"] == status
    assert response.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "detail"} <= problem.keys()
    if status == 422:
        assert problem["errors"][0].keys() == {"pointer", "message"}
    (row,) = await quarantined(relay)
    assert (row.id, row.reason, row.raw) == (problem["quarantine_id"], reason, body)
    (line,) = [line for line in logs if line["event"] == "ingest.refused"]
    assert (line["status"], line["reason"], line["quarantine_id"]) == (status, reason, row.id)


async def test_invalid_requests_harm_no_concurrent_request(open_relay: RelayAndClient) -> None:
    relay, client = open_relay
    valid = [{"event": "call.started", "data": {"id": f"valid-{n}"}} for n in range(20)]
    requests = [client.post(WEBHOOK_PATH, json=event) for event in valid]
    requests += [client.post(WEBHOOK_PATH, content=body, headers=headers) for body, headers, _, _ in INVALID]
    responses = await asyncio.gather(*requests)
    assert [response.status_code for response in responses] == [200] * 20 + [
        status for _, _, status, _ in INVALID
    ]
    assert len(await stored_events(relay)) == 20


async def test_another_method_is_refused_with_the_supported_ones(open_relay: RelayAndClient) -> None:
    _, client = open_relay
    response = await client.delete(WEBHOOK_PATH)
    assert (response.status_code, response.headers["allow"]) == (405, "GET, PATCH, POST, PUT")


async def test_the_beginning_of_a_body_that_is_too_large_is_quarantined(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, cloudtalk={"max_body_bytes": 10_000})
    async with in_process_relay(settings) as (relay, client):
        below_limit = b'{"event":"call.started","data":{"id":"1","x":"' + b"y" * 9_000 + b'"}}'
        assert (await client.post(WEBHOOK_PATH, content=below_limit)).status_code == 200
        response = await client.post(WEBHOOK_PATH, content=b"x" * 10_001)
        assert response.status_code == 413
        (row,) = await quarantined(relay)
        assert (row.reason, row.raw) == ("oversize", b"x" * 4096)


async def test_the_part_of_a_body_before_a_disconnect_is_quarantined(open_relay: RelayAndClient) -> None:
    relay, client = open_relay

    application = client._transport.app  # type: ignore[attr-defined]
    messages = iter(
        [
            {"type": "http.request", "body": b'{"event":', "more_body": True},
            {"type": "http.disconnect"},
        ]
    )
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": WEBHOOK_PATH,
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
    }
    await application(scope, receive, send)
    (row,) = await quarantined(relay)
    assert (row.reason, row.raw) == ("disconnected", b'{"event":')


async def test_each_event_of_an_array_stores_its_own_part_of_the_body(open_relay: RelayAndClient) -> None:
    relay, client = open_relay
    other = {"event": "call.transferred", "data": {"id": 3}}
    response = await client.post(WEBHOOK_PATH, json=[STARTED, other, STARTED])
    assert response.status_code == 200
    assert [json.loads(row.raw) for row in await stored_events(relay)] == [STARTED, STARTED]
    assert [(row.reason, json.loads(row.raw)) for row in await quarantined(relay)] == [
        ("unknown_event", other)
    ]
    assert (await client.post(WEBHOOK_PATH, json=[STARTED] * 1001)).status_code == 422


# --- authentication ---------------------------------------------------------------------------------


@pytest.mark.parametrize("talking_time", [None, "", "{{talking_time}}"])
async def test_an_ended_without_an_outcome_is_stored_and_the_log_names_the_variable(
    open_relay: RelayAndClient, talking_time: str | None
) -> None:
    relay, client = open_relay
    body = {"event": "call.ended", "call_uuid": "u", "talking_time": talking_time}
    with capture_logs() as logs:
        assert (await client.post(WEBHOOK_PATH, json=body)).status_code == 200
        await client.post(WEBHOOK_PATH, json=body | {"talking_time": 0})
    (line,) = [line for line in logs if line["event"] == "ingest.unclear"]
    assert line["warnings"][-1] == "talking_time: missing or empty, so a missed call would look completed"
    assert [row.missing for row in await stored_events(relay)] == ["talking_time", None]


@pytest.mark.parametrize(
    ("hosts", "status"),
    [
        (["localhost", "evil.example"], 401),
        (["evil.example", "localhost"], 401),
        (["127.0.0.1", "localhost:8080"], 401),
        (["localhost", "localhost"], 200),
    ],
)
async def test_each_of_several_hosts_counts(
    open_relay: RelayAndClient, hosts: list[str], status: int
) -> None:
    _, client = open_relay
    headers = [*JSON.items(), *(("host", host) for host in hosts)]
    response = await client.post(WEBHOOK_PATH, content=json.dumps(STARTED), headers=headers)
    assert response.status_code == status


@pytest.fixture
async def relay_with_tokens(tmp_path: Path) -> AsyncIterator[RelayAndClient]:
    settings = settings_in(tmp_path, cloudtalk={"tokens": ["old-token-of-tests", "new-token-of-tests"]})
    async with in_process_relay(settings) as running:
        yield running


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"authorization": "Bearer old-token-of-tests"}, ""),
        ({"authorization": "Basic " + base64.b64encode(b"any:new-token-of-tests").decode()}, ""),
        ({"x-webhook-token": "new-token-of-tests"}, ""),
        ({}, "?token=old-token-of-tests"),
    ],
)
async def test_a_listed_token_is_accepted_and_not_stored(
    relay_with_tokens: RelayAndClient, headers: dict[str, str], query: str
) -> None:
    relay, client = relay_with_tokens
    assert (await client.post(WEBHOOK_PATH + query, json=STARTED, headers=headers)).status_code == 200
    (row,) = await stored_events(relay)
    assert "token" not in row.query


async def test_without_a_listed_token_nothing_is_stored(relay_with_tokens: RelayAndClient) -> None:
    relay, client = relay_with_tokens
    with capture_logs() as logs:
        response = await client.post(WEBHOOK_PATH, json=STARTED, headers={"authorization": "Bearer guess"})
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert await stored_events(relay) == await quarantined(relay) == []
    assert [line["event"] for line in logs] == ["ingest.unauthorised"]
    assert "guess" not in str(logs)


async def test_without_tokens_a_forwarded_request_is_refused(open_relay: RelayAndClient) -> None:
    _, client = open_relay
    response = await client.post(WEBHOOK_PATH, json=STARTED, headers={"x-forwarded-for": "203.0.113.1"})
    assert response.status_code == 401
    assert "cloudtalk.tokens" in response.json()["detail"]


@pytest.mark.parametrize(
    ("method", "query", "headers"),
    [
        ("POST", "", {"origin": "https://evil.example", "content-type": "text/plain"}),
        ("POST", "", {"sec-fetch-site": "same-site"}),
        ("GET", "?event=call.started&call_id=1", {}),
    ],
)
async def test_without_tokens_a_web_page_cannot_store_a_call(
    open_relay: RelayAndClient, method: str, query: str, headers: dict[str, str]
) -> None:
    relay, client = open_relay
    body = json.dumps(STARTED) if method == "POST" else ""
    response = await client.request(method, WEBHOOK_PATH + query, content=body, headers=headers)
    assert response.status_code == 401
    assert await stored_events(relay) == await quarantined(relay) == []


async def test_a_get_request_with_a_token_in_its_query_is_stored(relay_with_tokens: RelayAndClient) -> None:
    relay, client = relay_with_tokens
    query = "?event=call.started&call_id=1&token=new-token-of-tests"
    assert (await client.get(WEBHOOK_PATH + query)).status_code == 200
    (row,) = await stored_events(relay)
    assert (row.kind, row.query) == ("started", "event=call.started&call_id=1")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "DELETE"])
async def test_an_empty_request_is_not_quarantined_for_its_method(
    open_relay: RelayAndClient, method: str
) -> None:
    relay, client = open_relay
    assert (await client.request(method, WEBHOOK_PATH)).status_code == 405
    assert await quarantined(relay) == []


# --- secrets and signatures -------------------------------------------------------------------------

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNED = {
    "event_id": "evt_1",
    "type": "call.ended",
    "occurred_at": "2026-09-26T15:04:05.000Z",
    "data": {"call_uuid": "44fe27cd-5268-4670-993e-0129aabbccdd", "talking_time": 62},
}


def signed_headers(body: bytes, at: float) -> dict[str, str]:
    return JSON | Signer([SECRET], prefix="svix-").headers("msg_1", int(at), body)


@pytest.fixture
async def relay_with_secret(tmp_path: Path) -> AsyncIterator[RelayAndClient]:
    settings = settings_in(
        tmp_path, cloudtalk={"tokens": ["one-token-of-tests"], "signing_secrets": [SECRET]}
    )
    async with in_process_relay(settings) as running:
        yield running


async def test_a_valid_signature_is_accepted(relay_with_secret: RelayAndClient) -> None:
    relay, client = relay_with_secret
    body = json.dumps(SIGNED).encode()
    response = await client.post(WEBHOOK_PATH, content=body, headers=signed_headers(body, time.time()))
    assert (response.status_code, response.json()["success"]) == (200, True)
    (row,) = await stored_events(relay)
    assert (row.dialect, row.kind, row.raw) == ("signed", "ended", body)


@pytest.mark.parametrize("broken", [{"svix-signature": "v1,AAAA"}, {"svix-signature": ""}, {"svix-id": ""}])
async def test_a_wrong_signature_is_refused_whatever_token_comes_with_it(
    relay_with_secret: RelayAndClient, broken: dict[str, str]
) -> None:
    relay, client = relay_with_secret
    body = json.dumps(SIGNED).encode()
    headers = signed_headers(body, time.time()) | broken | {"authorization": "Bearer one-token-of-tests"}
    response = await client.post(WEBHOOK_PATH, content=body, headers=headers)
    assert response.status_code == 401
    assert await stored_events(relay) == await quarantined(relay) == []


async def test_a_stale_signature_is_logged_and_shown_by_check(relay_with_secret: RelayAndClient) -> None:
    relay, client = relay_with_secret
    body = json.dumps(SIGNED).encode()
    with capture_logs() as logs:
        response = await client.post(
            WEBHOOK_PATH, content=body, headers=signed_headers(body, time.time() - 1000)
        )
    assert response.status_code == 401
    assert "clock" in response.json()["detail"]
    (line,) = [line for line in logs if line["event"] == "ingest.clock_off"]
    assert 995 < line["seconds"] < 1005
    checks = {finding.name: finding for finding in await run_checks(relay.settings)}
    assert (checks["clock"].ok, checks["clock"].code) == (False, "clock_off")


async def test_a_signed_body_that_cannot_be_parsed_is_acknowledged_and_quarantined(
    relay_with_secret: RelayAndClient,
) -> None:
    relay, client = relay_with_secret
    body = b'{"type":"call.ended","data":'
    response = await client.post(WEBHOOK_PATH, content=body, headers=signed_headers(body, time.time()))
    assert (response.status_code, response.json()["quarantined"]) == (200, True)
    assert [row.raw for row in await quarantined(relay)] == [body]


async def test_a_valid_signature_clears_the_clock_warning(
    relay_with_secret: RelayAndClient,
) -> None:
    relay, client = relay_with_secret
    body = json.dumps(SIGNED).encode()
    for late in (1000, 0):
        await client.post(WEBHOOK_PATH, content=body, headers=signed_headers(body, time.time() - late))
    checks = {finding.name: finding for finding in await run_checks(relay.settings)}
    assert checks["clock"].ok


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"event":"call.ended","data":{"id":"1","duration":"abc"}}', {}),
        (b"\x89PNG", {"content-type": "image/png"}),
    ],
)
async def test_a_signed_message_is_never_refused_for_its_body(
    relay_with_secret: RelayAndClient, body: bytes, headers: dict[str, str]
) -> None:
    relay, client = relay_with_secret
    response = await client.post(
        WEBHOOK_PATH, content=body, headers=signed_headers(body, time.time()) | headers
    )
    assert (response.status_code, response.json()["quarantined"]) == (200, True)
    assert [row.raw for row in await quarantined(relay)] == [body]


@pytest.mark.parametrize("charset", ["utf-16", "utf-16-be", "utf-32", "iso-8859-1"])
async def test_a_secret_in_another_charset_is_never_stored(
    relay_with_tokens: RelayAndClient, charset: str
) -> None:
    relay, client = relay_with_tokens
    headers = {"content-type": f"application/json; charset={charset}"}
    secret = '{"lhc_key":"old-token-of-tests","call_uuid":"b-1","contact_name":"Peñá"'
    valid = await client.post(WEBHOOK_PATH, content=(secret + "}").encode(charset), headers=headers)
    broken = await client.post(
        WEBHOOK_PATH + "?token=old-token-of-tests", content=(secret + ",").encode(charset), headers=headers
    )
    assert (valid.status_code, broken.status_code) == (200, 400)
    (row,), (kept,) = await stored_events(relay), await quarantined(relay)
    assert json.loads(row.raw) == {"call_uuid": "b-1", "contact_name": "Peñá"}
    assert "old-token-of-tests" not in kept.raw.decode()


async def test_a_secret_in_the_body_authenticates_and_is_never_stored_or_logged(
    relay_with_tokens: RelayAndClient,
) -> None:
    relay, client = relay_with_tokens
    body = {
        "action": "call_started",
        "lhc_key": "old-token-of-tests",
        "call_uuid": SIGNED["data"]["call_uuid"],  # type: ignore[index]
    }
    with capture_logs() as logs:
        response = await client.post(WEBHOOK_PATH, json=body)
        wrong = await client.post(WEBHOOK_PATH, json=body | {"lhc_key": "a-guess"})
    assert (response.status_code, wrong.status_code) == (200, 401)
    (row,) = await stored_events(relay)
    assert json.loads(row.raw) == {"action": "call_started", "call_uuid": body["call_uuid"]}
    assert "old-token-of-tests" not in row.parsed + str(logs)
    assert "a-guess" not in str(logs)


UUID = "44fe27cd-5268-4670-993e-0129aabbccdd"
_WITH_SECRET = {"event": "call.started", "call_uuid": UUID, "secret": "old-token-of-tests", "note": "n"}


@pytest.mark.parametrize(
    ("query", "body", "headers"),
    [
        (f"?event=call.started&call_uuid={UUID}&secret=old-token-of-tests", b"", {}),
        (f"?event=call.started&call_uuid={UUID}&%73ecret=old-token-of-tests", b"", {}),
        ("", gzip.compress(json.dumps(_WITH_SECRET).encode()), JSON),
        ("", gzip.compress(json.dumps(_WITH_SECRET).encode()), JSON | {"content-encoding": "gzip"}),
        (
            "",
            f"event=call.started&call_uuid={UUID}&%73ecret=old-token-of-tests".encode(),
            {"content-type": FORM},
        ),
        ("", b"\xef\xbb\xbf" + json.dumps(_WITH_SECRET).encode(), JSON),
    ],
)
async def test_a_secret_authenticates_and_is_never_stored_in_any_form_of_body(
    relay_with_tokens: RelayAndClient, query: str, body: bytes, headers: dict[str, str]
) -> None:
    relay, client = relay_with_tokens
    response = await client.post(WEBHOOK_PATH + query, content=body, headers=headers)
    assert response.status_code == 200, response.text
    (row,) = await stored_events(relay)
    stored = f"{row.query} {row.parsed}".encode() + (
        gzip.decompress(row.raw) if row.raw[:1] == b"\x1f" else row.raw
    )
    assert UUID.encode() in stored
    assert b"old-token-of-tests" not in stored


async def test_a_body_that_cannot_be_parsed_is_quarantined_without_its_secret(
    relay_with_tokens: RelayAndClient,
) -> None:
    relay, client = relay_with_tokens
    body = b'{"lhc_key":"old-token-of-tests","call_uuid":'
    assert (await client.post(WEBHOOK_PATH, content=body, headers=JSON)).status_code == 401
    authorised = JSON | {"authorization": "Bearer old-token-of-tests"}
    assert (await client.post(WEBHOOK_PATH, content=body, headers=authorised)).status_code == 400
    assert [row.raw for row in await quarantined(relay)] == [b'{"lhc_key":"[secret]","call_uuid":']


async def test_a_compressed_body_is_stored_decompressed(open_relay: RelayAndClient) -> None:
    relay, client = open_relay
    compressed = gzip.compress(json.dumps(STARTED).encode())
    headers = JSON | {"content-encoding": "gzip"}
    assert (await client.post(WEBHOOK_PATH, content=compressed, headers=headers)).status_code == 200
    assert json.loads((await stored_events(relay))[0].raw) == STARTED
    bomb = gzip.compress(b" " * 2_000_000)
    assert (await client.post(WEBHOOK_PATH, content=bomb, headers=headers)).status_code == 413


async def test_the_path_may_name_the_event(open_relay: RelayAndClient) -> None:
    relay, client = open_relay
    body = {"call_uuid": "44fe27cd-5268-4670-993e-0129aabbccdd", "talking_time": 0}
    assert (await client.post(f"{WEBHOOK_PATH}/call.ended", json=body)).status_code == 200
    assert [row.kind for row in await stored_events(relay)] == ["ended"]


# --- an unavailable ledger and too many requests ------------------------------------------------------


@pytest.mark.parametrize(
    "error", [MemoryError(), RecursionError("too deep"), OSError(24, "no files")], ids=repr
)
async def test_a_fault_of_the_machine_while_a_body_is_parsed_is_503(
    open_relay: RelayAndClient, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    relay, client = open_relay
    with monkeypatch.context() as patch:
        patch.setattr("relay.cloudtalk.parser.Parser.parse_items", Mock(side_effect=error))
        response = await client.post(WEBHOOK_PATH, json=STARTED)
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert await stored_events(relay) == await quarantined(relay) == []
    assert (await client.post(WEBHOOK_PATH, json=STARTED)).status_code == 200


async def test_no_event_is_acknowledged_while_the_ledger_is_unavailable(
    open_relay: RelayAndClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, client = open_relay
    monkeypatch.setattr(ingest_of(relay).group_commit, "_hold_seconds", 0.0)

    def locked(*_: Any) -> list[int]:
        raise LedgerUnavailable("the ledger is locked")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "append", locked)
        response = await client.post(WEBHOOK_PATH, json=STARTED)
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert (await client.post(WEBHOOK_PATH, json=STARTED)).status_code == 200
    assert len(await stored_events(relay)) == 1


async def test_an_event_that_cannot_be_stored_is_refused_alone(
    open_relay: RelayAndClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, client = open_relay
    append = journal.append

    def append_without_poison(connection: Connection, rows: list[journal.NewEvent]) -> list[int]:
        if any(row.parsed.name == "poison" for row in rows):
            raise ValueError("cannot be bound")
        return append(connection, rows)

    monkeypatch.setattr(journal, "append", append_without_poison)
    bodies = [{"event": "call.started", "data": {"id": name}} for name in ("a", "poison", "b")]
    responses = await asyncio.gather(*(client.post(WEBHOOK_PATH, json=body) for body in bodies))
    assert [response.status_code for response in responses] == [200, 422, 200]
    assert [row.reason for row in await quarantined(relay)] == ["unstorable"]


async def test_too_many_concurrent_requests_get_503(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with in_process_relay(settings_in(tmp_path, server={"max_in_flight": 2})) as (relay, client):
        both_wait, may_append = asyncio.Barrier(3), asyncio.Event()
        append = ingest_of(relay).group_commit.append

        async def append_later(rows: list[journal.NewEvent]) -> list[int]:
            await both_wait.wait()
            await may_append.wait()
            return await append(rows)

        monkeypatch.setattr(ingest_of(relay).group_commit, "append", append_later)
        waiting = [asyncio.create_task(client.post(WEBHOOK_PATH, json=STARTED)) for _ in range(2)]
        await both_wait.wait()
        assert (await client.post(WEBHOOK_PATH, json=STARTED)).status_code == 503
        may_append.set()
        assert [response.status_code for response in await asyncio.gather(*waiting)] == [200, 200]


# --- memory -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{broken", JSON, 400),
        (b"{}", {"content-type": "application/octet-stream"}, 415),
        (b'{"event": "call.started", "data": {}}', JSON, 422),
        (b'{"event": "call.started", "data": {"id": "%s"}}' % (b"1" * 201), JSON, 422),
        (b"x", JSON | {"content-encoding": "gzip"}, 400),
    ],
)
async def test_a_refused_body_is_freed_without_the_garbage_collector(
    open_relay: RelayAndClient, content: bytes, headers: dict[str, str], status: int
) -> None:
    _, client = open_relay
    gc.collect()
    gc.disable()
    try:
        assert (await client.post(WEBHOOK_PATH, content=content, headers=headers)).status_code == status
        assert [found for found in gc.get_objects() if isinstance(found, InvalidPayload)] == []
    finally:
        gc.enable()
