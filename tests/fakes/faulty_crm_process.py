"""The process of `FaultyCrm`: a table behind a REST API, and a second port that sets its faults.

It prints both addresses as one line of JSON. It ends when its standard input closes, so it ends with the
test that started it, even if that test is killed.
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

_PAGE: Final = "<html><body><h1>Bad gateway</h1></body></html>"
_RESET: Final = struct.pack("ii", 1, 0)


class Protocol(HttpToolsProtocol):
    """Puts the transport into the scope, so that the application can close the connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["transport"] = self.transport  # type: ignore[typeddict-unknown-key]


class Port:
    """A port on loopback that can be closed and opened again with the same number."""

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
        """Refuse new connections and close the open ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
            for connection in list(self._state.connections):
                connection.transport.abort()


class Disconnect:
    """Closes the connection instead of a response; `reset`: with a TCP reset."""

    def __init__(self, *, reset: bool = False) -> None:
        self._reset = reset

    async def __call__(self, scope: Scope, receive: Receive, _: Send) -> None:
        transport = scope["transport"]
        if self._reset:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


Reply = Response | Disconnect


class Crm:
    """The table, the faults and the counts, and the two ports."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._faults = Faults()
        self._under_way = 0
        self._reset()
        self._push_began = asyncio.Event()
        self._late_writes: set[asyncio.Task[None]] = set()
        self.data = Port(Starlette(routes=[Route("/rest/v1/{table}", self._serve_data, methods=_METHODS)]))
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

    def _reset(self) -> None:
        self._table = RestTable()
        self._requests = self._abandoned = 0
        self._batches: list[int] = []
        self._fault_counts: Counter[str] = Counter()

    # --- data -----------------------------------------------------------------------------------

    async def _serve_data(self, request: Request) -> Reply:
        body = await request.body()
        self._requests += 1
        self._under_way += 1
        try:
            if request.method != "POST":
                return await self._handle(request, body)
            self._push_began.set()
            reply = await self._handle(request, body)
            self._abandoned += await request.is_disconnected()
            return reply
        finally:
            self._under_way -= 1

    async def _handle(self, request: Request, body: bytes) -> Reply:
        fault = self._draw_fault()
        if fault is not None:
            self._fault_counts[fault] += 1
        await self._delay()
        match fault:
            case Fault.RESET:
                return Disconnect(reset=True)
            case Fault.HANG:
                while not await request.is_disconnected():
                    await asyncio.sleep(0.05)
                return Disconnect()
            case Fault.LATE:
                self._write_later(request, body)
                return Disconnect()
            case None | Fault.CUT:
                response = self._execute(request, body)
                await self._delay()
                return response if fault is None else Disconnect()
            case _:
                return _error_response(fault)

    def _draw_fault(self) -> Fault | None:
        if self._faults.always is not None:
            return self._faults.always
        chance = self._random.random()
        for fault, probability in self._faults.mix.items():
            chance -= probability
            if chance < 0:
                return fault
        return None

    async def _delay(self) -> None:
        if self._faults.slow:
            await asyncio.sleep(self._random.uniform(0, self._faults.slow))

    def _write_later(self, request: Request, body: bytes) -> None:
        async def write(seconds: float) -> None:
            await asyncio.sleep(seconds)
            self._execute(request, body)

        task = asyncio.create_task(write(self._random.uniform(0, self._faults.late_seconds)))
        self._late_writes.add(task)
        task.add_done_callback(self._late_writes.discard)

    def _execute(self, request: Request, body: bytes) -> Response:
        match request.method:
            case "GET":
                return _json(self._table.select(ids_of(request.query_params), _columns_of(request)))
            case "DELETE":
                ids = ids_of(request.query_params)
                deleted = self._table.select(ids, _columns_of(request))
                self._table.delete(ids)
                return _json(deleted)
            case "PATCH":
                written = self._table.update(ids_of(request.query_params), msgspec.json.decode(body))
                return _json(self._table.select([row["id"] for row in written], _columns_of(request)))
            case _ if "::" in request.query_params.get("select", ""):
                return _refuse_conversion(request.query_params["select"])
            case _:
                rows = msgspec.json.decode(body, type=list[Row])
                resolution = request.headers.get("prefer", "").partition(",")[0]
                if resolution == "resolution=ignore-duplicates":
                    rows = [row for row in rows if row["id"] not in self._table.rows]
                return self._upsert(rows, _columns_of(request), resolution)

    def _upsert(self, rows: list[Row], columns: list[str], resolution: str) -> Response:
        self._batches.append(len(rows))
        inserted = self._table.upsert(rows, self._faults)
        if isinstance(inserted, Refusal):
            error = {"code": inserted.code, "message": inserted.message, "details": None, "hint": None}
            return _json(error, inserted.status)
        response = _json(self._table.select([row["id"] for row in rows], columns), 201 if inserted else 200)
        response.headers["Preference-Applied"] = f"{resolution}, return=representation"
        return response

    # --- control --------------------------------------------------------------------------------

    async def _set_faults(self, request: Request) -> Response:
        self._faults = msgspec.json.decode(await request.body(), type=Faults)
        await (self.data.close() if self._faults.down else self.data.open())
        return _json({})

    async def _rows(self, _: Request) -> Response:
        """Return every row, once all late writes are done."""
        await asyncio.gather(*self._late_writes)
        return _json(list(self._table.rows.values()))

    async def _clear(self, _: Request) -> Response:
        await asyncio.gather(*self._late_writes)
        self._reset()
        return _json({})

    async def _tally(self, _: Request) -> Response:
        return _json(
            Tally(self._requests, self._batches, self._under_way, self._abandoned, dict(self._fault_counts))
        )

    async def _written(self, _: Request) -> Response:
        return _json(self._table.written)

    async def _next_push(self, request: Request) -> Response:
        """Respond with true when the next push begins, with false after `seconds` without one."""
        self._push_began.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(float(request.query_params["seconds"])):
                await self._push_began.wait()
        return _json(self._push_began.is_set())


