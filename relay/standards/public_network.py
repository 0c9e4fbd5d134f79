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
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

import anyio
import httpcore

_NAT64: Final = IPv6Network("64:ff9b::/96")
"""IPv4 addresses in networks without IPv4 (RFC 6052)."""

_SPECIAL_IPV4: Final = tuple(
    IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24"),
        *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        *("224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # a service of the host machine in Azure
    )
)
_GLOBAL_IPV6: Final = IPv6Network("2000::/3")
"""All other IPv6 addresses are private, local, reserved or for multicast."""

_SPECIAL_IPV6: Final = tuple(
    IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3ffe::/16", "3fff::/20")
)
"""The registries of IANA for special-purpose addresses. `ipaddress` knows fewer."""


class ForbiddenAddress(Exception):
    """A host name resolves only to addresses that are not public. The text lists the addresses."""

    def __init__(self, addresses: Iterable[str]) -> None:
        super().__init__(", ".join(sorted(set(addresses))))


def is_public(address: str) -> bool:
    """Whether an address is on the public internet.

    Not public: this machine, private networks, link-local addresses (cloud metadata: 169.254.169.254),
    special-purpose and reserved addresses, and IPv6 forms of such IPv4 addresses.
    """
    found = _unwrap_ipv4(ip_address(address))
    if isinstance(found, IPv4Address):
        return not any(found in network for network in _SPECIAL_IPV4)
    return found in _GLOBAL_IPV6 and not any(found in network for network in _SPECIAL_IPV6)


def _unwrap_ipv4(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address contains, if any."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


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
