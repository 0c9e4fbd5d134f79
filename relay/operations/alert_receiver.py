"""The receiver of alerts: an endpoint of the operator, of Slack or of Teams."""

import asyncio
from collections.abc import Mapping
from typing import Final

import httpx

from crm_clients.base import Finding
from crm_clients.webhook.transport import DirectTransport
from relay import __version__
from relay.instants import SECOND, Instant
from relay.settings.monitoring import Alerts
from relay.standards.public_network import ForbiddenAddress
from relay.standards.webhooks import Signer

_SECONDS: Final = 10.0
_GONE: Final = (404, 410)
_FORBIDDEN_HINT: Final = (
    "set alerts.webhook_url to an address of the public internet, or alerts.allow_private = true if the "
    "receiver is "
    "in your own network"
)
_UNREACHABLE_HINT: Final = (
    "check that alerts.webhook_url is right, that the receiver runs and, with https, that its certificate is "
    "valid"
)


class AlertReceiver:
    """Sends requests to the URL of the settings. The URL and its secrets are in no text that it returns."""

    def __init__(self, settings: Alerts) -> None:
        self._settings = settings
        secrets = [secret.get_secret_value() for secret in settings.secret]
        self._signer = Signer(secrets) if secrets else None

    async def send(self, body: bytes, *, id_: str, at: Instant) -> str | None:
        """POST a message. Return the problem; None if the receiver took it."""
        signature = self._signer.headers(id_, at // SECOND, body) if self._signer else {}
        try:
            status = await self._request("POST", body, {"Content-Type": "application/json", **signature})
        except _Failed as error:
            return str(error)
        return None if 200 <= status < 300 else f"the receiver answered {status}"  # noqa: PLR2004 - HTTP

    async def check(self) -> Finding:
        """Send a HEAD request, which contains nothing. Most receivers refuse it, which proves that they
        exist.
        """
        try:
            status = await self._request("HEAD", None, {})
        except _Forbidden as error:
            return _finding("forbidden_address", str(error), _FORBIDDEN_HINT)
        except _Failed as error:
            return _finding("unreachable", str(error), _UNREACHABLE_HINT)
        if status in _GONE or 300 <= status < 400:  # noqa: PLR2004 - HTTP
            problem = f"the receiver of alerts answered {status}"
            return _finding("wrong_url", problem, "set alerts.webhook_url to the receiver's present URL")
        return Finding(name="alerts", ok=True)

    async def _request(self, method: str, body: bytes | None, headers: Mapping[str, str]) -> int:
        """Return the status. Raises `_Failed`."""
        url, host = self._settings.webhook_url.get_secret_value(), self._settings.host
        transport = DirectTransport(allow_private=self._settings.may_be_private, connections=1)
        named = {"User-Agent": f"cloudtalk-relay/{__version__}", "Accept-Encoding": "identity", **headers}
        try:
            async with (
                asyncio.timeout(_SECONDS),
                httpx.AsyncClient(transport=transport, timeout=_SECONDS) as client,
            ):
                return (await client.request(method, url, content=body, headers=named)).status_code
        except ForbiddenAddress as error:
            raise _Forbidden(f"{host} resolves to {error}, which is not public") from None
        except TimeoutError:
            raise _Failed(f"{host} did not answer within {_SECONDS:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise _Failed(f"{host} cannot be reached: {type(error).__name__}") from None


class _Failed(Exception):
    """No answer."""


class _Forbidden(_Failed):
    """The host has no public address."""


def _finding(code: str, problem: str, hint: str) -> Finding:
    return Finding(name="alerts", ok=False, code=code, problem=problem, hint=hint)
