"""The process of `FaultyCrm`: a table behind a REST API, with faults that a second port switches.

It says both addresses in a line on stdout and ends when its standard input does, so that it is gone
with the test that started it, however that ends.
"""

import asyncio
import logging
import os
import socket
import struct
import sys
import threading
from collections import Counter
from contextlib import suppress
from random import Random
from typing import Any, Final

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from relay.server.server import new_event_loop
from tests.fakes.faults import Fault, Faults, Tally
from tests.fakes.rest_table import Refusal, RestTable, Row, ids_of

_PAGE: Final = "<html><body><h1>Something is in the way</h1></body></html>"
_LINGER_NOT: Final = struct.pack("ii", 1, 0)


class Protocol(HttpToolsProtocol):
    """Hands its transport to the application, so that it can be cut."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["transport"] = self.transport  # type: ignore[typeddict-unknown-key]


class Port:
    """A port on loopback that can be closed and opened again under its number."""

    def __init__(self, app: Starlette) -> None:
        self._config = uvicorn.Config(app, http=Protocol, lifespan="off", log_config=None, access_log=False)
        self._config.load()
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self.number = 0

    async def open(self) -> None:
        if self._server is not None:
            return
        listening = socket.create_server(("127.0.0.1", self.number), backlog=512)
        self.number = listening.getsockname()[1]
        self._server = await asyncio.get_running_loop().create_server(self._protocol, sock=listening)

    def _protocol(self) -> Protocol:
        return Protocol(config=self._config, server_state=self._state, app_state={})

    async def close(self) -> None:
        """Refuse connections, and end those that there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
            for connection in list(self._state.connections):
                connection.transport.abort()


class Cut:
    """No answer: the connection ends."""

    def __init__(self, *, reset: bool = False) -> None:
        self._reset = reset

    async def __call__(self, scope: Scope, receive: Receive, _: Send) -> None:
        transport = scope["transport"]
        if self._reset:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


Answer = Response | Cut


