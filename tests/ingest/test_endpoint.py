"""The hook: what it answers, what it keeps, and that no request harms another."""

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, select
from structlog.testing import capture_logs

from relay.app import Relay
from relay.cli.check import run_checks
from relay.ledger import LedgerUnavailable, journal
from relay.ledger.tables import events, quarantine
from tests.support.in_process import in_process_relay, settings_in

HOOK = "/cloudtalk/webhook"
JSON = {"content-type": "application/json"}
FORM = "application/x-www-form-urlencoded"
STARTED = {"event": "call.started", "data": {"id": "1", "direction": "inbound"}}
Parts = tuple[Relay, httpx.AsyncClient]


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    async with in_process_relay(settings_in(tmp_path)) as running:
        yield running


async def kept(relay: Relay) -> list[Any]:
    """What stands in quarantine."""
    return await relay.ledger.read(lambda c: list(c.execute(select(quarantine).order_by(quarantine.c.id))))


async def journalled(relay: Relay) -> list[Any]:
    return await relay.ledger.read(lambda c: list(c.execute(select(events).order_by(events.c.seq))))


# --- taking ---------------------------------------------------------------------------------------


async def test_an_event_is_acknowledged_once_it_is_written_down(parts: Parts) -> None:
    relay, client = parts
    answer = await client.post(HOOK, json=STARTED)
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "message": "Webhook procesado correctamente",
        "id": "cloudtalk-1",
    }
    (row,) = await journalled(relay)
    assert (row.dialect, row.kind, row.path, row.raw) == ("mission", "started", HOOK, answer.request.content)


