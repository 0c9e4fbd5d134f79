"""The gateway removes the prefix of Supabase's API, forwards everything else, and counts requests."""

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.gateway import Gateway, running_gateway
from tests.support.patience import http_client
from tests.support.servers import ThreadedServer


async def echo(request: Request) -> Response:
    """Answer with the path, the query and the body."""
    body = await request.body()
    return Response(f"{request.url.path}?{request.url.query} ".encode() + body)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    upstream = ThreadedServer(
        Starlette(routes=[Route("/{path:path}", echo, methods=["GET", "POST"])]), "echo"
    )
    upstream.start()
    with running_gateway(upstream.port) as gateway:
        yield gateway
    upstream.stop()


def test_requests_are_forwarded_and_counted(gateway: Gateway) -> None:
    before = gateway.requests
    with http_client(gateway.url) as client:
        assert client.get("/rest/v1/calls?select=id").text == "/calls?select=id "
        body = b"not the path: /rest/v1/ " * 20_000
        assert client.post("/rest/v1/calls", content=body).content == b"/calls? " + body
    assert gateway.requests - before == 2
