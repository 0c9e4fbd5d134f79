"""The paths of the relay: which requests are for the webhook, the start page, and wrong paths."""

import re
import time
from collections.abc import Callable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, ExceptionHandler, Receive, Scope, Send

from relay import __version__
from relay.cloudtalk.request import RequestHead
from relay.ingest.request_head import build_head
from relay.ingest.responses import problem_response
from relay.logs import get_logger, remove_secrets

log = get_logger("relay.server")

_SLASHES: Final = re.compile("/{2,}")
_LONGEST_SHOWN: Final = 200

LOG_PERIOD_SECONDS: Final = 60.0
MAX_LOGGED: Final = 20
"""Lines in one period. A scan of the internet asks for thousands of paths, a typo in CloudTalk for one."""


class WebhookFirst:
    """ASGI application that passes requests at the webhook's path, and below it, to `webhook`, and all others
    to `others`. The router of a framework would cost each event as much as its authentication.

    Several slashes count as one: a base URL that ends in `/` and a path that starts with `/` are often
    joined unchanged.
    """

    def __init__(self, webhook_path: str, webhook: ASGIApp, others: ASGIApp) -> None:
        self._prefix = webhook_path + "/"
        self._webhook = webhook
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        path = scope.get("path", "")
        if "//" in path:
            path = _SLASHES.sub("/", path)
            scope = {**scope, "path": path}
        path_below_root = path.removeprefix(scope.get("root_path", ""))
        is_webhook = scope["type"] == "http" and f"{path_below_root}/".startswith(self._prefix)
        await (self._webhook if is_webhook else self._others)(scope, receive, send)


class StartPage:
    """ASGI application of `GET /`, for people who open the relay's address in a browser.

    It redirects to the console if this is open for the sender of the request, and else names the webhook.
    """

    def __init__(self, webhook_path: str, is_console_open: Callable[[RequestHead], bool]) -> None:
        self._is_console_open = is_console_open
        self._response = PlainTextResponse(
            f"CloudTalk Relay {__version__}\n\n"
            "It receives CloudTalk's call events and delivers each call to your CRMs.\n\n"
            f"Webhook:  POST {webhook_path}\n"
            "Health:   GET /healthz, GET /readyz\n"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request. Raises `HTTPException`: an event sent to `/` has a wrong path."""
        if scope["method"] not in {"GET", "HEAD"}:
            raise HTTPException(404)
        if self._is_console_open(build_head(scope)):
            # Relative, since a proxy may publish the relay below any path.
            await RedirectResponse("console", 307)(scope, receive, send)
            return
        await self._response(scope, receive, send)


class _NotFoundLog:
    """Logs wrong paths, at most `MAX_LOGGED` in a period. `now` returns monotonic seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._period_end = now() + LOG_PERIOD_SECONDS
        self._logged = 0
        self._unlogged = 0

    def add(self, request: Request, path: str) -> None:
        """Log the request, or count it. The next line says how many were only counted."""
        if self._now() >= self._period_end:
            self._period_end, self._logged = self._now() + LOG_PERIOD_SECONDS, 0
        if self._logged >= MAX_LOGGED:
            self._unlogged += 1
            return
        client = request.client.host if request.client else None
        log.warning(
            "http.not_found", method=request.method, path=path, client=client, unlogged=self._unlogged
        )
        self._logged += 1
        self._unlogged = 0


def not_found(webhook_path: str, now: Callable[[], float] = time.monotonic) -> ExceptionHandler:
    """Build the handler of requests that no route accepts: a wrong path may be a typo in CloudTalk."""
    not_found_log = _NotFoundLog(now)

    async def handle(request: Request, _: Exception) -> Response:
        path = remove_secrets(request.url.path)[:_LONGEST_SHOWN]
        not_found_log.add(request, path)
        detail = f"nothing accepts {request.method} {path} here; the webhook's path is {webhook_path}"
        problem = problem_response(404, detail, reason="not_found")
        return Response(problem.body, problem.status, media_type=problem.content_type)

    return handle
