"""`/healthz` and `/readyz`, for supervisors and load balancers.

Anybody may ask for them. The reason why the ledger cannot be written may name a file, or the host and the
user of a database, so only programs on this machine get it.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from relay import __version__
from relay.cloudtalk.authentication import check_local
from relay.ingest.endpoint import build_head
from relay.ledger import HEAD, Ledger, LedgerUnavailable

_NOT_WRITABLE: Final = "the ledger cannot be written; `relay check` on the relay's machine says why"


def routes(ledger: Ledger, is_serving: Callable[[], bool], *, timeout_seconds: float = 2.0) -> list[Route]:
    """Build both routes.

    `/healthz` is 200 while the process is alive. `/readyz` is 200 while the relay can store events, else
    503 with the reason; a ledger that does not answer within the timeout counts as not ready. A CRM that
    is down does not matter.
    """

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive", "version": __version__, "schema_version": HEAD})

    async def readyz(request: Request) -> Response:
        if not is_serving():
            problem: str | None = "starting or stopping"
        else:
            problem = await _check_ledger(ledger, timeout_seconds)
            if problem is not None and check_local(build_head(request.scope)) is not None:
                problem = _NOT_WRITABLE
        if problem is None:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready", "problem": problem}, status_code=503)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


async def _check_ledger(ledger: Ledger, timeout_seconds: float) -> str | None:
    """Return why the ledger cannot be written; None if it can."""
    try:
        async with asyncio.timeout(timeout_seconds):
            await ledger.check_writable()
    except LedgerUnavailable as error:
        return str(error)
    except TimeoutError:
        return f"the ledger did not answer within {timeout_seconds:g} s"
    return None
