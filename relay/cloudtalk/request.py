"""A request to the webhook: its head, and the whole of it."""

from typing import Final

import msgspec

from relay.standards.webhooks import message_id

_GZIP_MAGIC: Final = b"\x1f\x8b"
_COMPRESSED: Final = frozenset({"gzip", "x-gzip", "deflate"})


class RequestHead(msgspec.Struct, frozen=True):
    """A request without its body. Header names are lower case; `client` is the address of the peer,
    `http_version` is written as in the ASGI scope (`1.0`).
    """

    headers: dict[str, str]
    query: str
    client: str | None
    method: str = "POST"
    path: str = ""
    http_version: str = "1.1"

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    @property
    def content_encoding(self) -> str:
        return self.headers.get("content-encoding", "")

    def with_body(self, raw: bytes) -> "RawRequest":
        """Return the whole request as the parser needs it."""
        return RawRequest(
            raw,
            content_type=self.content_type,
            path=self.path,
            query=self.query,
            encoding=self.content_encoding,
            message_id=message_id(self.headers),
            method=self.method,
        )


class RawRequest(msgspec.Struct, frozen=True):
    """A request to the webhook. `raw` is the body as received, `path` the whole path, `encoding` the
    Content-Encoding, `message_id` the svix-id or webhook-id of a signed message, `method` the HTTP method.
    """

    raw: bytes
    content_type: str = ""
    path: str = ""
    query: str = ""
    encoding: str = ""
    message_id: str | None = None
    method: str = "POST"

    @property
    def is_from_call_flow(self) -> bool:
        """Whether the URL was given to a step of a call flow: it ends in `/flow` or `/flow/EVENT`."""
        return "flow" in self.path.split("/")[-2:]

    @property
    def is_compressed(self) -> bool:
        """Whether the body is declared as compressed, or begins like a gzip file."""
        if self.raw.startswith(_GZIP_MAGIC):
            return True
        return bool(self.encoding) and self.encoding.strip().lower() in _COMPRESSED