async def test_an_array_is_acknowledged_with_the_ids_of_all(parts: Parts) -> None:
    _, client = parts
    other = {"event": "call.ended", "data": {"id": 2}}
    assert (await client.post(HOOK, json=[STARTED, other])).json()["ids"] == ["cloudtalk-1", "cloudtalk-2"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("path", [HOOK, HOOK + "/", HOOK + "/call.started"])
async def test_it_takes_several_methods_and_every_path_below(parts: Parts, method: str, path: str) -> None:
    _, client = parts
    assert (await client.request(method, path, json=STARTED)).json()["id"] == "cloudtalk-1"


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "application/x+json", "text/plain", ""]
)
async def test_a_json_body_is_taken_under_any_readable_type(parts: Parts, content_type: str) -> None:
    _, client = parts
    headers = {"content-type": content_type} if content_type else {}
    answer = await client.post(HOOK, content=b'{"event":"call.started","data":{"id":1}}', headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("body", [b"", b"{}", b'{"test":true}', b'{"event":"contact.updated"}', b"[]"])
async def test_pings_and_unknown_events_are_acknowledged_and_ignored(parts: Parts, body: bytes) -> None:
    relay, client = parts
    answer = await client.post(HOOK, content=body, headers=JSON)
    assert (answer.status_code, answer.json()["ignored"]) == (200, True)
    assert await journalled(relay) == []
    assert await kept(relay) == []


async def test_an_unknown_event_like_a_call_is_kept_for_a_person(parts: Parts) -> None:
    relay, client = parts
    answer = await client.post(HOOK, json={"event": "call.teleported", "data": {"id": 1}})
    assert answer.json()["ignored"] is True
    assert [row.reason for row in await kept(relay)] == ["unknown_event"]


async def test_a_browser_that_looks_at_the_hook_is_answered(parts: Parts) -> None:
    _, client = parts
    assert (await client.get(HOOK)).json()["ignored"] is True


# --- refusing -------------------------------------------------------------------------------------

BAD = [
    (b"hello", JSON, 400, "not_json"),
    (b'{"event":"call.started","data":{"id":NaN}}', JSON, 400, "not_json"),
    (b'{"event":"call.started","data":{"id":"\xff"}}', JSON, 400, "not_json"),
    (b'{"event":"call.started","data":{"id":"1","duration":1e400}}', JSON, 422, "unstorable_number"),
    (b'{"event":"call.started","data":{"id":10000000000000000000}}', JSON, 422, "unstorable_number"),
    (b'{"event":"call.started","data":{"id":"1","x":"\\ud800"}}', JSON, 422, "unstorable_text"),
    (b'{"event":"call.started","data":{"id":"1","x":"\\u0000"}}', JSON, 422, "unstorable_text"),
    (b'{"event":"call.started","data":' + b'{"a":' * 500 + b"1" + b"}" * 501, JSON, 422, "too_deep"),
    (b"[" * 100_000, JSON, 422, "too_deep"),
    (b'{"event":"call.started","data":{}}', JSON, 422, "missing_id"),
    (b'{"event":"call.started","data":{"id":[]}}', JSON, 422, "unreadable_field"),
    (b'{"event":"call.started","data":"x"}', JSON, 422, "unreadable_field"),
    (b"42", JSON, 422, "not_an_event"),
    (b"\x89PNG", {"content-type": "image/png"}, 415, "content_type"),
    (b"{}", {"content-type": "multipart/form-data; boundary=x"}, 415, "content_type"),
]


@pytest.mark.parametrize(("body", "headers", "status", "reason"), BAD)
async def test_bad_input_gets_its_problem_a_log_line_and_is_kept(
    parts: Parts, body: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    relay, client = parts
    with capture_logs() as logs:
        answer = await client.post(HOOK, content=body, headers=headers)
    problem = answer.json()
    assert answer.status_code == problem["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "detail"} <= problem.keys()
    if status == 422:
        assert problem["errors"][0].keys() == {"pointer", "message"}
    (row,) = await kept(relay)
    assert (row.id, row.reason, row.raw) == (problem["quarantine_id"], reason, body)
    (line,) = [line for line in logs if line["event"] == "ingest.refused"]
    assert (line["status"], line["reason"], line["quarantine_id"]) == (status, reason, row.id)


async def test_bad_input_harms_no_neighbour_of_the_same_moment(parts: Parts) -> None:
    relay, client = parts
    good = [{"event": "call.started", "data": {"id": f"good-{n}"}} for n in range(20)]
    requests = [client.post(HOOK, json=event) for event in good]
    requests += [client.post(HOOK, content=body, headers=headers) for body, headers, _, _ in BAD]
    answers = await asyncio.gather(*requests)
    assert [answer.status_code for answer in answers] == [200] * 20 + [status for _, _, status, _ in BAD]
    assert len(await journalled(relay)) == 20


async def test_another_method_is_told_which_are_taken(parts: Parts) -> None:
    _, client = parts
    answer = await client.delete(HOOK)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, PATCH, POST, PUT")


async def test_of_an_oversize_body_the_beginning_is_kept(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, cloudtalk={"max_body_bytes": 10_000})
    async with in_process_relay(settings) as (relay, client):
        just = b'{"event":"call.started","data":{"id":"1","x":"' + b"y" * 9_000 + b'"}}'
        assert (await client.post(HOOK, content=just)).status_code == 200
        answer = await client.post(HOOK, content=b"x" * 10_001)
        assert answer.status_code == 413
        (row,) = await kept(relay)
        assert (row.reason, row.raw) == ("oversize", b"x" * 4096)


async def test_what_came_before_the_connection_closed_is_kept(parts: Parts) -> None:
    relay, client = parts

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
        "method": "POST",
        "path": HOOK,
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
    }
    await application(scope, receive, send)
    (row,) = await kept(relay)
    assert (row.reason, row.raw) == ("disconnected", b'{"event":')


async def test_of_an_array_each_event_keeps_its_own_part(parts: Parts) -> None:
    relay, client = parts
    other = {"event": "call.transferred", "data": {"id": 3}}
    answer = await client.post(HOOK, json=[STARTED, other, STARTED])
    assert answer.status_code == 200
    assert [json.loads(row.raw) for row in await journalled(relay)] == [STARTED, STARTED]
    assert [(row.reason, json.loads(row.raw)) for row in await kept(relay)] == [("unknown_event", other)]
    assert (await client.post(HOOK, json=[STARTED] * 1001)).status_code == 422


# --- who may speak --------------------------------------------------------------------------------


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Parts]:
    settings = settings_in(tmp_path, cloudtalk={"tokens": ["old-token", "new-token"]})
    async with in_process_relay(settings) as running:
        yield running


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"authorization": "Bearer old-token"}, ""),
        ({"authorization": "Basic " + base64.b64encode(b"any:new-token").decode()}, ""),
        ({"x-webhook-token": "new-token"}, ""),
        ({}, "?token=old-token"),
    ],
)
async def test_a_listed_token_opens(guarded: Parts, headers: dict[str, str], query: str) -> None:
    relay, client = guarded
    assert (await client.post(HOOK + query, json=STARTED, headers=headers)).status_code == 200
    (row,) = await journalled(relay)
    assert "token" not in row.query


