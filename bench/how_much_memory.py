"""What the relay holds once it has worked: resident memory of all its processes, some time after."""

import time
from typing import Final

import psutil  # type: ignore[import-untyped]  # it bears no types, and one call of it is used

from bench.answer import Answer, Figure
from bench.load import assert_delivered, calls_now, run, send
from bench.server import ENGINE, scratch, serving

QUESTION: Final = "How much memory?"
_CALLS: Final = 1_000
_CONNECTIONS: Final = 16
_SETTLE_SECONDS: Final = 60
_BOUND_MB: Final = 90.0
_MB: Final = 1_000_000


def answer(*, quick: bool) -> Answer:
    """After 1 000 delivered calls and a rest."""
    rest = 5 if quick else _SETTLE_SECONDS
    calls = calls_now(_CALLS)
    with scratch() as folder, serving(folder) as server:
        run(send(server, calls, connections=_CONNECTIONS))
        server.wait_until_delivered()
        assert_delivered(server, calls)
        time.sleep(rest)
        resident = _resident_bytes(server.pid) / _MB
    events = sum(len(call.bodies) for call in calls)
    return Answer(
        QUESTION,
        (Figure("resident", resident, "MB", _BOUND_MB),),
        f"all processes, {rest} s after {_CALLS:,} delivered calls ({events:,} events), {ENGINE}",
    )


def _resident_bytes(pid: int) -> int:
    relay = psutil.Process(pid)
    return sum(process.memory_info().rss for process in [relay, *relay.children(recursive=True)])
