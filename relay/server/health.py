"""What a supervisor and a load balancer ask."""

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from relay import __version__
from relay.ledger import HEAD, Ledger, LedgerUnavailable

_PATIENCE_SECONDS: Final = 2.0


def routes(ledger: Ledger, is_serving: Callable[[], bool]) -> list[Route]:
    """`/healthz` says that the process is alive, `/readyz` that it can take events."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive", "version": __version__, "schema_version": HEAD})

    async def readyz(_: Request) -> Response:
        problem = await _problem(ledger) if is_serving() else "starting or stopping"
        if problem is None:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready", "problem": problem}, status_code=503)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


async def _problem(ledger: Ledger) -> str | None:
    """Why the ledger takes nothing just now. A CRM that is down does not matter here."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await ledger.check_writable()
    except LedgerUnavailable as error:
        return str(error)
    except TimeoutError:
        return f"the ledger did not answer within {_PATIENCE_SECONDS:g} s"
    return None
