"""HTTP requests for recordings: to allowed hosts only, through redirects that are checked one by one.

Credentials are sent to the origin of the first URL alone. A name is resolved once for each connection, and
the connection goes to a checked address (`relay.standards.public_network`). No proxy is used.
"""

import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpcore
import httpx

from crm_clients.response_head import HeadTooLarge, LimitedHead, limit_heads
from relay.cloudtalk.api import USER_AGENT
from relay.recordings.failures import FetchFailed, Reason
from relay.recordings.hosts import AllowedHosts
from relay.standards.public_network import ForbiddenAddress, PublicNetworkBackend

_MAX_REDIRECTS: Final = 5
_READ_SECONDS: Final = 20.0
_CONNECT_SECONDS: Final = 10.0


class _AllowedNetwork(PublicNetworkBackend):
    """Connects to public addresses, and to private ones of hosts that may have them."""

    def __init__(self, hosts: AllowedHosts) -> None:
        super().__init__()
        self._hosts = hosts
        self._any = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        if self._hosts.may_be_private(host):
            return await self._any.connect_tcp(host, port, timeout, local_address, socket_options)
        return await super().connect_tcp(host, port, timeout, local_address, socket_options)


class _Transport(httpx.AsyncHTTPTransport):
    def __init__(self, hosts: AllowedHosts, connections: int) -> None:
        context = _ssl_context()
        super().__init__(verify=context)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=httpx.Limits().keepalive_expiry,
            network_backend=_AllowedNetwork(hosts),
        )


class Downloader:
    """Sends requests. `connections`: how many at the same time; `read_seconds`: the longest silence."""

    def __init__(self, hosts: AllowedHosts, *, connections: int, read_seconds: float = _READ_SECONDS) -> None:
        self._hosts = hosts
        self._connections = connections
        self._read_seconds = read_seconds
        self._opened: httpx.AsyncClient | None = None

    @property
    def _client(self) -> httpx.AsyncClient:
        """The client. It is created when it is first used, since it needs time and memory."""
        if self._opened is None:
            self._opened = httpx.AsyncClient(
                transport=_Transport(self._hosts, self._connections),
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
                timeout=httpx.Timeout(self._read_seconds, connect=_CONNECT_SECONDS),
            )
            limit_heads(self._opened)
        return self._opened

    @asynccontextmanager
    async def get(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        """Yield the response, whatever its status. Raises `FetchFailed`, also in the block."""
        try:
            response = await self._follow(url, dict(headers))
            try:
                yield response
            finally:
                await response.aclose()
        except ForbiddenAddress as error:
            message = f"{urlsplit(url).hostname} resolves to {error}, which is not public"
            raise FetchFailed(Reason.FORBIDDEN_HOST, message) from error
        except (httpx.HTTPError, httpx.StreamError, HeadTooLarge, TimeoutError) as error:
            message = f"{urlsplit(url).hostname}: {str(error) or type(error).__name__}"
            raise FetchFailed(Reason.UNAVAILABLE, message) from error

    async def _follow(self, url: str, headers: dict[str, str]) -> httpx.Response:
        for _ in range(_MAX_REDIRECTS + 1):
            self._hosts.check(url)
            try:
                request = self._client.build_request("GET", url, headers=headers)
            except (httpx.InvalidURL, UnicodeError):
                raise FetchFailed(Reason.FORBIDDEN_HOST, "the link to the recording is no URL") from None
            with LimitedHead():
                response = await self._client.send(request, stream=True)
            location = response.headers.get("location")
            if not response.is_redirect or not location:
                return response
            await response.aclose()
            target = urljoin(url, location)
            if _origin(target) != _origin(url):
                headers = {name: value for name, value in headers.items() if name != "Authorization"}
            url = target
        raise FetchFailed(Reason.UNAVAILABLE, f"more than {_MAX_REDIRECTS} redirects")

    async def aclose(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            await self._opened.aclose()


def _origin(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.scheme, parts.netloc


@cache
def _ssl_context() -> ssl.SSLContext:
    """Load the trusted certificates once, since that takes 50 ms."""
    return httpx.create_ssl_context()
