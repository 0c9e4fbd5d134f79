"""What the relay takes when it is given as much as it can, and how far the CRM is behind at the end."""

import time
from typing import Final

from bench.answer import Answer, Figure
from bench.load import assert_delivered, calls_now, run, send
from bench.server import ENGINE, scratch, serving

QUESTION: Final = "How many events per second are accepted and delivered?"
_CALLS: Final = 10_000
_QUICK_CALLS: Final = 2_000
_CONNECTIONS: Final = 64


def answer(*, quick: bool) -> Answer:
    """Everything at once over kept connections, the generator on the same machine."""
    calls = calls_now(_QUICK_CALLS if quick else _CALLS)
    with scratch() as folder, serving(folder) as server:
        seconds = run(send(server, calls, connections=_CONNECTIONS))
        accepted_at = time.perf_counter()
        lag = server.wait_until_delivered() - accepted_at
        assert_delivered(server, calls)
    events = sum(len(call.bodies) for call in calls)
    return Answer(
        QUESTION,
        (
            Figure("accepted", events / seconds, "events/s"),
            Figure("all delivered", lag, "s later"),
            Figure("so delivered", events / (seconds + lag), "events/s"),
        ),
        f"{events:,} events of {len(calls):,} calls over {_CONNECTIONS} connections, {ENGINE}",
    )
