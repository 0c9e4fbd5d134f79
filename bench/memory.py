"""Memory: the resident memory of all processes of the relay, some time after it has worked."""

import time
from typing import Final

import psutil  # type: ignore[import-untyped]  # it has no types, and little of it is used

from bench.load import check_delivered, generate_calls_now, run, send
from bench.result import Figure, Result
from bench.server import ENGINE, scratch_folder, serve

TITLE: Final = "Memory"
_CALLS: Final = 1_000
_CONNECTIONS: Final = 16
_REST_SECONDS: Final = 60
_QUICK_REST_SECONDS: Final = 5
_LIMIT_MB: Final = 90.0
_MB: Final = 1_000_000


def measure(*, quick: bool) -> Result:
    rest = _QUICK_REST_SECONDS if quick else _REST_SECONDS
    calls = generate_calls_now(_CALLS)
    with scratch_folder() as folder, serve(folder) as server:
        run(send(server, calls, connections=_CONNECTIONS))
        server.wait_until_delivered()
        check_delivered(server, calls)
        time.sleep(rest)
        resident = _resident_bytes(server.pid) / _MB
    events = sum(len(call.bodies) for call in calls)
    return Result(
        TITLE,
        (Figure("resident", resident, "MB", _LIMIT_MB),),
        f"all processes, {rest} s after {_CALLS:,} delivered calls ({events:,} events), {ENGINE}",
    )


def _resident_bytes(pid: int) -> int:
    relay = psutil.Process(pid)
    return sum(process.memory_info().rss for process in [relay, *relay.children(recursive=True)])
