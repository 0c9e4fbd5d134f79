"""Host names and IP addresses."""

from functools import lru_cache
from ipaddress import IPv4Address, ip_address


@lru_cache(maxsize=128)
def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host. Of all names only `localhost` counts."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_ip_address(host: str) -> bool:
    """Whether the host is an address and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1_024)
def network_of(address: str) -> str:
    """Return what one sender controls: an IPv4 address, or the /64 of an IPv6 address; a name unchanged."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return parsed.exploded[:19] + "::/64"
