"""What Supabase's gateway adds to PostgREST: the prefix `/rest/v1` and the check of `apikey`.

It keeps a log of requests, can be taken down and up again on the same port, and can answer by itself.
"""

import itertools
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_HOP = {"host", "content-length", "connection", "accept-encoding", "authorization"}


@dataclass(frozen=True)
class Seen:
    """One request that came in. `rows`: how many a POST held, `body` what it held."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    status: int

    @property
    def rows(self) -> int:
        return len(self.records)

    @property
    def records(self) -> list[dict[str, object]]:
        return msgspec.json.decode(self.body, type=list[dict[str, object]]) if self.body else []


@dataclass
class Gateway:
    """A gateway before `upstream`. `keys`: each key that opens it, and the JWT that it stands for."""

    upstream: str
    keys: Mapping[str, str]
    log: list[Seen] = field(default_factory=list)
    _instead: Iterator[Response] = field(default_factory=lambda: iter(()))
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None
    _port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen, on the same port as before where there was one."""
        listening = socket.create_server(("127.0.0.1", self._port))
        self._port = listening.getsockname()[1]
        config = uvicorn.Config(self._app(), log_config=None, lifespan="off", access_log=False)
        self._server = uvicorn.Server(config)
        run = self._server.run
        self._thread = threading.Thread(target=run, args=([listening],), daemon=True, name="gateway")
        self._thread.start()
        while self._thread.is_alive() and not self._server.started:
            time.sleep(0.005)

    def stop(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(timeout=10)
            self._server = self._thread = None

    @contextmanager
    def down(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def answering(self, response: Response, *, times: int = sys.maxsize) -> Iterator[None]:
        """Answer the next requests with this, and pass none of them on."""
        self._instead = itertools.repeat(response, times)
        try:
            yield
        finally:
            self._instead = iter(())

    def posts(self) -> list[Seen]:
        return [seen for seen in self.log if seen.method == "POST"]

    def _app(self) -> Starlette:
        methods = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"]
        return Starlette(routes=[Route("/rest/v1/{path:path}", self._handle, methods=methods)])

    async def _handle(self, request: Request) -> Response:
        body = await request.body()
        response = next(self._instead, None) or await self._answer(request, body)
        seen = Seen(
            request.method,
            request.url.path,
            dict(request.query_params),
            dict(request.headers),
            body,
            response.status_code,
        )
        self.log.append(seen)
        return response

    async def _answer(self, request: Request, body: bytes) -> Response:
        """The texts are Supabase's own."""
        key = request.headers.get("apikey")
        if key is None:
            return JSONResponse({"message": "No API key found in request"}, 401)
        if key not in self.keys:
            return JSONResponse({"message": "Invalid API key"}, 401)
        headers = {name: value for name, value in request.headers.items() if name not in _HOP}
        bearer = request.headers.get("authorization", f"Bearer {self.keys[key]}")
        return await self._forward(request, body, headers | {"authorization": bearer})

    async def _forward(self, request: Request, body: bytes, headers: dict[str, str]) -> Response:
        url = f"{self.upstream}/{request.path_params['path']}?{request.url.query}"
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.request(request.method, url, content=body, headers=headers)
        kept = {k: v for k, v in answer.headers.items() if k not in {"content-length", "transfer-encoding"}}
        return Response(answer.content, answer.status_code, kept)


@contextmanager
def running_gateway(upstream: str, keys: Mapping[str, str]) -> Iterator[Gateway]:
    gateway = Gateway(upstream, keys)
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()
