"""The client against a real receiver."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from typing import Any
from unittest.mock import AsyncMock

import msgspec
import pytest
from standardwebhooks import Webhook

from crm_clients.base import (
    Delivered,
    Misconfigured,
    Outcome,
    Push,
    Rejected,
    Retraction,
    Retry,
    Throttled,
    Unauthorised,
    Unknown,
)
from crm_clients.conformance import Request, Response
from crm_clients.http import USER_AGENT
from crm_clients.webhook import WebhookClient, WebhookSettings
from relay.call import DELIVERED_FIELDS
from tests.support.clients import make_context, make_retraction
from tests.support.fake_time import FakeTime
from tests.support.receiver import OTHER_SECRET, PATH, SECRET, Receiver
from tests.support.samples import make_call
from tests.support.servers import Handle, serving

ALL = frozenset(DELIVERED_FIELDS)


class ScriptedReceiver(Receiver):
    """Answers with `response` if it is set, else as a receiver does."""

    response: Response | None = None

    def respond(self, request: Request) -> Response:
        return self.response or super().respond(request)


@pytest.fixture
def receiver() -> Iterator[ScriptedReceiver]:
    with closing(ScriptedReceiver()) as receiver:
        yield receiver


@asynccontextmanager
async def opened(
    url: str, *, clock: Callable[[], float] = time.time, **settings: Any
) -> AsyncIterator[WebhookClient]:
    values = {"client": "webhook", "url": url, "secret": SECRET, "allow_private": True, **settings}
    client = WebhookClient("hook", WebhookSettings.model_validate(values), make_context(), clock=clock)
    try:
        yield client
    finally:
        await client.aclose()


@pytest.fixture
async def client(receiver: ScriptedReceiver) -> AsyncIterator[WebhookClient]:
    async with opened(receiver.url + PATH) as client:
        yield client


async def push(client: WebhookClient, *ids: str, first: bool = True) -> list[Outcome]:
    return await client.upsert([Push(make_call(id=id_), ALL, first=first) for id_ in ids or ("cloudtalk-1",)])


# --- requests --------------------------------------------------------------------------------


async def test_a_call_is_sent_as_one_signed_post(client: WebhookClient, receiver: ScriptedReceiver) -> None:
    before = int(time.time())
    assert await push(client) == [Delivered()]
    [request] = receiver.requests
    assert (request.method, request.path) == ("POST", PATH)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == USER_AGENT
    assert before <= int(request.headers["webhook-timestamp"]) <= time.time()
    message = Webhook(SECRET).verify(request.body, dict(request.headers))
    assert message == request.json
    assert (message["type"], message["data"]["id"]) == ("call.created", "cloudtalk-1")


async def test_a_retry_has_the_same_message_id_and_a_new_timestamp(
    receiver: ScriptedReceiver,
) -> None:
    receiver.response = Response(500)
    time = FakeTime(1_768_208_525.9)
    async with opened(receiver.url + PATH, clock=time.clock) as client:
        await push(client)
        time.now += 5
        await push(client)
    first, second = (request.headers for request in receiver.requests)
    assert first["webhook-id"] == second["webhook-id"]
    assert (first["webhook-timestamp"], second["webhook-timestamp"]) == ("1768208525", "1768208530")
    assert first["webhook-signature"] != second["webhook-signature"]
    assert receiver.requests[1].json["timestamp"] == "2026-01-12T09:02:10Z"


async def test_every_secret_signs(receiver: ScriptedReceiver) -> None:
    async with opened(receiver.url, secret=[SECRET, OTHER_SECRET]) as client:
        await push(client)
    [request] = receiver.requests
    assert len(request.headers["webhook-signature"].split()) == 2
    for secret in (SECRET, OTHER_SECRET):
        Webhook(secret).verify(request.body, dict(request.headers))


async def test_changes_merges_and_deletions_have_their_own_types(
    client: WebhookClient, receiver: ScriptedReceiver
) -> None:
    await push(client, first=False)
    await client.retract([make_retraction("cloudtalk-1", "cloudtalk-2", 2), Retraction(make_call(3))])
    await client.forget([Retraction(make_call(3))])
    types = [request.json["type"] for request in receiver.requests]
    assert types[0] == "call.updated"
    assert sorted(types[1:3]) == ["call.deleted", "call.merged"]
    assert receiver.requests[3].json["data"] == {"id": "cloudtalk-1"}


async def test_all_batches_together_keep_to_the_concurrency_limit() -> None:
    in_flight, most = 0, 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal in_flight, most
        while await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            await reader.readuntil(b"}}")
            in_flight, most = in_flight + 1, max(most, in_flight + 1)
            await asyncio.sleep(0.02)
            in_flight -= 1
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with serving(slow) as url, opened(url, concurrency=3, fields={"cloudtalk_data": ""}) as client:
        both = await asyncio.gather(
            push(client, *(f"a{n}" for n in range(8))), push(client, *(f"b{n}" for n in range(8)))
        )
    assert [outcome for outcomes in both for outcome in outcomes] == [Delivered()] * 16
    assert most == 3


# --- outcomes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "outcome", "code"),
    [
        (200, Delivered, None),
        (202, Delivered, None),
        (204, Delivered, None),
        (301, Misconfigured, "redirected"),
        (307, Misconfigured, "redirected"),
        (400, Rejected, "http_400"),
        (401, Unauthorised, "http_401"),
        (403, Unauthorised, "http_403"),
        (404, Misconfigured, "http_404"),
        (405, Misconfigured, "http_405"),
        (408, Retry, "http_408"),
        (409, Rejected, "http_409"),
        (410, Misconfigured, "gone"),
        (413, Rejected, "http_413"),
        (415, Misconfigured, "http_415"),
        (422, Rejected, "http_422"),
        (425, Retry, "http_425"),
        (429, Throttled, "http_429"),
        (500, Retry, "http_500"),
        (502, Throttled, "http_502"),
        (503, Retry, "http_503"),
        (504, Throttled, "http_504"),
        (599, Retry, "http_599"),
    ],
)
async def test_each_status_has_its_outcome(
    client: WebhookClient, receiver: ScriptedReceiver, status: int, outcome: type[Outcome], code: str | None
) -> None:
    receiver.response = Response(
        status, headers={"Location": receiver.url + "/elsewhere", "Retry-After": "7"}
    )
    [result] = await push(client)
    assert (type(result), result.code) == (outcome, code)
    assert getattr(result, "after", 7) == 7
    assert len(receiver.requests) == 1  # a redirect is not followed
    if outcome is not Delivered:
        assert f"answered {status}" in (result.message or "")


async def test_without_retry_after_the_outcome_has_no_wait(
    client: WebhookClient, receiver: ScriptedReceiver
) -> None:
    receiver.response = Response(429)
    assert await push(client) == [
        Throttled(code="http_429", message="The receiver answered 429 Too Many Requests.")
    ]


@pytest.mark.parametrize("status", [429, 502, 401, 404, 410, 302])
async def test_a_failure_that_every_call_would_share_ends_the_batch(
    receiver: ScriptedReceiver, status: int
) -> None:
    receiver.response = Response(status)
    async with opened(receiver.url, concurrency=2) as client:
        outcomes = await push(client, *map(str, range(30)))
    assert len(receiver.requests) <= 3
    assert len({(type(outcome), outcome.code) for outcome in outcomes}) == 1


@pytest.mark.parametrize("status", [400, 500])
async def test_a_failure_of_one_call_does_not_stop_the_others(status: int) -> None:
    class RejectingReceiver(ScriptedReceiver):
        def respond(self, request: Request) -> Response:
            bad = request.json["data"]["id"] == "bad"
            return Response(status) if bad else super().respond(request)

    with closing(RejectingReceiver()) as rejecting:
        async with opened(rejecting.url) as client:
            outcomes = await push(client, "a", "bad", "b", "c")
    assert [outcome.name == "delivered" for outcome in outcomes] == [True, False, True, True]


async def test_the_receivers_text_is_shortened_and_redacted(
    client: WebhookClient, receiver: ScriptedReceiver
) -> None:
    text = f"no customer\n\t{SECRET} {SECRET[6:]} {receiver.url}{PATH} x{'y' * 500}"
    receiver.response = Response(422, {"message": text})
    [outcome] = await push(client)
    message = outcome.message or ""
    assert "no customer" in message
    assert len(message) < 300
    for secret in (SECRET, SECRET[6:], PATH, "f00d"):
        assert secret not in message


async def test_a_secret_is_redacted_before_the_text_is_shortened(
    client: WebhookClient, receiver: ScriptedReceiver
) -> None:
    receiver.response = Response(422, {"m": "x" * 170 + SECRET})
    [outcome] = await push(client)
    assert SECRET[:12] not in (outcome.message or "")


@pytest.mark.parametrize("page", ["<html><body>Sign in</body></html>", "  <!doctype html>…"])
async def test_an_html_page_is_not_part_of_the_message(
    client: WebhookClient, receiver: ScriptedReceiver, page: str
) -> None:
    receiver.response = Response(422, page)
    [outcome] = await push(client)
    assert outcome.message == "The receiver answered 422 Unprocessable Entity."


# --- invalid responses -------------------------------------------------------------------


def responding(head: bytes, endless: bytes = b"") -> Handle:
    """Respond with `head`, then repeat `endless` until the client disconnects."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}}")
        writer.write(head)
        try:
            while endless:
                writer.write(endless)
                await writer.drain()
        except ConnectionError:
            pass

    return handle


