"""One request of a person: session, language, colours, and how a page is rendered for them."""

import hashlib
import re
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import msgspec
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from relay.call import missed_reason_in_spanish
from relay.cloudtalk.request import RequestHead
from relay.console import sessions
from relay.console.context import Console
from relay.console.formats import Formats
from relay.console.forms import Form
from relay.console.languages import choose_language
from relay.console.sessions import Limits, Session
from relay.console.templating import environment, static_version
from relay.ingest.request_head import build_head
from relay.logs import get_logger
from relay.operations import story_texts
from relay.operations.explanation import Situation, situation_of
from relay.operations.languages import Language
from relay.operations.translation import translate

log = get_logger("relay.console")

PREFIX: Final = "/console"
NAVIGATION: Final = (
    ("overview", ""),
    ("calls", "calls"),
    ("dead_letters", "dead-letters"),
    ("quarantine", "quarantine"),
    ("audit", "audit"),
    ("set_up", "set-up"),
)
"""The pages of the navigation: the name of their text and of their icon, and their path."""

THEMES: Final = ("auto", "light", "dark")
LANGUAGE_COOKIE: Final = "relay-language"
THEME_COOKIE: Final = "relay-theme"
_PAGE: Final = re.compile(r"(?:[a-z0-9-]+(?:/[a-z0-9-]+)*)?")
"""The path of a page below the console."""

_YEAR_SECONDS: Final = 31_536_000
_MOST_DIGITS: Final = 12


class Fragment(msgspec.Struct, frozen=True):
    """A part of a page, and the digest by which the browser asks whether it has changed."""

    html: Markup
    digest: str


