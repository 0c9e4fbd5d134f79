"""Throughput: accepted and delivered events per second when events are sent as fast as possible."""

import time
from typing import Final

from bench.load import check_delivered, generate_calls_now, run, send
from bench.result import Figure, Result
from bench.server import ENGINE, scratch_folder, serve

TITLE: Final = "Events per second"
_CALLS: Final = 10_000
_QUICK_CALLS: Final = 2_000
_CONNECTIONS: Final = 64


def measure(*, quick: bool) -> Result:
    """Send over kept-alive connections; the load generator uses the same machine."""
    calls = generate_calls_now(_QUICK_CALLS if quick else _CALLS)
    with scratch_folder() as folder, serve(folder) as server:
        seconds = run(send(server, calls, connections=_CONNECTIONS))
        accepted_at = time.perf_counter()
        lag = server.wait_until_delivered() - accepted_at
        check_delivered(server, calls)
    events = sum(len(call.bodies) for call in calls)
    return Result(
        TITLE,
        (
            Figure("accepted", events / seconds, "events/s"),
            Figure("all delivered", lag, "s later"),
            Figure("delivered", events / (seconds + lag), "events/s"),
        ),
        f"{events:,} events of {len(calls):,} calls over {_CONNECTIONS} connections, {ENGINE}",
    )
