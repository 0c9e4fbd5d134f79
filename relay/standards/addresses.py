"""Host names and IP addresses."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host. Of all names only `localhost` counts."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
