"""What a receiver's answer means: Standard Webhooks where it says so, HTTP's own words otherwise."""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import httpx

from crm_clients.base import Delivered, Misconfigured, Outcome, Rejected, Retry, Throttled, Unauthorised
from crm_clients.http import retry_after

GONE: Final = "gone"
REDIRECTED: Final = "redirected"

_TOO_FAST: Final = frozenset({429, 502, 504})
"""Standard Webhooks: these ask for fewer requests."""

_COME_AGAIN: Final = frozenset({408, 425})
_CREDENTIALS: Final = frozenset({401, 403, 407})
_ENDPOINT: Final = frozenset({404, 405, 406, 411, 415, 426})
"""What would meet every call alike: the endpoint is not what the settings take it for."""

_EXCERPT: Final = 200


def outcome_of(answer: httpx.Response, hide: Callable[[str], str]) -> Outcome:
    """What became of the message that was answered so. A 4xx that says nothing of the endpoint speaks of
    the record. `hide` takes out of the receiver's words what it may have repeated and nobody may read.
    """
    status, code, said = answer.status_code, f"http_{answer.status_code}", _said(answer, hide)
    if answer.is_success:
        return Delivered()
    if answer.is_server_error or status in _TOO_FAST | _COME_AGAIN:
        outcome = Throttled if status in _TOO_FAST else Retry
        return outcome(code=code, message=said, after=retry_after(answer.headers))
    if status == HTTPStatus.GONE:
        return Misconfigured(code=GONE, message=f"{said} The receiver wants no more calls.")
    if not answer.is_client_error:
        return Misconfigured(code=REDIRECTED, message=f"{said} Redirects are not followed.")
    if status in _CREDENTIALS:
        return Unauthorised(code=code, message=said)
    return (Misconfigured if status in _ENDPOINT else Rejected)(code=code, message=said)


def _said(answer: httpx.Response, hide: Callable[[str], str]) -> str:
    """The status, and how the body begins if it is written for programs: a page says nothing in short."""
    status = f"The receiver answered {answer.status_code} {answer.reason_phrase}".rstrip()
    kind = answer.headers.get("content-type", "")
    words = " ".join(re.sub(r"[^\S ]|[\x00-\x1f\x7f]", " ", answer.text).split())
    if not words or "html" in kind or words.startswith("<"):
        return f"{status}."
    return f"{status}: {hide(words)[:_EXCERPT]}"
