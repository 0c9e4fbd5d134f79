"""One run of the simulator: generate calls, send them, report."""

import secrets
import time
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Final

import httpx

from relay.simulator.calls import DEFAULT_DIALECT, generate_calls
from relay.simulator.report import Report, percentiles_ms
from relay.simulator.sender import ClientFactory, OnProgress, RequestBuilder, Sender
from relay.simulator.sequences import build_sequences

_SAMPLE_CALLS: Final = 200
"""The number of calls from which the mean number of messages per call is computed."""


async def simulate(
    url: str,
    *,
    token: str | None = None,
    signing_secret: str | None = None,
    calls: int = 100,
    rate: float | None = None,
    dialect: str = DEFAULT_DIALECT,
    chaos: bool = False,
    seed: int | None = None,
    on_progress: OnProgress | None = None,
) -> Report:
    """Send the events of `calls` calls to the webhook at `url`, and report the responses.

    `rate`: events per second over all connections; None for no limit. `signing_secret` (`whsec_…`)
    signs native webhooks, which are then sent without the token. Without a `seed` each run has calls
    of its own.

    A failed request raises nothing: the report counts it. Raises `httpx.InvalidURL` if `url` is
    invalid, `ValueError` if the secret is.
    """
    seed = secrets.randbits(32) if seed is None else seed
    requests = RequestBuilder(httpx.URL(url), token, signing_secret)
    planned = generate_calls(calls, seed, datetime.now(UTC), spacing=_spacing(rate, dialect), dialect=dialect)
    sender = Sender(ClientFactory(), requests, rate=rate, on_progress=on_progress)
    started = time.perf_counter()
    await sender.send_all(build_sequences(planned, chaos=chaos, seed=seed))
    seconds = time.perf_counter() - started
    p50, p95 = percentiles_ms(sender.latencies)
    return Report(
        seed=seed,
        dialect=dialect,
        sent=sender.sent,
        acknowledged=sender.acknowledged,
        refused=sender.refused,
        unanswered=sender.unanswered,
        seconds=round(seconds, 3),
        p50_ms=p50,
        p95_ms=p95,
        expected=[call.expected_in_any_order() if chaos else call.expected for call in planned],
    )


def _spacing(rate: float | None, dialect: str) -> timedelta:
    """Return the time between the starts of two calls.

    Calls of a slow run start later, so that each is still recent when its events are sent.
    """
    if rate is None:
        return timedelta()
    sample = generate_calls(_SAMPLE_CALLS, 0, datetime.now(UTC), dialect=dialect)
    return timedelta(seconds=fmean(len(call.messages) for call in sample) / rate)
