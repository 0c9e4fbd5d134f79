"""What the sender of a test call makes of each response."""

import asyncio

import pytest

from relay.operations.test_call.post import Failure, post
from relay.operations.test_call.requests import EventRequest
from tests.support.servers import Handle, free_port, serving

RECORD = "cloudtalk-relay-test-1"


def respond(status: str, body: str = "", *headers: str) -> Handle:
    """A server that reads the head of a request and sends this response."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}", "Connection: close", *headers]
        writer.write("\r\n".join([*head, "", body]).encode())
        await writer.drain()

    return handle


async def post_to(url: str) -> Failure | None:
    return await post(EventRequest(f"{url}/hook", {"Authorization": "Bearer t"}, b"{}"), RECORD)


async def test_an_acknowledgement_of_this_record_is_no_failure() -> None:
    async with serving(respond("200 OK", '{"success":true,"id":"cloudtalk-relay-test-1"}')) as url:
        assert await post_to(url) is None


@pytest.mark.parametrize(
    ("status", "body", "code", "quoted"),
    [
        ("401 Unauthorized", '{"detail":"the token is wrong"}', "test_refused", "the token is wrong"),
        ("403 Forbidden", "<h1>denied</h1>", "test_refused", "<h1>denied</h1>"),
        ("404 Not Found", "no such page", "webhook_not_found", "no such page"),
        ("405 Method Not Allowed", "", "webhook_not_found", "Method Not Allowed"),
        ("503 Service Unavailable", '{"detail":"the disk is full"}', "relay_busy", "the disk is full"),
        ("502 Bad Gateway", "nginx", "relay_unreachable", "502"),
        ("418 I'm a teapot", "tea " * 100, "test_refused", "tea tea"),
    ],
)
async def test_a_refusal_is_explained_in_the_words_of_the_server(
    status: str, body: str, code: str, quoted: str
) -> None:
    async with serving(respond(status, body)) as url:
        failure = await post_to(url)
    assert failure is not None
    assert (failure.code, failure.may_be_stored) == (code, False)
    assert quoted in failure.text.en
    assert quoted in failure.text.es
    assert len(failure.text.en) < 350


@pytest.mark.parametrize("body", ["", "hello", "[1]", '{"id":"cloudtalk-other"}', '{"success":true}'])
async def test_another_server_at_the_url_is_named(body: str) -> None:
    async with serving(respond("200 OK", body)) as url:
        failure = await post_to(url)
    assert failure is not None
    assert (failure.code, failure.may_be_stored) == ("not_a_relay", True)


async def test_a_redirect_is_not_followed_and_its_target_is_named() -> None:
    async with serving(respond("301 Moved", "", "Location: https://relay.example.com/hook")) as url:
        failure = await post_to(url)
    assert failure is not None
    assert failure.code == "webhook_redirected"
    assert "https://relay.example.com/hook" in failure.text.en


async def test_a_closed_port_is_named() -> None:
    failure = await post_to(f"http://127.0.0.1:{free_port()}")
    assert failure is not None
    assert (failure.code, failure.may_be_stored) == ("public_url_unreachable", False)


async def test_after_a_connection_that_breaks_the_event_may_be_stored() -> None:
    async def hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with serving(hang_up) as url:
        failure = await post_to(url)
    assert failure is not None
    assert (failure.code, failure.may_be_stored) == ("public_url_unreachable", True)
