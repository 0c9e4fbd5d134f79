"""What CloudTalk answers to a request for its history. Pure: bytes in, rows or a failure out."""

import json
from http import HTTPStatus
from typing import Any, Final

import msgspec

from relay.cloudtalk import analytics
from relay.history.errors import ApiFailure, Passing

_KEY_HINT: Final = (
    "check cloudtalk.api.key_id and key_secret, or create another key in CloudTalk (Account → Settings → API "
    "keys; plans below Essential have no API)"
)
_URL_HINT: Final = "check cloudtalk.api.base_url and analytics_url"
_EDGE_HINT: Final = (
    "CloudTalk's edge refuses requests before they reach the API: check that no proxy changes them, or ask "
    "CloudTalk to allow the address of this machine"
)
_LATER_HINT: Final = "try again later, and look at CloudTalk's status page if it stays so"
ROWS_PER_PAGE: Final = 1_000
"""The most that CloudTalk allows."""

_LONGEST_QUOTE: Final = 200


class Page(msgspec.Struct, frozen=True):
    """A page of rows. `items` and `pages`: of the whole answer; None if CloudTalk does not state them."""

    rows: list[dict[str, Any]]
    items: int | None
    pages: int | None


AFTER_THE_LAST: Final = Page([], 0, 0)
"""What is read if there is no such page any more: rows were deleted at CloudTalk, so the window changed."""


def parse_page(body: bytes, where: str) -> Page:
    """Parse a page of the history. Raises `Passing`."""
    data = parse_object(body, where).get("responseData")
    rows = data.get("data") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(rows, list):
        raise Passing("unreadable", f"{where} answered without responseData.data", _URL_HINT)
    return Page(
        [row for row in rows if isinstance(row, dict)],
        _parse_count(data.get("itemsCount")),
        _parse_count(data.get("pageCount")),
    )


def parse_uuid(body: bytes, where: str) -> str | None:
    """Return the call_uuid in an answer of the analytics API; None if there is none in its form.

    Raises `Passing`.
    """
    return analytics.parse_uuid(parse_object(body, where))


def check_status(status: int, body: bytes, content_type: str, where: str) -> None:
    """Raise `ApiFailure` for an answer that is no success; a failure that may pass is `Passing`."""
    if status == HTTPStatus.OK:
        return
    said = f"{where} answered {status}{_quote(body, content_type)}"
    if _is_page(body, content_type):
        raise Passing("edge", said, _EDGE_HINT)
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            raise ApiFailure("unauthorised", said, _KEY_HINT)
        case HTTPStatus.TOO_MANY_REQUESTS:
            raise Passing("throttled", said, "other programs use up CloudTalk's 60 requests a minute")
        case HTTPStatus.REQUEST_TIMEOUT:
            raise Passing("unavailable", said, _LATER_HINT)
        case HTTPStatus.NOT_FOUND:
            raise ApiFailure("not_found", said, _URL_HINT)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Passing("unavailable", said, _LATER_HINT)
    raise ApiFailure("refused", said, _URL_HINT)


def parse_object(body: bytes, where: str) -> dict[str, Any]:
    """Decode an answer that is an object. Raises `Passing`."""
    try:
        answer = _decode(body)
    except (ValueError, RecursionError):
        what = "a page for people" if _is_page(body, "") else "no JSON, or a part of it"
        raise Passing("unreadable", f"{where} answered with {what}", _URL_HINT) from None
    if not isinstance(answer, dict):
        raise Passing("unreadable", f"{where} answered with JSON that is no object", _URL_HINT)
    data = answer.get("responseData")
    if answer.get("success") is False or (isinstance(data, dict) and data.get("success") is False):
        message = f"{where} answered that it failed{_quote(body, 'application/json')}"
        raise Passing("refused", message, _LATER_HINT)
    return answer


def _decode(body: bytes) -> Any:
    """Decode JSON leniently: a row with half a character, such as a shortened emoji, must not hold up a page.

    Raises `ValueError`, `RecursionError`.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        value = json.loads(body.decode(errors="replace"), strict=False, parse_constant=lambda _: None)
        return msgspec.json.decode(json.dumps(value, ensure_ascii=False).encode(errors="replace"))


def _parse_count(value: Any) -> int | None:
    """Return a count, which CloudTalk writes as a number or as a text."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None  # noqa: PLR2004


def _is_page(body: bytes, content_type: str) -> bool:
    return "html" in content_type.lower() or body.lstrip()[:1] == b"<"


def _quote(body: bytes, content_type: str) -> str:
    """Return the start of an error's text; nothing of a page for people, which says nothing."""
    if not body:
        return ""
    if _is_page(body, content_type):
        return " with a page for people"
    return f": {body[:_LONGEST_QUOTE].decode(errors='replace')}"
