"""Connections straight to an endpoint that nobody vouches for.

An answer's status counts. Of its body the beginning is read, for a person, and not unpacked: neither
an endless nor a slow body, nor one that swells when unpacked, holds the relay up.
"""

import asyncio
import ssl
from contextlib import suppress
from functools import cache
from typing import Final

import httpcore
import httpx

from crm_clients.webhook.addresses import PublicOnly

MOST_BYTES: Final = 65_536
_READ_SECONDS: Final = 2.0
_OF_THE_WHOLE_BODY: Final = {b"content-length", b"content-encoding", b"transfer-encoding"}


class DirectTransport(httpx.AsyncHTTPTransport):
    """Neither proxies nor redirects: what was checked is the address that the connection goes to."""

    def __init__(self, *, allow_private: bool, connections: int) -> None:
        context = _trusted()
        super().__init__(verify=context)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=httpx.Limits().keepalive_expiry,
            network_backend=httpcore.AnyIOBackend() if allow_private else PublicOnly(),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, with no more of its body than its beginning."""
        answer = await super().handle_async_request(request)
        try:
            begun = await _beginning(answer)
        finally:
            await answer.aclose()
        headers = [
            (name, value) for name, value in answer.headers.raw if name.lower() not in _OF_THE_WHOLE_BODY
        ]
        return httpx.Response(answer.status_code, headers=headers, content=begun)


@cache
def _trusted() -> ssl.SSLContext:
    """Whom TLS trusts; reading that takes 50 ms, and it is the same for every webhook."""
    return httpx.create_ssl_context()


async def _beginning(answer: httpx.Response) -> bytes:
    """The body's first bytes, as far as they come at once: how the rest goes changes no outcome."""
    begun = bytearray()
    with suppress(TimeoutError, httpx.RequestError):
        async with asyncio.timeout(_READ_SECONDS):
            async for part in answer.aiter_raw():
                begun += part
                if len(begun) >= MOST_BYTES:
                    break
    return bytes(begun[:MOST_BYTES])
