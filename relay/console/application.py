"""The console's application: passes each request on to its page, if the person may see it."""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from relay.console.access import Closed, check_open, is_own_form
from relay.console.context import Console
from relay.console.forms import InvalidForm, read_form
from relay.console.pages import sign_in
from relay.console.routes import PAGES, Page, Requires
from relay.console.static_files import static_file
from relay.console.visit import PREFIX, Visit
from relay.ledger import LedgerError, signed_out
from relay.ledger.errors import LedgerTimeout
from relay.logs import get_logger
from relay.server.exchange import REPLACES_HEADERS

log = get_logger("relay.console")

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Not `no-referrer`: with it browsers send `Origin: null` with a form.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""Headers of every response of the console: a page loads only files of the console, and is in no frame."""

_ERRORS: Final = {400: "forbidden", 403: "forbidden", 404: "not_found"}
"""The texts of the pages for these statuses."""

_SEARCHES: Final = ("/calls", "/calls/rows")
"""The pages whose time a person can limit by another search."""

_NO_STORE: Final = (b"cache-control", b"no-store")


def build_application(console: Console) -> ASGIApp:
    """Build the application of `/console` and of all paths below it."""
    router = Router(
        [
            Route("/static/{name}", static_file, methods=["GET"]),
            *(_route(console, page) for page in PAGES),
            Route("/{path:path}", _respond_with(console, Page("", _not_found))),
        ],
        redirect_slashes=False,
    )

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", "")).removeprefix(PREFIX)
        await router({**scope, "path": path or "/", "root_path": ""}, receive, _with_headers(send))

    return application


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), *_HEADERS]
            if not any(name == b"cache-control" for name, _ in headers):
                headers.append(_NO_STORE)
            message = {**message, "headers": headers, REPLACES_HEADERS: True}
        await send(message)

    return send_with_headers


def _route(console: Console, page: Page) -> Route:
    return Route(page.path, _respond_with(console, page), methods=[page.method])


def _respond_with(console: Console, page: Page) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        visit = Visit(console, request, is_part=page.is_background)
        try:
            response = await _respond(visit, page)
        except HTTPException as error:
            response = _error(visit, _ERRORS.get(error.status_code, "failed"), error.status_code)
        except LedgerError as error:
            is_slow = isinstance(error, LedgerTimeout) and page.method == "GET" and page.path in _SEARCHES
            response = _error(visit, "slow" if is_slow else "no_ledger", 503)
        except Exception:
            log.exception("console.failed", path=page.path)
            response = _error(visit, "failed", 500)
        if not page.is_background:
            visit.set_cookies(response)
        return response

    return respond


async def _respond(visit: Visit, page: Page) -> Response:
    if closed := check_open(visit.console, visit.head):
        return _closed(visit, closed)
    await _forget_signed_out(visit)
    if page.method == "POST" and (refusal := await _check_form(visit)):
        return refusal
    if page.requires is Requires.SESSION and not visit.may_see:
        return sign_in.ask(visit, next_page="" if page.is_background else visit.here)
    return await page.handler(visit)


async def _forget_signed_out(visit: Visit) -> None:
    """Do not accept the cookie of a session that its person ended."""
    session = visit.session
    if session is not None and session.is_signed_in:
        is_over = await visit.console.ledger.read(lambda c: signed_out.contains(c, session.id))
        if is_over:
            visit.session = None


async def _check_form(visit: Visit) -> Response | None:
    """Read the form; return a refusal if another page sent it, or a person whose session ended."""
    try:
        visit.form = await read_form(visit.request)
    except InvalidForm as error:
        raise HTTPException(400) from error
    is_own = visit.session is not None and visit.session.has_csrf_token(visit.field("csrf"))
    if is_own and is_own_form(visit.console, visit.head.headers):
        return None
    visit.console.failures.record(visit.head.client, "forged_form")
    return _error(visit, "forbidden", 403)


def _closed(visit: Visit, closed: Closed) -> Response:
    visit.console.failures.record(visit.head.client, closed)
    is_public = closed is Closed.PUBLIC
    texts = visit.texts.frame
    reason = texts.closed_public if is_public else texts.closed_foreign
    return visit.render("closed.html", http_status=403, reason=reason)


async def _not_found(_: Visit) -> Response:
    raise HTTPException(404)


def _error(visit: Visit, name: str, status: int) -> Response:
    """Return the page of an error. Its texts are `{name}_title` and `{name}` of the frame."""
    title, text = (getattr(visit.texts.frame, key) for key in (f"{name}_title", name))
    return visit.render("error.html", http_status=status, title=title, text=text)
