"""The paths that are not the webhook's: the start page, wrong paths, and paths with doubled slashes."""

import re
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, ExceptionHandler, Receive, Scope, Send

from relay import __version__
from relay.ingest.responses import problem_response
from relay.logs import get_logger, remove_secrets

log = get_logger("relay.server")

_SLASHES: Final = re.compile("/{2,}")
_LONGEST_SHOWN: Final = 200


class SingleSlashes:
    """ASGI middleware that makes one slash of several: a base URL that ends in `/` and a path that starts
    with `/` are often joined unchanged.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if "//" in scope.get("path", ""):
            scope = {**scope, "path": _SLASHES.sub("/", scope["path"])}
        await self._app(scope, receive, send)


class StartPage:
    """ASGI application of `GET /`, for people who open the relay's address in a browser."""

    def __init__(self, webhook_path: str) -> None:
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
        await self._response(scope, receive, send)


def not_found(webhook_path: str) -> ExceptionHandler:
    """Build the handler of requests that no route accepts: a wrong path may be a typo in CloudTalk."""

    async def handle(request: Request, _: Exception) -> Response:
        path = remove_secrets(request.url.path)[:_LONGEST_SHOWN]
        client = request.client.host if request.client else None
        log.warning("http.not_found", method=request.method, path=path, client=client)
        detail = f"nothing accepts {request.method} {path} here; the webhook's path is {webhook_path}"
        problem = problem_response(404, detail, reason="not_found")
        return Response(problem.body, problem.status, media_type=problem.content_type)

    return handle
