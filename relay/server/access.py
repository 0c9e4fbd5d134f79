"""Who may open the relay's own pages, such as `/metrics`: one rule for all that is not the webhook.

A page has a list of tokens in the settings. A request needs a listed one; without any, it must come from a
program on this machine, as an event must (`check_local_page`).
"""

from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from relay.cloudtalk.authentication import AuthProblem, check_local_page, tokens_in_authorization
from relay.cloudtalk.request import RequestHead
from relay.ingest.auth_failures import AuthFailures
from relay.ingest.request_head import build_head
from relay.ingest.responses import Headers, Response, problem_response
from relay.standards.tokens import TokenList

_DETAILS: Final = {
    AuthProblem.NO_TOKEN: "a token is missing: send Authorization: Bearer with one of {setting}",
    AuthProblem.WRONG_TOKEN: "the token is none of {setting} in the relay's settings",
    AuthProblem.FORWARDED: "without {setting} in the settings only programs on the relay's machine may open "
    "this, and this request came through a proxy; set {setting}",
    AuthProblem.NOT_LOCAL: "without {setting} in the settings only programs on the relay's machine may open "
    "this; set {setting}",
    AuthProblem.FOREIGN_HOST: "without {setting} in the settings only programs on the relay's machine may "
    "open this, and this request names another host, or none; set {setting}",
    AuthProblem.CROSS_SITE: "without {setting} in the settings no web page of another server may use this; "
    "set {setting}",
}


class Guard:
    """Decides who may open the pages of one area, such as `metrics`.

    The tokens are those of the setting `AREA.tokens`. `failures` must run, so that they are logged.
    """

    def __init__(self, area: str, tokens: Iterable[str]) -> None:
        self._area = area
        self._tokens = TokenList(tokens)
        self.failures = AuthFailures(area=area)

    @property
    def has_tokens(self) -> bool:
        return bool(self._tokens)

    def set_tokens(self, tokens: Iterable[str]) -> None:
        """Use these for all further requests."""
        self._tokens = TokenList(tokens)

    def is_listed(self, token: str) -> bool:
        """Whether this token opens the area. Compared in constant time."""
        return self._tokens.has_any([token])

    def find_problem(self, head: RequestHead) -> AuthProblem | None:
        """Return why a request may not open the area; None if it may."""
        if not self._tokens:
            return check_local_page(head)
        tokens = list(tokens_in_authorization(head.headers))
        if not tokens:
            return AuthProblem.NO_TOKEN
        return None if self._tokens.has_any(tokens) else AuthProblem.WRONG_TOKEN

    def refuse(self, head: RequestHead, problem: AuthProblem) -> Response:
        """Count the failure, and build its response: 401, or 429 if the address is throttled."""
        setting = f"{self._area}.tokens"
        detail = _DETAILS[problem].format(setting=setting)
        throttled_seconds = self.failures.record(head.client, problem)
        if throttled_seconds is None:
            challenge: Headers = (("WWW-Authenticate", f'Bearer realm="{self._area}"'),)
            return problem_response(401, detail, reason="unauthorised", headers=challenge)
        message = f"too many requests from this address were not authenticated; {detail}"
        retry_after: Headers = (("Retry-After", str(throttled_seconds)),)
        return problem_response(429, message, reason="throttled", headers=retry_after)


class Guarded:
    """ASGI application that passes on only the requests that a guard admits."""

    def __init__(self, guard: Guard, app: ASGIApp) -> None:
        self._guard = guard
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        head = build_head(scope)
        problem = self._guard.find_problem(head)
        if problem is None:
            await self._app(scope, receive, send)
        else:
            await self._guard.refuse(head, problem).send(send)