class Crm:
    """The data, the faults, and what was counted."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._faults = Faults()
        self._under_way = 0
        self._begin()
        self._pushed = asyncio.Event()
        self._later: set[asyncio.Task[None]] = set()
        self.data = Port(Starlette(routes=[Route("/rest/v1/{table}", self._serve, methods=_METHODS)]))
        self.control = Port(
            Starlette(
                routes=[
                    Route("/faults", self._set_faults, methods=["PUT"]),
                    Route("/rows", self._rows),
                    Route("/rows", self._clear, methods=["DELETE"]),
                    Route("/tally", self._tally),
                    Route("/written", self._written),
                    Route("/next-push", self._next_push),
                ]
            )
        )

    def _begin(self) -> None:
        self._table = RestTable()
        self._requests = self._abandoned = 0
        self._batches: list[int] = []
        self._befell: Counter[str] = Counter()

    # --- data -----------------------------------------------------------------------------------

    async def _serve(self, request: Request) -> Answer:
        body = await request.body()
        self._requests += 1
        self._under_way += 1
        try:
            if request.method != "POST":
                return await self._befall(request, body)
            self._pushed.set()
            answer = await self._befall(request, body)
            self._abandoned += await request.is_disconnected()
            return answer
        finally:
            self._under_way -= 1

    async def _befall(self, request: Request, body: bytes) -> Answer:
        fault = self._next_fault()
        if fault is not None:
            self._befell[fault] += 1
        await self._be_slow()
        match fault:
            case Fault.RESET:
                return Cut(reset=True)
            case Fault.HANG:
                while not await request.is_disconnected():
                    await asyncio.sleep(0.05)
                return Cut()
            case Fault.LATE:
                self._write_later(request, body)
                return Cut()
            case None | Fault.CUT:
                answer = self._answer(request, body)
                await self._be_slow()
                return answer if fault is None else Cut()
            case _:
                return _refusing(fault)

    def _next_fault(self) -> Fault | None:
        if self._faults.always is not None:
            return self._faults.always
        chance = self._random.random()
        for fault, probability in self._faults.mix.items():
            chance -= probability
            if chance < 0:
                return fault
        return None

    async def _be_slow(self) -> None:
        if self._faults.slow:
            await asyncio.sleep(self._random.uniform(0, self._faults.slow))

    def _write_later(self, request: Request, body: bytes) -> None:
        async def write(seconds: float) -> None:
            await asyncio.sleep(seconds)
            self._answer(request, body)

        task = asyncio.create_task(write(self._random.uniform(0, self._faults.late_seconds)))
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def _answer(self, request: Request, body: bytes) -> Response:
        match request.method:
            case "GET":
                columns = request.query_params.get("select", "id").split(",")
                return _json(self._table.select(ids_of(request.query_params), columns))
            case "DELETE":
                self._table.delete(ids_of(request.query_params))
                return Response(status_code=204)
            case "PATCH":
                written = self._table.update(ids_of(request.query_params), msgspec.json.decode(body))
                return _json([{"id": row["id"]} for row in written])
            case _:
                return self._upserted(msgspec.json.decode(body, type=list[Row]))

    def _upserted(self, rows: list[Row]) -> Response:
        self._batches.append(len(rows))
        inserted = self._table.upsert(rows, self._faults)
        if isinstance(inserted, Refusal):
            said = {"code": inserted.code, "message": inserted.message, "details": None, "hint": None}
            return _json(said, inserted.status)
        applied = {"Preference-Applied": "resolution=merge-duplicates, return=minimal"}
        return Response(status_code=201 if inserted else 200, headers=applied)

    # --- control --------------------------------------------------------------------------------

    async def _set_faults(self, request: Request) -> Response:
        self._faults = msgspec.json.decode(await request.body(), type=Faults)
        await (self.data.close() if self._faults.down else self.data.open())
        return _json({})

    async def _rows(self, _: Request) -> Response:
        """Every row, once what is to be written late is written."""
        await asyncio.gather(*self._later)
        return _json(list(self._table.rows.values()))

    async def _clear(self, _: Request) -> Response:
        """Forget every row and every count."""
        await asyncio.gather(*self._later)
        self._begin()
        return _json({})

    async def _tally(self, _: Request) -> Response:
        return _json(
            Tally(self._requests, self._batches, self._under_way, self._abandoned, dict(self._befell))
        )

    async def _written(self, _: Request) -> Response:
        return _json(self._table.written)

    async def _next_push(self, request: Request) -> Response:
        """Answered as soon as a push is under way that was not when this was asked; false after `seconds`."""
        self._pushed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(float(request.query_params["seconds"])):
                await self._pushed.wait()
        return _json(self._pushed.is_set())


_METHODS: Final = ["GET", "POST", "PATCH", "DELETE"]


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _refusing(fault: Fault) -> Response:
    match fault:
        case Fault.THROTTLED:
            return _json({"message": "Too many requests"}, 429)
        case Fault.THROTTLED_AFTER:
            answer = _json({"message": "Too many requests"}, 429)
            answer.headers["Retry-After"] = "1"
            return answer
        case Fault.UNAUTHORISED:
            return _json({"message": "Invalid API key"}, 401)
        case Fault.GARBAGE:
            return HTMLResponse(_PAGE)
        case Fault.GATEWAY:
            return HTMLResponse(_PAGE, 502)
        case _:
            said = {"code": "PGRST001", "message": "Could not connect with the database"}
            return _json(said | {"details": None, "hint": None}, 503)


async def _serve(seed: int) -> None:
    crm = Crm(seed)
    await crm.data.open()
    await crm.control.open()
    urls = {"url": crm.data.number, "control": crm.control.number}
    said = {name: f"http://127.0.0.1:{number}" for name, number in urls.items()}
    print(msgspec.json.encode(said).decode(), flush=True)  # noqa: T201 - to the test that started this
    await asyncio.Event().wait()


def _end_with_the_test() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    logging.disable()
    threading.Thread(target=_end_with_the_test, daemon=True).start()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(int(sys.argv[1])))
