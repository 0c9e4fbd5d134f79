"""Who may use the console, and which forms are its own."""

from collections.abc import Mapping
from enum import StrEnum
from urllib.parse import urlsplit

from relay.cloudtalk.authentication import check_local_page
from relay.cloudtalk.request import RequestHead
from relay.console.context import Console


class Closed(StrEnum):
    """Why nobody can use the console with this request, whatever session it has."""

    PUBLIC = "closed_public"
    """The relay is public, and no token protects the console."""
    FOREIGN = "closed_foreign"
    """There is no token, and the request does not come from this machine."""


def check_open(console: Console, head: RequestHead) -> Closed | None:
    """Return why the console is closed for this request. With tokens in the settings it is open."""
    if console.tokens:
        return None
    if console.is_public:
        return Closed.PUBLIC
    return Closed.FOREIGN if check_local_page(head) else None


def is_own_form(console: Console, headers: Mapping[str, str]) -> bool:
    """Whether a page of the console made the browser send this POST, as far as its headers show.

    Some proxies replace Host, so the origin of `public_url` counts, too.
    """
    if headers.get("sec-fetch-site", "same-origin").strip().lower() != "same-origin":
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        from_ = urlsplit(origin.strip().lower()).netloc
    except ValueError:
        return False
    own = {headers.get("host", "").lower(), urlsplit(console.settings.server.public_url).netloc.lower()}
    return from_ in own