_METHODS: Final = ["GET", "POST", "PATCH", "DELETE"]


def _columns_of(request: Request) -> list[str]:
    return request.query_params.get("select", "id").split(",")


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _refuse_conversion(select: str) -> Response:
    """Respond as PostgreSQL, whose statement fails and writes nothing: no id of a call fits another type."""
    message = f"invalid input syntax for type {select.partition('::')[2]}"
    return _json({"code": "22P02", "message": message, "details": None, "hint": None}, 400)


def _error_response(fault: Fault) -> Response:
    match fault:
        case Fault.THROTTLED:
            return _json({"message": "Too many requests"}, 429)
        case Fault.THROTTLED_AFTER:
            response = _json({"message": "Too many requests"}, 429)
            response.headers["Retry-After"] = "1"
            return response
        case Fault.UNAUTHORISED:
            return _json({"message": "Invalid API key"}, 401)
        case Fault.GARBAGE:
            return HTMLResponse(_PAGE)
        case Fault.GATEWAY:
            return HTMLResponse(_PAGE, 502)
        case _:
            error = {"code": "PGRST001", "message": "Could not connect with the database"}
            return _json(error | {"details": None, "hint": None}, 503)


async def _serve(seed: int) -> None:
    crm = Crm(seed)
    await crm.data.open()
    await crm.control.open()
    ports = {"url": crm.data.number, "control": crm.control.number}
    urls = {name: f"http://127.0.0.1:{number}" for name, number in ports.items()}
    print(msgspec.json.encode(urls).decode(), flush=True)  # noqa: T201 - the test that started this reads it
    await asyncio.Event().wait()


def _end_with_the_test() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    logging.disable()
    threading.Thread(target=_end_with_the_test, daemon=True).start()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(int(sys.argv[1])))
