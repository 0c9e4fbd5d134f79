"""`/healthz` and `/readyz`, for supervisors and load balancers.

Anybody may ask for them. The reason why the ledger cannot be written may name a file, or the host and the
user of a database, so only programs on this machine get it.
"""

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from relay import __version__
from relay.cloudtalk.authentication import check_local
from relay.ingest.request_head import build_head
from relay.ledger import HEAD, Ledger, LedgerUnavailable
from relay.ledger.write_check import check_writable
from relay.standards.shared_result import SharedResult

_NOT_WRITABLE: Final = "the ledger cannot be written; `relay check` on the relay's machine says why"
_INTERVAL_SECONDS: Final = 1.0
_TIMEOUT_SECONDS: Final = 2.0


class LedgerProbe:
    """Finds out whether the ledger takes a row. All requests within `interval_seconds` share one row.

    A ledger that does not answer within `timeout_seconds` is not ready.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        interval_seconds: float = _INTERVAL_SECONDS,
        timeout_seconds: float = _TIMEOUT_SECONDS,
    ) -> None:
        self._ledger = ledger
        self._problem = SharedResult(
            self._write_row, interval_seconds=interval_seconds, timeout_seconds=timeout_seconds
        )

    async def find_problem(self) -> str | None:
        """Return why the ledger cannot be written; None if it can."""
        try:
            return await self._problem.get()
        except TimeoutError:
            return f"the ledger did not answer within {self._problem.timeout_seconds:g} s"

    async def _write_row(self) -> str | None:
        try:
            await check_writable(self._ledger)
        except LedgerUnavailable as error:
            return str(error)
        return None


def routes(probe: LedgerProbe, is_serving: Callable[[], bool]) -> list[Route]:
    """Build both routes.

    `/healthz` is 200 while the process is alive. `/readyz` is 200 while the relay can store events, else
    503 with the reason. A CRM that is down does not matter.
    """

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive", "version": __version__, "schema_version": HEAD})

    async def readyz(request: Request) -> Response:
        if not is_serving():
            problem: str | None = "starting or stopping"
        else:
            problem = await probe.find_problem()
            if problem is not None and check_local(build_head(request.scope)) is not None:
                problem = _NOT_WRITABLE
        if problem is None:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready", "problem": problem}, status_code=503)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]
