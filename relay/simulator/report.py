"""The result of a run."""

from collections.abc import Sequence
from statistics import quantiles
from typing import Any

import msgspec


class Report(msgspec.Struct):
    """The result of a run.

    `refused` counts responses other than 2xx by their status, `unanswered` the requests without a
    response. `p50_ms` and `p95_ms` are percentiles of the response time, None if there was no response.

    `expected` is the record of each call. With chaos, in dialects other than the mission's, it has no
    `id`, which then depends on which of CloudTalk's two ids arrived first; find the record by
    `call_uuid` or `call_id`. Then it has no `tags` either if they were edited more than once.
    """

    seed: int
    dialect: str
    sent: int
    acknowledged: int
    refused: dict[int, int]
    unanswered: int
    seconds: float
    p50_ms: float | None
    p95_ms: float | None
    expected: list[dict[str, Any]]


def percentiles_ms(latencies: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the 50th and the 95th percentile of these seconds, in milliseconds."""
    if not latencies:
        return None, None
    cuts = quantiles(latencies, n=100, method="inclusive") if len(latencies) > 1 else list(latencies) * 99
    return round(cuts[49] * 1000, 2), round(cuts[94] * 1000, 2)
