"""Faults of the machine, such as no memory left, wherever the handling of a request meets them."""

from contextlib import suppress
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from relay.ingest.refusals import build_unavailable, log_unavailable
from relay.ledger.errors import MACHINE_FAULTS

_REASON: Final = "machine"
_RESPONSE: Final = build_unavailable(_REASON)
"""Built at the start: later there may be no memory for it."""


class MachineFaults:
    """ASGI middleware that answers 503 with Retry-After if this machine failed: the sender must retry.

    Only requests are concerned: at the start and stop of the relay such an error is raised.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        try:
            await self._app(scope, receive, send)
        except MACHINE_FAULTS as error:
            if scope["type"] != "http":
                raise
            error.__traceback__ = error.__context__ = None  # their frames hold the body of the request
            _log(error)
            await _RESPONSE.send(send)


def _log(error: BaseException) -> None:
    with suppress(*MACHINE_FAULTS):  # the response matters more
        log_unavailable(_REASON, repr(error))
