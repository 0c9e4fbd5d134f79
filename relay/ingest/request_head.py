"""What authenticates a request, apart from its body."""

from collections.abc import Sequence

from starlette.types import Scope

from relay.cloudtalk.request import RequestHead


def build_head(scope: Scope) -> RequestHead:
    """Return the head of this request."""
    return RequestHead(
        headers=_decode_headers(scope["headers"]),
        query=scope["query_string"].decode("latin-1"),
        client=scope["client"][0] if scope.get("client") else None,
        method=scope["method"],
        path=scope["path"],
        http_version=scope["http_version"],
    )


def _decode_headers(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Join the different values of a repeated header by commas: each of them counts, as in RFC 9110."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        if key in headers and headers[key] != text:
            text = f"{headers[key]}, {text}"
        headers[key] = text
    return headers
