"""HTTP connections to an endpoint that is not trusted.

The outcome depends on the status. Of the body only the start is read, for a person, and it is not
decompressed. So an endless, slow or compressed body does not use up the relay's time or memory.
"""

import ssl
from contextlib import suppress
from functools import cache
from typing import Final

import anyio
import httpcore
import httpx

from relay.standards.public_network import PublicNetworkBackend

_LONGEST_BODY_BYTES: Final = 65_536
_BODY_SECONDS: Final = 2.0
_HEADERS_OF_THE_BODY: Final = {b"content-length", b"content-encoding", b"transfer-encoding"}


class DirectTransport(httpx.AsyncHTTPTransport):
    """Uses no proxy, so that the checked address is the one that is connected to.

    `body_seconds`: how long to wait for the start of a body.
    """

    def __init__(self, *, allow_private: bool, connections: int, body_seconds: float = _BODY_SECONDS) -> None:
        context = _ssl_context()
        super().__init__(verify=context)
        self._body_seconds = body_seconds
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=httpx.Limits().keepalive_expiry,
            network_backend=httpcore.AnyIOBackend() if allow_private else PublicNetworkBackend(),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response with the start of its body."""
        response = await super().handle_async_request(request)
        try:
            start = await self._read_start(response)
        finally:
            await response.aclose()
        headers = [
            (name, value) for name, value in response.headers.raw if name.lower() not in _HEADERS_OF_THE_BODY
        ]
        return httpx.Response(response.status_code, headers=headers, content=start)

    async def _read_start(self, response: httpx.Response) -> bytes:
        """Read the first bytes. If the body breaks off or is slow, what has arrived is returned."""
        start = bytearray()
        with suppress(httpx.RequestError):
            # A scope, as in `await_request`: the limit may end together with one of httpx.
            with anyio.move_on_after(self._body_seconds):
                async for chunk in response.aiter_raw():
                    start += chunk
                    if len(start) >= _LONGEST_BODY_BYTES:
                        break
        return bytes(start[:_LONGEST_BODY_BYTES])


@cache
def _ssl_context() -> ssl.SSLContext:
    """Load the trusted certificates once, since that takes 50 ms."""
    return httpx.create_ssl_context()
