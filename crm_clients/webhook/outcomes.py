"""The outcome for a receiver's response: as Standard Webhooks defines it, otherwise as HTTP does."""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import httpx

from crm_clients.base import Delivered, Misconfigured, Outcome, Rejected, Retry, Throttled, Unauthorised
from crm_clients.http import retry_after

GONE: Final = "gone"
REDIRECTED: Final = "redirected"

_THROTTLED: Final = frozenset({429, 502, 504})
"""Standard Webhooks: with these a receiver asks for fewer requests."""

_TEMPORARY: Final = frozenset({408, 425})
_CREDENTIALS: Final = frozenset({401, 403, 407})
_WRONG_ENDPOINT: Final = frozenset({404, 405, 406, 411, 415, 426})
"""The endpoint does not accept these requests, so every call would fail."""

_EXCERPT_LENGTH: Final = 200


def to_outcome(response: httpx.Response, redact: Callable[[str], str]) -> Outcome:
    """Return the outcome of a message. A 4xx that does not concern the endpoint concerns the record.

    `redact` removes secrets from the receiver's text, which may repeat the request.
    """
    status, code = response.status_code, f"http_{response.status_code}"
    if response.is_success:
        return Delivered()
    message = _describe(response, redact)
    if response.is_server_error or status in _THROTTLED | _TEMPORARY:
        outcome = Throttled if status in _THROTTLED else Retry
        return outcome(code=code, message=message, after=retry_after(response.headers))
    if status == HTTPStatus.GONE:
        return Misconfigured(code=GONE, message=f"{message} The receiver wants no more calls.")
    if not response.is_client_error:
        return Misconfigured(code=REDIRECTED, message=f"{message} Redirects are not followed.")
    if status in _CREDENTIALS:
        return Unauthorised(code=code, message=message)
    return (Misconfigured if status in _WRONG_ENDPOINT else Rejected)(code=code, message=message)


def _describe(response: httpx.Response, redact: Callable[[str], str]) -> str:
    """Return the status and the start of the body. An HTML page is left out: its start explains nothing."""
    status = f"The receiver answered {response.status_code} {response.reason_phrase}".rstrip()
    media_type = response.headers.get("content-type", "")
    text = " ".join(re.sub(r"[^\S ]|[\x00-\x1f\x7f]", " ", response.text).split())
    if not text or "html" in media_type or text.startswith("<"):
        return f"{status}."
    return f"{status}: {redact(text)[:_EXCERPT_LENGTH]}"
