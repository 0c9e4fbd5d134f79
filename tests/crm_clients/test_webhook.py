"""The webhook client against a receiver: what leaves, what an answer makes of it, how long it takes."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from typing import Any
from unittest.mock import AsyncMock

import msgspec
import pytest
from pydantic import SecretStr, ValidationError
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
from tests.support.clients import context_of, merged
from tests.support.receiver import PATH, SECRET, Receiver
from tests.support.samples import call_at
from tests.support.servers import Handle, serving

ALL = frozenset(DELIVERED_FIELDS)
OTHER_SECRET = "whsec_YW5vdGhlciBzZWNyZXQgb2YgdGhlIHRlc3Rz"


class Answering(Receiver):
    """Answers what it is told to, else as a receiver does."""

    instead: Response | None = None

    def answer(self, request: Request) -> Response:
        return self.instead or super().answer(request)


@pytest.fixture
def receiver() -> Iterator[Answering]:
    with closing(Answering()) as receiver:
        yield receiver


def client_of(url: str, **settings: Any) -> WebhookClient:
    said = {"client": "webhook", "url": url, "secret": SECRET, "allow_private": True, **settings}
    return WebhookClient("hook", WebhookSettings.model_validate(said), context_of())


@asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncIterator[WebhookClient]:
    client = client_of(url, **settings)
    try:
        yield client
    finally:
        await client.aclose()


@pytest.fixture
async def client(receiver: Answering) -> AsyncIterator[WebhookClient]:
    async with opened(receiver.url + PATH) as client:
        yield client


async def push(client: WebhookClient, *ids: str, first: bool = True) -> list[Outcome]:
    return await client.upsert([Push(call_at(id=id_), ALL, first=first) for id_ in ids or ("cloudtalk-1",)])


# --- what leaves --------------------------------------------------------------------------------


async def test_a_call_is_one_signed_post(client: WebhookClient, receiver: Answering) -> None:
    before = int(time.time())
    assert await push(client) == [Delivered()]
    [request] = receiver.requests
    assert (request.method, request.path) == ("POST", PATH)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == USER_AGENT
    assert before <= int(request.headers["webhook-timestamp"]) <= time.time()
    said = Webhook(SECRET).verify(request.body, dict(request.headers))
    assert said == request.json
    assert (said["type"], said["data"]["id"]) == ("call.created", "cloudtalk-1")


async def test_a_retry_bears_the_same_id_and_a_new_time(
    client: WebhookClient, receiver: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.instead = Response(500)
    for moment in (1_768_208_525, 1_768_208_530):
        monkeypatch.setattr("crm_clients.webhook.client.time.time", lambda moment=moment: moment + 0.9)
        await push(client)
    first, second = (request.headers for request in receiver.requests)
    assert first["webhook-id"] == second["webhook-id"]
    assert (first["webhook-timestamp"], second["webhook-timestamp"]) == ("1768208525", "1768208530")
    assert first["webhook-signature"] != second["webhook-signature"]
    assert receiver.requests[1].json["timestamp"] == "2026-01-12T09:02:10Z"


async def test_every_secret_signs(receiver: Answering) -> None:
    async with opened(receiver.url, secret=[SECRET, OTHER_SECRET]) as client:
        await push(client)
    [request] = receiver.requests
    assert len(request.headers["webhook-signature"].split()) == 2
    for secret in (SECRET, OTHER_SECRET):
        Webhook(secret).verify(request.body, dict(request.headers))


async def test_what_is_not_there_any_more_is_told_by_its_type(
    client: WebhookClient, receiver: Answering
) -> None:
    await push(client, first=False)
    await client.retract([merged("cloudtalk-1", "cloudtalk-2", 2), Retraction(call_at(3))])
    await client.forget([Retraction(call_at(3))])
    types = [request.json["type"] for request in receiver.requests]
    assert types[0] == "call.updated"
    assert sorted(types[1:3]) == ["call.deleted", "call.merged"]
    assert receiver.requests[3].json["data"] == {"id": "cloudtalk-1"}


async def test_calls_go_out_at_once_as_far_as_the_settings_allow() -> None:
    here, most = 0, 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal here, most
        while await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            await reader.readuntil(b"}}")
            here, most = here + 1, max(most, here + 1)
            await asyncio.sleep(0.02)
            here -= 1
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with serving(slow) as url, opened(url, concurrency=3, fields={"cloudtalk_data": ""}) as client:
        both = await asyncio.gather(
            push(client, *(f"a{n}" for n in range(8))), push(client, *(f"b{n}" for n in range(8)))
        )
    assert [outcome for outcomes in both for outcome in outcomes] == [Delivered()] * 16
    assert most == 3


# --- what an answer means -----------------------------------------------------------------------


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
async def test_an_answer_is_an_outcome(
    client: WebhookClient, receiver: Answering, status: int, outcome: type[Outcome], code: str | None
) -> None:
    receiver.instead = Response(status, headers={"Location": receiver.url + "/elsewhere", "Retry-After": "7"})
    [came_back] = await push(client)
    assert (type(came_back), came_back.code) == (outcome, code)
    assert getattr(came_back, "after", 7) == 7
    assert len(receiver.requests) == 1  # a redirect is not followed
    if outcome is not Delivered:
        assert f"answered {status}" in (came_back.message or "")


async def test_without_a_word_on_when_the_wait_is_the_relays_own(
    client: WebhookClient, receiver: Answering
) -> None:
    receiver.instead = Response(429)
    assert await push(client) == [
        Throttled(code="http_429", message="The receiver answered 429 Too Many Requests.")
    ]


@pytest.mark.parametrize("status", [429, 502, 401, 404, 410, 302])
async def test_what_would_meet_every_call_is_not_tried_on_the_rest(receiver: Answering, status: int) -> None:
    receiver.instead = Response(status)
    async with opened(receiver.url, concurrency=2) as client:
        outcomes = await push(client, *map(str, range(30)))
    assert len(receiver.requests) <= 3
    assert len({(type(outcome), outcome.code) for outcome in outcomes}) == 1


@pytest.mark.parametrize("status", [400, 500])
async def test_what_may_be_one_calls_fault_stops_no_other(status: int) -> None:
    class Refusing(Answering):
        def answer(self, request: Request) -> Response:
            bad = request.json["data"]["id"] == "bad"
            return Response(status) if bad else super().answer(request)

    with closing(Refusing()) as refusing:
        async with opened(refusing.url) as client:
            outcomes = await push(client, "a", "bad", "b", "c")
    assert [outcome.name == "delivered" for outcome in outcomes] == [True, False, True, True]


async def test_what_a_receiver_says_is_passed_on_in_short_and_without_what_it_repeats(
    client: WebhookClient, receiver: Answering
) -> None:
    text = f"no customer\n\t{SECRET} {SECRET[6:]} {receiver.url}{PATH} x{'y' * 500}"
    receiver.instead = Response(422, {"message": text})
    [outcome] = await push(client)
    message = outcome.message or ""
    assert "no customer" in message
    assert len(message) < 300
    for secret in (SECRET, SECRET[6:], PATH, "f00d"):
        assert secret not in message


async def test_a_secret_at_the_end_of_what_is_passed_on_is_not_cut_in_half(
    client: WebhookClient, receiver: Answering
) -> None:
    receiver.instead = Response(422, {"m": "x" * 170 + SECRET})
    [outcome] = await push(client)
    assert SECRET[:12] not in (outcome.message or "")


@pytest.mark.parametrize("page", ["<html><body>Sign in</body></html>", "  <!doctype html>…"])
async def test_a_page_says_nothing_in_short(client: WebhookClient, receiver: Answering, page: str) -> None:
    receiver.instead = Response(422, page)
    [outcome] = await push(client)
    assert outcome.message == "The receiver answered 422 Unprocessable Entity."


# --- answers that are no help -------------------------------------------------------------------


def answering(head: bytes, endless: bytes = b"", *, pause: float = 0) -> Handle:
    """A server that answers so, and then goes on until its client hangs up."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}}")
        writer.write(head)
        try:
            while endless:
                writer.write(endless)
                await writer.drain()
                await asyncio.sleep(pause)
        except ConnectionError:
            pass

    return handle


