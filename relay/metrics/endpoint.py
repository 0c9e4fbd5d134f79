"""`GET /metrics`."""

import asyncio
from typing import Final

from starlette.types import Receive, Scope, Send

from relay.ingest.responses import Response, problem_response
from relay.metrics.gauges import GaugeValue, LedgerReader

_METHODS: Final = ("GET", "HEAD")


class MetricsEndpoint:
    """ASGI application that publishes all metrics. Who may read them is decided before."""

    def __init__(self, reader: LedgerReader) -> None:
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        del receive
        await (await self._respond(scope)).send(send)

    async def _respond(self, scope: Scope) -> Response:
        if scope["method"] not in _METHODS:
            allow = (("Allow", ", ".join(_METHODS)),)
            return problem_response(405, "metrics are read by GET", reason="method", headers=allow)
        accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
        gauges = await self._reader.read()
        # Imported at the first scrape, and run in a thread: events wait for neither.
        text, content_type = await asyncio.to_thread(_expose, gauges, accept.decode("latin-1"))
        return Response(200, content_type, b"" if scope["method"] == "HEAD" else text)


def _expose(gauges: list[GaugeValue], accept: str) -> tuple[bytes, str]:
    from relay.metrics.exposition import expose  # noqa: PLC0415 - costs 2 MB of memory

    return expose(gauges, accept)
