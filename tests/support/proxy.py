"""Supabase's gateway in front of PostgREST: the prefix `/rest/v1` and the check of `apikey`.

It logs requests, can be stopped and started again on the same port, and can send responses of its own.
"""

import itertools
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.servers import ThreadedServer

_NOT_FORWARDED = {"host", "content-length", "connection", "accept-encoding", "authorization"}


@dataclass(frozen=True)
class LoggedRequest:
    """One request and the status of its response. `target`: the whole URL."""

    method: str
    path: str
    target: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    status: int

    @property
    def rows(self) -> int:
        return len(self.records)

    @property
    def records(self) -> list[dict[str, object]]:
        """The body's objects; the body of a PATCH is one object."""
        decoded = msgspec.json.decode(self.body) if self.body else []
        return decoded if isinstance(decoded, list) else [decoded]


class Gateway(ThreadedServer):
    """A gateway in front of `upstream`. `keys`: the valid keys, and the JWT that replaces each, if any."""

    def __init__(self, upstream: str, keys: Mapping[str, str | None]) -> None:
        methods = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"]
        routes = [Route("/rest/v1/{path:path}", self._handle, methods=methods)]
        super().__init__(Starlette(routes=routes), "gateway")
        self.upstream = upstream
        self.keys = keys
        self.log: list[LoggedRequest] = []
        self._responses: Iterator[Response | None] = iter(())
        self._is_old = False

    @contextmanager
    def old_postgrest(self) -> Iterator[None]:
        """Answer each upsert with 201 during the block, as PostgREST before 12 does."""
        self._is_old = True
        try:
            yield
        finally:
            self._is_old = False

    @contextmanager
    def down(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def answering(self, response: Response, *, after: int = 0, times: int = sys.maxsize) -> Iterator[None]:
        """Send this response, and forward nothing, during the block.

        The first `after` requests are still forwarded; after `times` responses all are forwarded again.
        """
        forwarded = itertools.repeat(None, after)
        self._responses = itertools.chain(forwarded, itertools.repeat(response, times))
        try:
            yield
        finally:
            self._responses = iter(())

    def posts(self) -> list[LoggedRequest]:
        return [seen for seen in self.log if seen.method == "POST"]

    async def _handle(self, request: Request) -> Response:
        body = await request.body()
        response = next(self._responses, None) or await self._authenticate_and_forward(request, body)
        if self._is_old and request.method == "POST" and response.status_code == httpx.codes.OK:
            response.status_code = httpx.codes.CREATED
        seen = LoggedRequest(
            request.method,
            request.url.path,
            str(request.url),
            dict(request.query_params),
            dict(request.headers),
            body,
            response.status_code,
        )
        self.log.append(seen)
        return response

    async def _authenticate_and_forward(self, request: Request, body: bytes) -> Response:
        """The error messages are Supabase's."""
        key = request.headers.get("apikey")
        if key is None:
            return JSONResponse({"message": "No API key found in request"}, 401)
        if key not in self.keys:
            return JSONResponse({"message": "Invalid API key"}, 401)
        if key.startswith("sb_secret_") and "Mozilla" in request.headers.get("user-agent", ""):
            return JSONResponse({"message": "Forbidden use of secret API key in browser"}, 401)
        headers = {name: value for name, value in request.headers.items() if name not in _NOT_FORWARDED}
        token = self.keys[key]
        bearer = request.headers.get("authorization") or (token and f"Bearer {token}")
        return await self._forward(request, body, headers | ({"authorization": bearer} if bearer else {}))

    async def _forward(self, request: Request, body: bytes, headers: dict[str, str]) -> Response:
        url = f"{self.upstream}/{request.path_params['path']}?{request.url.query}"
        async with httpx.AsyncClient(timeout=60) as client:
            response = await client.request(request.method, url, content=body, headers=headers)
        kept = {k: v for k, v in response.headers.items() if k not in {"content-length", "transfer-encoding"}}
        return Response(response.content, response.status_code, kept)


@contextmanager
def running_gateway(upstream: str, keys: Mapping[str, str | None]) -> Iterator[Gateway]:
    gateway = Gateway(upstream, keys)
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()