async def test_an_endless_body_is_read_no_further_than_its_beginning() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n"
    async with serving(answering(head, b"x" * 10_000)) as url, opened(url) as client:
        started = time.monotonic()
        assert await push(client) == [Delivered()]
    assert time.monotonic() - started < 1.5


async def test_a_slow_body_does_not_hold_the_outcome_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crm_clients.webhook.transport._READ_SECONDS", 0.1)
    head = b"HTTP/1.1 422 No\r\ncontent-type: text/plain\r\n\r\nbecause"
    async with serving(answering(head, b".", pause=0.02)) as url, opened(url) as client:
        [outcome] = await push(client)
    assert isinstance(outcome, Rejected)
    assert "because" in (outcome.message or "")


async def test_a_packed_body_is_not_unpacked() -> None:
    head = b"HTTP/1.1 422 No\r\ncontent-encoding: gzip\r\ncontent-length: 6\r\n\r\nno zip"
    async with serving(answering(head)) as url, opened(url) as client:
        [outcome] = await push(client)
    assert isinstance(outcome, Rejected)


async def test_a_body_that_breaks_off_changes_no_outcome() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nbegun"
    async with serving(answering(head)) as url, opened(url) as client:
        assert await push(client) == [Delivered()]


async def test_what_is_no_http_is_unknown() -> None:
    async with serving(answering(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")) as url, opened(url) as client:
        [outcome] = await push(client)
    assert isinstance(outcome, Unknown)


# --- time ---------------------------------------------------------------------------------------


async def hanging(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def test_a_receiver_that_hangs_leaves_the_rest_of_the_batch_unsent_and_unharmed() -> None:
    async with serving(hanging) as url, opened(url, concurrency=2, timeout_seconds=0.5) as client:
        started = time.monotonic()
        outcomes = await push(client, *map(str, range(6)))
        assert time.monotonic() - started < 0.5
    assert [outcome.name for outcome in outcomes] == ["unknown"] * 2 + ["throttled"] * 4
    assert {getattr(outcome, "rate_limit", None) for outcome in outcomes[2:]} == {"time"}


async def test_a_rate_too_slow_for_the_batch_sends_what_it_can_and_leaves_the_rest(
    receiver: Answering,
) -> None:
    async with opened(receiver.url, rate=10, timeout_seconds=0.5) as client:
        outcomes = await push(client, *map(str, range(20)))
    sent = len(receiver.requests)
    assert 3 <= sent <= 6
    assert sum(outcome.name == "delivered" for outcome in outcomes) == sent
    assert {outcome.name for outcome in outcomes} == {"delivered", "throttled"}


# --- addresses ----------------------------------------------------------------------------------


async def test_an_address_that_is_not_public_is_refused_and_gets_nothing(receiver: Answering) -> None:
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
async def test_the_request_goes_to_the_address_that_was_looked_at_and_keeps_the_name(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65_536))

    async with serving(listen) as url:
        port = int(url.rpartition(":")[2])
        address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        looked = AsyncMock(return_value=[address])
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", looked)
        monkeypatch.setattr("crm_clients.webhook.addresses.is_public", lambda _: True)
        async with opened(f"{scheme}://hook.example:{port}/calls", allow_private=False) as client:
            await push(client)
    assert looked.await_args is not None
    assert looked.await_args.args == ("hook.example", port)
    assert b"hook.example" in heard[0]  # in `Host`, or in the name that TLS asks for
    assert (b"POST /calls" in heard[0]) is (scheme == "http")


async def test_no_proxy_of_the_environment_is_taken(
    receiver: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with opened(receiver.url) as client:
        assert await push(client) == [Delivered()]


# --- check --------------------------------------------------------------------------------------


async def test_a_check_posts_nothing_and_takes_any_answer_for_good(
    client: WebhookClient, receiver: Answering
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
async def test_a_check_tells_an_endpoint_that_is_elsewhere_or_no_more(
    client: WebhookClient, receiver: Answering, status: int, code: str
) -> None:
    receiver.instead = Response(status)
    [finding] = await client.check()
    assert (finding.ok, finding.code) == (False, code)
    assert finding.problem
    assert finding.hint


async def test_a_check_tells_a_receiver_that_does_not_answer() -> None:
    async with serving(hanging) as url, opened(url, timeout_seconds=0.2) as client:
        [finding] = await client.check()
    assert (finding.ok, finding.code) == (False, "no_answer")


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [SECRET, [SECRET], f"{SECRET} {OTHER_SECRET}", f"{SECRET}\n{OTHER_SECRET}\n", [SECRET, OTHER_SECRET]],
)
def test_one_secret_or_several(said: Any) -> None:
    secrets = client_of("https://hook.example", secret=said).settings.secret
    assert [SecretStr(SECRET), SecretStr(OTHER_SECRET)][: len(secrets)] == list(secrets)


@pytest.mark.parametrize(
    "said", ["", [], "whsec_", "token", ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "no"]]
)
def test_what_cannot_sign_is_refused_and_not_shown(said: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        client_of("https://hook.example", secret=said)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        *("", "hook.example", "ftp://hook.example", "http://", "https://user:word@hook.example"),
        *("https://hook.example/#a", "http://hook.example:x", "http://hook.example:0", "http://[::1"),
        "https://xn--.example",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="expected an http:// or https:// URL"):
        client_of(url)
