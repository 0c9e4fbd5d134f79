"""The hosts from which recordings are read: no link in an event leads the relay anywhere else."""

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from relay.recordings.failures import FetchFailed, Reason
from relay.settings.validators import split_port
from relay.standards.public_addresses import is_public

_PORTS = {"https": 443, "http": 80}


class AllowedHosts:
    """`hosts`: names or addresses, with a port if only that one is meant. `trusted_url`: the URL of the API,
    whose host is allowed, too. `allow_private`: whether names may resolve to private addresses.

    An address, or `localhost`, in the settings says by itself that it is meant.
    """

    def __init__(self, hosts: Iterable[str], trusted_url: str, *, allow_private: bool) -> None:
        trusted = urlsplit(trusted_url)
        self._allowed = [split_port(host) for host in hosts]
        self._allowed.append((trusted.hostname or "", _port(trusted)))
        self._allow_private = allow_private

    def check(self, url: str) -> None:
        """Raise `FetchFailed` if the URL is none of an allowed host, or would be sent unencrypted."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), _port(parts)
        except ValueError:
            raise FetchFailed(Reason.FORBIDDEN_HOST, "the link to the recording is no URL") from None
        is_listed = any(host == name and wanted in {None, port} for name, wanted in self._allowed)
        if parts.scheme not in _PORTS or not is_listed or parts.username is not None:
            message = f"the recording is at {host[:100]}, which recordings.allowed_hosts does not list"
            raise FetchFailed(Reason.FORBIDDEN_HOST, message)
        if parts.scheme == "http" and not self.may_be_private(host):
            raise FetchFailed(Reason.FORBIDDEN_HOST, f"the link to the recording at {host} is not https")

    def may_be_private(self, host: str) -> bool:
        """Whether this host, which is allowed, may be this machine or in a private network."""
        if self._allow_private or host == "localhost":
            return True
        try:
            ip_address(host)
        except ValueError:
            return False
        return not is_public(host)


def _port(parts: SplitResult) -> int | None:
    return parts.port or _PORTS.get(parts.scheme)