async def test_only_the_start_of_an_endless_body_is_read() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n"
    async with serving(responding(head, b"x" * 10_000)) as url, opened(url, timeout_seconds=60) as client:
        async with asyncio.timeout(20):
            assert await push(client) == [Delivered()]


async def test_a_compressed_body_is_not_decompressed() -> None:
    head = b"HTTP/1.1 422 No\r\ncontent-encoding: gzip\r\ncontent-length: 6\r\n\r\nno zip"
    async with serving(responding(head)) as url, opened(url) as client:
        [outcome] = await push(client)
    assert isinstance(outcome, Rejected)


async def test_an_incomplete_body_does_not_change_the_outcome() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nbegun"
    async with serving(responding(head)) as url, opened(url) as client:
        assert await push(client) == [Delivered()]


async def test_a_response_that_is_not_http_is_unknown() -> None:
    async with serving(responding(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")) as url, opened(url) as client:
        [outcome] = await push(client)
    assert isinstance(outcome, Unknown)


# --- timeouts ---------------------------------------------------------------------------------------


async def hanging(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def test_if_the_receiver_hangs_the_rest_of_the_batch_is_not_sent_and_not_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crm_clients.webhook.client._BATCH_SHARE", 0.05)
    async with serving(hanging) as url, opened(url, concurrency=2, timeout_seconds=10) as client:
        async with asyncio.timeout(10):  # the relay cancels the attempt then
            outcomes = await push(client, *map(str, range(6)))
    assert [outcome.name for outcome in outcomes] == ["unknown"] * 2 + ["throttled"] * 4
    assert {getattr(outcome, "rate_limit", None) for outcome in outcomes[2:]} == {"time"}


async def test_if_the_rate_is_too_low_for_the_batch_the_rest_is_not_sent(
    receiver: ScriptedReceiver,
) -> None:
    async with opened(receiver.url, rate=10, timeout_seconds=0.5) as client:
        outcomes = await push(client, *map(str, range(20)))
    sent = len(receiver.requests)
    assert 3 <= sent <= 6
    assert sum(outcome.name == "delivered" for outcome in outcomes) == sent
    assert {outcome.name for outcome in outcomes} == {"delivered", "throttled"}


# --- addresses ----------------------------------------------------------------------------------


async def test_nothing_is_sent_to_an_address_that_is_not_public(receiver: ScriptedReceiver) -> None:
    async with opened(receiver.url + PATH, allow_private=False) as client:
        outcomes = await push(client, "a", "b")
        [finding] = await client.check()
    assert {outcome.code for outcome in outcomes} == {"forbidden_address"}
    assert all(isinstance(outcome, Misconfigured) for outcome in outcomes)
    assert "127.0.0.1" in (outcomes[0].message or "")
    assert receiver.requests == []
    assert (finding.ok, finding.code) == (False, "forbidden_address")
    assert "allow_private" in (finding.hint or "")


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_the_request_goes_to_the_checked_address_and_has_the_host_name(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        received.append(await reader.read(65_536))

    async with serving(listen) as url:
        port = int(url.rpartition(":")[2])
        address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        getaddrinfo = AsyncMock(return_value=[address])
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        monkeypatch.setattr("relay.standards.public_network.is_public", lambda _: True)
        async with opened(f"{scheme}://hook.example:{port}/calls", allow_private=False) as client:
            await push(client)
    assert getaddrinfo.await_args is not None
    assert getaddrinfo.await_args.args == ("hook.example", port)
    assert b"hook.example" in received[0]  # in `Host`, or in the server name of TLS
    assert (b"POST /calls" in received[0]) is (scheme == "http")


async def test_a_proxy_of_the_environment_is_not_used(
    receiver: ScriptedReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with opened(receiver.url) as client:
        assert await push(client) == [Delivered()]


# --- check --------------------------------------------------------------------------------------


async def test_a_check_sends_a_head_request_and_accepts_any_status(
    client: WebhookClient, receiver: ScriptedReceiver
) -> None:
    [finding] = await client.check()
    assert msgspec.to_builtins(finding) == {
        "name": "hook",
        "ok": True,
        "code": None,
        "problem": None,
        "hint": None,
    }
    assert [request.method for request in receiver.requests] == ["HEAD"]


@pytest.mark.parametrize(("status", "code"), [(302, "redirected"), (410, "gone")])
async def test_a_check_finds_a_redirect_and_an_endpoint_that_is_gone(
    client: WebhookClient, receiver: ScriptedReceiver, status: int, code: str
) -> None:
    receiver.response = Response(status)
    [finding] = await client.check()
    assert (finding.ok, finding.code) == (False, code)
    assert finding.problem
    assert finding.hint


async def test_a_check_finds_a_receiver_that_does_not_answer() -> None:
    async with serving(hanging) as url, opened(url, timeout_seconds=0.2) as client:
        [finding] = await client.check()
    assert (finding.ok, finding.code) == (False, "no_answer")
