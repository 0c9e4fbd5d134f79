"""Which IP addresses are on the public internet."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

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
