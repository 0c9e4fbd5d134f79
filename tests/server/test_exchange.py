"""One response: written at once, and framed by the server."""

import asyncio
import logging
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from relay.server.exchange import Exchange

DATE = b"Thu, 26 Nov 2026 10:00:00 GMT"
START: dict[str, Any] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"Content-Type", b"text/plain"), (b"content-length", b"3")],
}


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.is_open = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.is_open = False

    def is_closing(self) -> bool:
        return not self.is_open


def exchange(
    transport: FakeTransport,
    *,
    method: str = "POST",
    keep_alive: bool = True,
    on_response: Any = lambda: None,
) -> Exchange:
    return Exchange(
        scope={"type": "http", "method": method},  # type: ignore[typeddict-item]  # what a response needs
        transport=transport,
        flow=FlowControl(transport),
        logger=logging.getLogger("test"),
        access_logger=logging.getLogger("test"),
        access_log=False,
        default_headers=[(b"date", DATE)],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=on_response,
    )


async def send(made: Exchange, start: dict[str, Any], body: bytes, **more: Any) -> None:
    messages: list[Any] = [start, {"type": "http.response.body", "body": body, **more}]
    for message in messages:
        await made.send(message)


async def test_head_and_body_are_one_write_with_the_length_of_the_body() -> None:
    transport, completed = FakeTransport(), list[bool]()
    await send(exchange(transport, on_response=lambda: completed.append(True)), START, b"hello")
    assert transport.writes == [
        b"HTTP/1.1 200 OK\r\ndate: "
        + DATE
        + b"\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"
    ]
    assert (transport.is_open, completed) == (True, [True])


async def test_a_response_to_head_has_the_length_that_it_states_and_no_body() -> None:
    transport = FakeTransport()
    await send(exchange(transport, method="HEAD"), START, b"")
    response = b"".join(transport.writes)
    assert response.endswith(b"\r\ncontent-length: 3\r\n\r\n")


@pytest.mark.parametrize(
    ("keep_alive", "header"),
    [(False, []), (True, [(b"Connection", b"Close")]), (False, [(b"Connection", b"close")])],
)
async def test_the_last_response_of_a_connection_says_so_once_and_closes_it(
    keep_alive: bool, header: list[tuple[bytes, bytes]]
) -> None:
    transport = FakeTransport()
    await send(exchange(transport, keep_alive=keep_alive), START | {"headers": header}, b"")
    (response,) = transport.writes
    assert response.count(b"\r\nconnection: close\r\n") == 1
    assert not transport.is_open


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb", b"a\0b", b"a\x1fb", b"a\x7fb"])
async def test_a_header_with_a_control_character_is_not_sent(value: bytes) -> None:
    transport = FakeTransport()
    with pytest.raises(RuntimeError, match="control character"):
        await send(exchange(transport), START | {"headers": [(b"x", value)]}, b"")
    assert transport.writes == []


async def test_a_header_may_have_tabs_and_text_in_latin_1() -> None:
    transport = FakeTransport()
    await send(exchange(transport), START | {"headers": [(b"x", b"a\tb \xe9")]}, b"")
    assert b"\r\nx: a\tb \xe9\r\n" in transport.writes[0]


async def test_a_response_may_replace_the_headers_of_the_server() -> None:
    transport = FakeTransport()
    headers = [(b"Date", b"of the page"), (b"x", b"1")]
    await send(exchange(transport), START | {"headers": headers, "relay.replaces_headers": True}, b"")
    assert transport.writes == [b"HTTP/1.1 200 OK\r\ndate: of the page\r\nx: 1\r\ncontent-length: 0\r\n\r\n"]


async def test_a_response_that_fails_before_its_body_can_be_replaced() -> None:
    transport = FakeTransport()
    made = exchange(transport)
    await made.send(START)  # type: ignore[arg-type]
    await send(made, START | {"status": 503}, b"")
    (response,) = transport.writes
    assert response.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")


async def test_a_body_may_come_in_parts() -> None:
    transport, completed = FakeTransport(), list[bool]()
    made = exchange(transport, on_response=lambda: completed.append(True))
    await send(made, START, b"a", more_body=True)
    head = b"".join(transport.writes).partition(b"\r\n\r\n")[0]
    assert b"\r\ncontent-length: 3" in head
    assert transport.writes[-1] == b"a"
    rest: list[Any] = [{"type": "http.response.body", "body": b"bc"}]
    await made.send(rest[0])
    assert (transport.writes[-1], completed) == (b"bc", [True])


async def test_a_second_response_is_refused() -> None:
    transport = FakeTransport()
    made = exchange(transport)
    await send(made, START, b"b")
    with pytest.raises(RuntimeError, match="already completed"):
        await send(made, START, b"c")
    assert len(transport.writes) == 1


async def test_nothing_is_written_to_a_connection_that_was_closed() -> None:
    transport = FakeTransport()
    made = exchange(transport)
    made.disconnected = True
    await send(made, START, b"")
    assert transport.writes == []


async def test_a_response_waits_until_the_client_reads_the_one_before() -> None:
    transport = FakeTransport()
    made = exchange(transport)
    made.flow.pause_writing()
    sending = asyncio.create_task(send(made, START, b""))
    await asyncio.sleep(0)
    assert transport.writes == []
    made.flow.resume_writing()
    await sending
    assert len(transport.writes) == 1


async def test_a_request_before_the_last_one_learns_that_its_connection_is_lost() -> None:
    transport = FakeTransport()
    made = exchange(transport, method="GET")
    await send(made, START, b"a", more_body=True)
    transport.close()
    await made.send({"type": "http.response.body", "body": b"b", "more_body": True})
    assert await asyncio.wait_for(made.receive(), 1) == {"type": "http.disconnect"}
    assert b"b" not in transport.writes
