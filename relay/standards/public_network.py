"""Connections to public addresses only, unless the settings allow private ones.

The name is resolved for each connection, every address is checked, and the connection is made to a
checked address. So a name that resolves to another address a moment later (DNS rebinding) has no
effect. `Host` and TLS use the name.
"""

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

import anyio
import httpcore

from relay.standards.public_addresses import is_public


class ForbiddenAddress(Exception):
    """A host name resolves only to addresses that are not public. The text lists the addresses."""

    def __init__(self, addresses: Iterable[str]) -> None:
        super().__init__(", ".join(sorted(set(addresses))))


class PublicNetworkBackend(httpcore.AsyncNetworkBackend):
    """Connects to public addresses only. Raises `ForbiddenAddress` if a name has none."""

    def __init__(self) -> None:
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first public address that accepts. `timeout`: seconds for all of it."""
        connect = partial(
            self._network.connect_tcp, port=port, local_address=local_address, socket_options=socket_options
        )
        try:
            with anyio.fail_after(timeout):
                *others, last = await _resolve_public(host, port)
                for address in others:
                    with suppress(httpcore.ConnectError):
                        return await connect(address)
                return await connect(last)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("no connection in time") from error

    async def sleep(self, seconds: float) -> None:
        """Implement httpcore's interface."""
        await self._network.sleep(seconds)


async def _resolve_public(host: str, port: int) -> list[str]:
    """Return the public addresses of a name, at least one. Raises `ForbiddenAddress`, `ConnectError`."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # an unknown or an invalid name
        raise httpcore.ConnectError(str(error)) from error
    addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    public = [address for address in addresses if is_public(address)]
    if not public:
        raise ForbiddenAddress(addresses)
    return public
