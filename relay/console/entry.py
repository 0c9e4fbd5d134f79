"""The console as `relay.app` mounts it. Its pages are imported at the first request: Jinja2 costs memory."""

from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from relay.cloudtalk.request import RequestHead
from relay.console.access import check_open
from relay.console.context import Console
from relay.console.totals import TotalsReader
from relay.ingest.auth_failures import AuthFailures
from relay.ledger import Ledger
from relay.settings import Settings

MAX_FAILURES: Final = 10
"""After so many failed sign-ins within a minute an address is throttled until the end of the minute."""


class ConsoleEntry:
    """ASGI application of `/console` and of every path below it.

    `settings` returns the settings that count at the time of the call: tokens are reloaded. `record_url`
    returns the page of a record in a CRM, by the name of the destination and the id of the record there.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        ledger: Ledger,
        record_url: Callable[[str, str], str | None],
    ) -> None:
        self.failures = AuthFailures(area="console", max_failures=MAX_FAILURES)
        self._console = Console(settings, ledger, self.failures, record_url, TotalsReader(ledger))
        self._application: ASGIApp | None = None

    def is_open_for(self, head: RequestHead) -> bool:
        """Whether the console responds with its pages to the sender of this request."""
        return check_open(self._console, head) is None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        if self._application is None:
            from relay.console.application import build_application  # noqa: PLC0415 - see the module

            self._application = build_application(self._console)
        await self._application(scope, receive, send)