class Visit:
    """A request to the console, and what its pages need to respond.

    `form`: the fields of a POST, which is read before a page handles it. `is_part`: the request is for a part
    of an open page, whose path is that of the page and one word more.
    """

    def __init__(self, console: Console, request: Request, *, is_part: bool = False) -> None:
        self._is_part = is_part
        self.console = console
        self.request = request
        self.head: RequestHead = build_head(request.scope)
        self.now = int(time.time())
        self.session = self._read_session()
        self.texts = choose_language(
            request.cookies.get(LANGUAGE_COOKIE), self.head.headers.get("accept-language", "")
        )
        chosen = request.cookies.get(THEME_COOKIE)
        self.theme = chosen if chosen in THEMES else "auto"
        self.form: Form = {}
        self.zone = ZoneInfo(console.settings.cloudtalk.timezone)
        self.formats = Formats(self.texts.units, self.zone, datetime.fromtimestamp(self.now, UTC))
        self._is_new_session = False

    @property
    def today(self) -> date:
        """The present day in the zone of the settings."""
        return datetime.fromtimestamp(self.now, self.zone).date()

    def _read_session(self) -> Session | None:
        settings = self.console.settings.console
        limits = Limits(idle=settings.idle_minutes * 60, total=settings.session_hours * 3600)
        cookie = self.request.cookies.get(self.cookie_name, "")
        return sessions.read(cookie, self.console.tokens, limits, self.now)

    # --- the session ----------------------------------------------------------------------------

    @property
    def cookie_name(self) -> str:
        """The name of the session's cookie: with https, browsers guard names that begin with `__Host-`."""
        return "__Host-relay-console" if self.console.is_encrypted else "relay-console"

    @property
    def may_see(self) -> bool:
        """Whether the person is signed in, or needs not to be because the settings list no token."""
        return not self.console.tokens or (self.session is not None and self.session.is_signed_in)

    def begin_session(self, token: str = "") -> Session:
        """Begin a session: of the person who signed in with this token, or of a visitor."""
        self.session = sessions.begin(self.now, token)
        self._is_new_session = True
        return self.session

    def log_action(self, action: str, target: str = "") -> None:
        """Log what the person did, and to what."""
        name = self.session.name if self.session else ""
        log.info("console.action", session=name, client=self.head.client, action=action, target=target)

    def set_cookies(self, response: Response) -> None:
        """Add the cookie of the session, if the browser does not have it yet or its time is old."""
        session = self.session
        if session is None or not (self._is_new_session or session.needs_renewal(self.now)):
            return
        self._set_cookie(response, self.cookie_name, session.seen(self.now).cookie)

    def remember(self, response: Response, cookie: str, value: str) -> None:
        """Add a cookie with a preference of the person."""
        self._set_cookie(response, cookie, value, max_age=_YEAR_SECONDS)

    def _set_cookie(self, response: Response, name: str, value: str, max_age: int | None = None) -> None:
        response.set_cookie(
            name,
            value,
            max_age=max_age,
            path="/",
            secure=self.console.is_encrypted,
            httponly=True,
            samesite="strict",
        )

    # --- the page -------------------------------------------------------------------------------

    def query(self, name: str) -> str:
        """Return the first value of a field of the query, empty if it has none."""
        return self.request.query_params.get(name, "")

    def query_number(self, name: str) -> int:
        """Return the number in a field of the query, 0 if it has none."""
        value = self.query(name)
        return int(value) if value.isdecimal() and len(value) <= _MOST_DIGITS else 0

    @property
    def situation(self) -> Situation:
        """What the sentences that explain deliveries depend on."""
        settings, language = self.console.settings, Language(self.texts.code)
        return situation_of(settings, self.console.ledger.now(), for_people=True, language=language)

    def word(self, kind: str, value: str) -> str:
        """Return the word for a value: `word("status", "missed")`."""
        return str(getattr(self.texts.words, f"{kind}_{value}", value))

    def reason(self, reason: str | None) -> str | None:
        """Return why a call was missed, in the language of the page."""
        if reason is None or Language(self.texts.code) is Language.EN:
            return reason
        return missed_reason_in_spanish(reason)

    def code(self, code: str) -> str:
        """Return the word for an outcome of a push."""
        return story_texts.word(code).read(Language(self.texts.code))

    def translate(self, text: str) -> str:
        """Return a text that is written in English only, such as a finding, in the language of the page."""
        return translate(text).read(Language(self.texts.code))

    def translated(self, text: str) -> Markup:
        """Return a translated text as HTML.

        Words of a CRM or of a plug-in stay English, and are marked as such for readers of the screen.
        """
        shown = self.translate(text)
        html = self.formats.message(shown)
        is_foreign = self.texts.code != Language.EN and shown == text
        return Markup('<span lang="en">{}</span>').format(html) if is_foreign else html

    def field(self, name: str) -> str:
        """Return the first value of a field of the form, empty if it has none."""
        return self.form.get(name, [""])[0]

    @property
    def here(self) -> str:
        """The path of this page below the console, with its query."""
        query = self.request.url.query
        path = self._path_below.lstrip("/")
        return f"{path}?{query}" if query else path

    @property
    def _path_below(self) -> str:
        raw: bytes = self.request.scope.get("raw_path") or self.request.scope["path"].encode()
        below = raw.partition(b"?")[0].decode("latin-1").partition(PREFIX)[2]
        # The browser resolves the links of a part against the address of the page.
        return below.rpartition("/")[0] if self._is_part else below

    navigation = NAVIGATION
    pages = frozenset(path for _, path in NAVIGATION)

    def url(self, path: str = "", part: str = "", /, **query: str | int | None) -> str:
        """Return a relative link to a page of the console: a proxy may publish it below any path. `part`: the
        id of an element of the page, to which the browser scrolls.
        """
        below = self._path_below
        up = f"{PREFIX[1:]}/" if not below else "../" * (below.count("/") - 1) or "./"
        given = {name: value for name, value in query.items() if value not in {None, ""}}
        fragment = f"#{quote(part)}" if part else ""
        return f"{up}{quote(path)}" + (f"?{urlencode(given)}" if given else "") + fragment

    def root_url(self, path: str) -> str:
        """Return a relative link to a path of the relay outside the console."""
        below = self._path_below
        return "../" * below.count("/") + quote(path) if below else quote(path)

    def static_url(self, name: str) -> str:
        """Return a link to a static file; it changes with the file."""
        return self.url(f"static/{name}", v=static_version(name))

    def render(self, template: str, /, *, http_status: int = 200, **values: Any) -> Response:
        """Return the page of this template. Its blocks see the visit as `visit` and the texts as `t`."""
        return HTMLResponse(self._render(template, values), http_status)

    def _render(self, template: str, values: Mapping[str, Any]) -> str:
        if self.session is None:
            self.begin_session()
        return environment().get_template(template).render(visit=self, t=self.texts, **values)

    def render_part(self, template: str, /, **values: Any) -> Fragment:
        """Return a part of a page that the browser asks for again while the page is open."""
        html = Markup(self._render(template, values))  # noqa: S704 - the template has escaped what it shows
        return Fragment(html, hashlib.blake2b(html.encode(), digest_size=12).hexdigest())

    def respond_with(self, part: Fragment) -> Response:
        """Return a part, or 204 if the browser has it: the query names the digest that it has as `seen`."""
        if part.digest == self.query("seen"):
            return Response(status_code=204)
        return HTMLResponse(part.html, headers={"x-digest": part.digest})

    def redirect(self, path: str, part: str = "", /, **query: str | int | None) -> Response:
        """Return a redirect to a page of the console, after a POST."""
        return RedirectResponse(self.url(path, part, **query), 303)

    def redirect_back(self, here: str) -> Response:
        """Return a redirect to the page that a form names, or to the overview if it is no page."""
        return RedirectResponse(self.page_url(here), 303)

    def page_url(self, here: str) -> str:
        """Return a link to the page with this path and query, or to the overview if there is no such page."""
        path, _, query = here.partition("?")
        if _PAGE.fullmatch(path) is None:
            return self.url()
        return self.url(path) + (f"?{quote(query, safe='=&%+')}" if query else "")