async def test_without_a_listed_token_nothing_is_kept(guarded: Parts) -> None:
    relay, client = guarded
    with capture_logs() as logs:
        answer = await client.post(HOOK, json=STARTED, headers={"authorization": "Bearer guess"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert await journalled(relay) == await kept(relay) == []
    assert [line["event"] for line in logs] == ["ingest.unauthorised"]
    assert "guess" not in str(logs)


async def test_without_tokens_a_forwarded_request_is_refused(parts: Parts) -> None:
    _, client = parts
    answer = await client.post(HOOK, json=STARTED, headers={"x-forwarded-for": "203.0.113.1"})
    assert answer.status_code == 401
    assert "cloudtalk.tokens" in answer.json()["detail"]


# --- secrets and signatures -------------------------------------------------------------------------

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNED = {
    "event_id": "evt_1",
    "type": "call.ended",
    "occurred_at": "2026-09-26T15:04:05.000Z",
    "data": {"call_uuid": "44fe27cd-5268-4670-993e-0129aabbccdd", "talking_time": 62},
}


def signature(body: bytes, at: float, message: str = "msg_1") -> dict[str, str]:
    key, stamp = base64.b64decode(SECRET[6:]), str(int(at))
    digest = hmac.new(key, f"{message}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return JSON | {
        "svix-id": message,
        "svix-timestamp": stamp,
        "svix-signature": "v1," + base64.b64encode(digest).decode(),
    }


@pytest.fixture
async def signed(tmp_path: Path) -> AsyncIterator[Parts]:
    settings = settings_in(tmp_path, cloudtalk={"tokens": ["a-token"], "signing_secrets": [SECRET]})
    async with in_process_relay(settings) as running:
        yield running


async def test_a_right_signature_opens(signed: Parts) -> None:
    relay, client = signed
    body = json.dumps(SIGNED).encode()
    answer = await client.post(HOOK, content=body, headers=signature(body, time.time()))
    assert (answer.status_code, answer.json()["success"]) == (200, True)
    (row,) = await journalled(relay)
    assert (row.dialect, row.kind, row.raw) == ("signed", "ended", body)


@pytest.mark.parametrize("broken", [{"svix-signature": "v1,AAAA"}, {"svix-signature": ""}, {"svix-id": ""}])
async def test_a_wrong_signature_is_refused_whatever_token_comes_with_it(
    signed: Parts, broken: dict[str, str]
) -> None:
    relay, client = signed
    body = json.dumps(SIGNED).encode()
    headers = signature(body, time.time()) | broken | {"authorization": "Bearer a-token"}
    answer = await client.post(HOOK, content=body, headers=headers)
    assert answer.status_code == 401
    assert await journalled(relay) == await kept(relay) == []


async def test_a_clock_that_is_off_has_a_line_and_a_finding_of_its_own(signed: Parts) -> None:
    relay, client = signed
    body = json.dumps(SIGNED).encode()
    with capture_logs() as logs:
        answer = await client.post(HOOK, content=body, headers=signature(body, time.time() - 1000))
    assert answer.status_code == 401
    assert "clock" in answer.json()["detail"]
    (line,) = [line for line in logs if line["event"] == "ingest.clock_off"]
    assert 995 < line["seconds"] < 1005
    found = {finding.name: finding for finding in await run_checks(relay.settings)}
    assert (found["clock"].ok, found["clock"].code) == (False, "clock_off")


async def test_a_signed_body_that_cannot_be_read_is_acknowledged_and_kept(signed: Parts) -> None:
    relay, client = signed
    body = b'{"type":"call.ended","data":'
    answer = await client.post(HOOK, content=body, headers=signature(body, time.time()))
    assert (answer.status_code, answer.json()["quarantined"]) == (200, True)
    assert [row.raw for row in await kept(relay)] == [body]


async def test_a_message_that_is_in_time_says_that_the_clock_is_right(signed: Parts) -> None:
    relay, client = signed
    body = json.dumps(SIGNED).encode()
    for late in (1000, 0):
        await client.post(HOOK, content=body, headers=signature(body, time.time() - late))
    found = {finding.name: finding for finding in await run_checks(relay.settings)}
    assert found["clock"].ok


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"event":"call.ended","data":{"id":"1","duration":"abc"}}', {}),
        (b"\x89PNG", {"content-type": "image/png"}),
    ],
)
async def test_a_signed_sender_never_hears_of_a_refusal(
    signed: Parts, body: bytes, headers: dict[str, str]
) -> None:
    relay, client = signed
    answer = await client.post(HOOK, content=body, headers=signature(body, time.time()) | headers)
    assert (answer.status_code, answer.json()["quarantined"]) == (200, True)
    assert [row.raw for row in await kept(relay)] == [body]


async def test_a_secret_in_the_body_opens_and_is_never_stored_or_logged(guarded: Parts) -> None:
    relay, client = guarded
    body = {"action": "call_started", "lhc_key": "old-token", "call_uuid": SIGNED["data"]["call_uuid"]}  # type: ignore[index]
    with capture_logs() as logs:
        answer = await client.post(HOOK, json=body)
        wrong = await client.post(HOOK, json=body | {"lhc_key": "a-guess"})
    assert (answer.status_code, wrong.status_code) == (200, 401)
    (row,) = await journalled(relay)
    assert json.loads(row.raw) == {"action": "call_started", "call_uuid": body["call_uuid"]}
    assert "old-token" not in row.parsed + str(logs)
    assert "a-guess" not in str(logs)


