"""HTTP responses: JSON, and problem documents (RFC 9457)."""

from http import HTTPStatus
from typing import Any

import msgspec
from starlette.types import Send

Headers = tuple[tuple[str, str], ...]

_encoder = msgspec.json.Encoder()


class Response(msgspec.Struct, frozen=True):
    """A whole HTTP response, small enough to be sent at once."""

    status: int
    content_type: str
    body: bytes
    headers: Headers = ()

    async def send(self, send: Send) -> None:
        """Send the response over ASGI."""
        head = [("content-type", self.content_type), ("content-length", str(len(self.body))), *self.headers]
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head]
        await send({"type": "http.response.start", "status": self.status, "headers": encoded})
        await send({"type": "http.response.body", "body": self.body})


def json_response(value: Any, *, status: int = 200) -> Response:
    return Response(status, "application/json", _encoder.encode(value))


def problem_response(
    status: int,
    detail: str,
    *,
    reason: str,
    pointer: str | None = None,
    quarantine_id: int | None = None,
    headers: Headers = (),
) -> Response:
    """Build a problem document. `pointer` (RFC 6901) is the place in the body, `quarantine_id` the id under
    which the body is stored.
    """
    document: dict[str, Any] = {
        "type": f"urn:cloudtalk-relay:problem:{reason}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if pointer is not None:
        document["errors"] = [{"pointer": pointer, "message": detail}]
    if quarantine_id is not None:
        document["quarantine_id"] = quarantine_id
    return Response(status, "application/problem+json", _encoder.encode(document), headers)
