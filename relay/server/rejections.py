"""Why a connection is closed with an error, and the response that gives the reason.

These responses are written by the protocol itself, before or without the application.
"""

from enum import StrEnum
from http import HTTPStatus
from typing import Final

from relay.ingest.responses import problem_response

MAX_HEAD_BYTES: Final = 32 * 1024
"""The limit of a request head, and of what surrounds the pieces of a chunked body (extensions, trailers)."""

MAX_HEADERS: Final = 1_000
"""The limit of header lines: short ones need a multiple of their size in memory."""

SECURITY_HEADERS: Final = (
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
    ("cache-control", "no-store"),
)
"""Headers of every response: a browser runs nothing in it, shows it in no frame and stores it nowhere."""


class Rejection(StrEnum):
    """Why a connection is closed with an error, as the log counts it."""

    MALFORMED = "malformed"
    TOO_SLOW = "too_slow"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    NO_CAPACITY = "no_capacity"


def _response(status: int, reason: Rejection, detail: str, *headers: tuple[str, str]) -> bytes:
    response = problem_response(status, detail, reason=reason, headers=headers)
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"content-type: {response.content_type}",
        f"content-length: {len(response.body)}",
        *(f"{name}: {value}" for name, value in (*SECURITY_HEADERS, *response.headers)),
        "connection: close",
    ]
    return "\r\n".join([*head, "", ""]).encode() + response.body


RESPONSES: Final = {
    Rejection.MALFORMED: _response(400, Rejection.MALFORMED, "the request is not valid HTTP"),
    Rejection.TOO_SLOW: _response(408, Rejection.TOO_SLOW, "the request did not arrive in time"),
    Rejection.TOO_LARGE: _response(
        431,
        Rejection.TOO_LARGE,
        f"the request line and the headers have more than {MAX_HEAD_BYTES} bytes or {MAX_HEADERS} lines",
    ),
    Rejection.NO_CAPACITY: _response(
        503, Rejection.NO_CAPACITY, "the relay has no capacity for a connection", ("retry-after", "5")
    ),
}
"""TOO_MANY has none: the connection is closed after the response of an earlier request."""


class Rejected(Exception):
    """The parser has to stop."""

    def __init__(self, reason: Rejection) -> None:
        self.reason = reason
