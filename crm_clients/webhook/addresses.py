"""Where a webhook may lead: to the public internet, unless the settings allow more.

A name is resolved when the connection is made, each of its addresses is looked at, and the connection
goes to an address that was looked at: a name that resolves otherwise a moment later (DNS rebinding)
leads nowhere else. The request keeps the name, in `Host` and in TLS.
"""

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

import httpcore

_NAT64: Final = IPv6Network("64:ff9b::/96")
"""On networks without IPv4, its addresses are written as these (RFC 6052)."""


class ForbiddenAddress(Exception):
    """A name that leads only to addresses which are not public."""

    def __init__(self, addresses: Iterable[str]) -> None:
        super().__init__(", ".join(sorted(set(addresses))))


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet: not of this machine, of a private network, of a
    link (cloud metadata: 169.254.169.254), reserved, or an IPv4 one of these in the dress of IPv6.
    """
    found = _undressed(ip_address(address))
    if isinstance(found, IPv6Address) and found.is_site_local:
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved)


def _undressed(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


class PublicOnly(httpcore.AsyncNetworkBackend):
    """Connects to public addresses alone. Raises `ForbiddenAddress` where a name has none."""

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
        """Resolve, look, and connect to the first address that answers. Seconds for all of it."""
        connect = partial(
            self._network.connect_tcp, port=port, local_address=local_address, socket_options=socket_options
        )
        try:
            async with asyncio.timeout(timeout):
                *others, last = await _permitted(host, port)
                for address in others:
                    with suppress(httpcore.ConnectError):
                        return await connect(address)
                return await connect(last)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("no connection in time") from error

    async def sleep(self, seconds: float) -> None:
        """Wait so long."""
        await self._network.sleep(seconds)


async def _permitted(host: str, port: int) -> list[str]:
    """The public addresses of a name, at least one."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # an unknown name, or what can be none
        raise httpcore.ConnectError(str(error)) from error
    addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    permitted = [address for address in addresses if is_public(address)]
    if not permitted:
        raise ForbiddenAddress(addresses)
    return permitted