UUID = "44fe27cd-5268-4670-993e-0129aabbccdd"
_SECRETIVE = {"event": "call.started", "call_uuid": UUID, "secret": "old-token", "note": "n"}


@pytest.mark.parametrize(
    ("query", "body", "headers"),
    [
        (f"?event=call.started&call_uuid={UUID}&secret=old-token", b"", {}),
        (f"?event=call.started&call_uuid={UUID}&%73ecret=old-token", b"", {}),
        ("", gzip.compress(json.dumps(_SECRETIVE).encode()), JSON),
        ("", gzip.compress(json.dumps(_SECRETIVE).encode()), JSON | {"content-encoding": "gzip"}),
        ("", f"event=call.started&call_uuid={UUID}&%73ecret=old-token".encode(), {"content-type": FORM}),
        ("", b"\xef\xbb\xbf" + json.dumps(_SECRETIVE).encode(), JSON),
    ],
)
async def test_a_secret_opens_and_is_never_stored_however_it_comes(
    guarded: Parts, query: str, body: bytes, headers: dict[str, str]
) -> None:
    relay, client = guarded
    answer = await client.post(HOOK + query, content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    (row,) = await journalled(relay)
    stored = f"{row.query} {row.parsed}".encode() + (
        gzip.decompress(row.raw) if row.raw[:1] == b"\x1f" else row.raw
    )
    assert UUID.encode() in stored
    assert b"old-token" not in stored


async def test_a_body_that_cannot_be_read_is_kept_without_its_secret(guarded: Parts) -> None:
    relay, client = guarded
    body = b'{"lhc_key":"old-token","call_uuid":'
    assert (await client.post(HOOK, content=body, headers=JSON)).status_code == 401
    authorised = JSON | {"authorization": "Bearer old-token"}
    assert (await client.post(HOOK, content=body, headers=authorised)).status_code == 400
    assert [row.raw for row in await kept(relay)] == [b'{"lhc_key":"[secret]","call_uuid":']


async def test_a_packed_body_is_taken_and_kept_as_what_it_says(parts: Parts) -> None:
    relay, client = parts
    packed = gzip.compress(json.dumps(STARTED).encode())
    headers = JSON | {"content-encoding": "gzip"}
    assert (await client.post(HOOK, content=packed, headers=headers)).status_code == 200
    assert json.loads((await journalled(relay))[0].raw) == STARTED
    bomb = gzip.compress(b" " * 2_000_000)
    assert (await client.post(HOOK, content=bomb, headers=headers)).status_code == 413


async def test_the_event_may_be_named_by_the_path(parts: Parts) -> None:
    relay, client = parts
    body = {"call_uuid": "44fe27cd-5268-4670-993e-0129aabbccdd", "talking_time": 0}
    assert (await client.post(f"{HOOK}/call.ended", json=body)).status_code == 200
    assert [row.kind for row in await journalled(relay)] == ["ended"]


# --- when the ledger cannot -----------------------------------------------------------------------


async def test_while_the_ledger_cannot_take_it_nobody_is_told_that_it_did(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, client = parts
    monkeypatch.setattr(relay.group_commit, "_hold_seconds", 0.0)

    def locked(*_: Any) -> list[int]:
        raise LedgerUnavailable("the ledger is locked")

    with monkeypatch.context() as broken:
        broken.setattr(journal, "append", locked)
        answer = await client.post(HOOK, json=STARTED)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert (await client.post(HOOK, json=STARTED)).status_code == 200
    assert len(await journalled(relay)) == 1


async def test_a_poisoned_event_is_refused_and_its_neighbours_are_taken(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, client = parts
    append = journal.append

    def picky(connection: Connection, rows: list[journal.NewEvent]) -> list[int]:
        if any(row.parsed.name == "poison" for row in rows):
            raise ValueError("cannot be bound")
        return append(connection, rows)

    monkeypatch.setattr(journal, "append", picky)
    bodies = [{"event": "call.started", "data": {"id": name}} for name in ("a", "poison", "b")]
    answers = await asyncio.gather(*(client.post(HOOK, json=body) for body in bodies))
    assert [answer.status_code for answer in answers] == [200, 422, 200]
    assert [row.reason for row in await kept(relay)] == ["unstorable"]


async def test_beyond_the_bound_of_requests_under_way_it_says_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_process_relay(settings_in(tmp_path, server={"max_in_flight": 2})) as (relay, client):
        gate = asyncio.Event()
        append = relay.group_commit.append

        async def slow(rows: list[journal.NewEvent]) -> list[int]:
            await gate.wait()
            return await append(rows)

        monkeypatch.setattr(relay.group_commit, "append", slow)
        held = [asyncio.create_task(client.post(HOOK, json=STARTED)) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert (await client.post(HOOK, json=STARTED)).status_code == 503
        gate.set()
        assert [answer.status_code for answer in await asyncio.gather(*held)] == [200, 200]
