"""Every page of the console, with what it requires of a request."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final

import msgspec
from starlette.responses import Response

from relay.console.pages import (
    audit,
    call,
    calls,
    calls_export,
    dead_letters,
    overview,
    preferences,
    quarantine,
    set_up,
    sign_in,
)
from relay.console.visit import Visit

Handler = Callable[[Visit], Awaitable[Response]]


class Requires(StrEnum):
    """What a request needs, so that a page responds. Where the console is closed, no page does."""

    SESSION = "session"
    """A person who is signed in; without tokens in the settings, a browser on the machine of the relay."""
    NOTHING = "nothing"


class Page(msgspec.Struct, frozen=True):
    """A page. A POST also needs the session's token against forged forms, whatever it requires else.

    `is_background`: a script asks for it, so it does not keep the session alive.
    """

    path: str
    handler: Handler
    method: str = "GET"
    requires: Requires = Requires.SESSION
    is_background: bool = False


PAGES: Final = (
    Page("/", overview.show),
    Page("/calls", calls.show),
    Page("/calls/rows", calls.rows, is_background=True),
    Page("/calls.csv", calls_export.export),
    Page("/call", call.show),
    Page("/call/deliveries", call.deliveries, is_background=True),
    Page("/call/push", call.push, "POST"),
    Page("/dead-letters", dead_letters.show),
    Page("/dead-letters/kind", dead_letters.show_group),
    Page("/dead-letters/replay", dead_letters.replay, "POST"),
    Page("/dead-letters/drop", dead_letters.drop, "POST"),
    Page("/quarantine", quarantine.show),
    Page("/quarantine/reason", quarantine.show_reason),
    Page("/quarantine/retry", quarantine.retry, "POST"),
    Page("/quarantine/drop", quarantine.drop, "POST"),
    Page("/audit", audit.show),
    Page("/set-up", set_up.show),
    Page("/set-up/destinations", set_up.show_destinations, is_background=True),
    Page("/set-up/check", set_up.check, "POST"),
    Page("/set-up/test", set_up.send_test, "POST"),
    Page("/set-up/destination", set_up.act, "POST"),
    Page("/sign-in", sign_in.sign_in, "POST", Requires.NOTHING),
    Page("/sign-out", sign_in.sign_out, "POST"),
    Page("/preferences", preferences.change, "POST", Requires.NOTHING),
)
"""All pages below `/console`, apart from the static files, which anybody may read."""
