"""The webhook client: it sends signed messages and removes secrets from the texts it returns."""

import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Final
from urllib.parse import urlsplit

from crm_clients.base import (
    Context,
    CrmClient,
    Finding,
    Misconfigured,
    Outcome,
    Push,
    Retraction,
)
from crm_clients.batch import merge_by_call
from crm_clients.http import HttpResult, VendorHttp
from crm_clients.settings import DestinationSettings
from crm_clients.webhook.batch import Batch, SendLimits
from crm_clients.webhook.messages import Message, forget_message, retract_message, upsert_message
from crm_clients.webhook.outcomes import GONE, REDIRECTED, to_outcome
from crm_clients.webhook.settings import WebhookSettings
from crm_clients.webhook.transport import DirectTransport
from relay.standards.public_network import ForbiddenAddress
from relay.standards.webhooks import KEY_PREFIX, Signer

_BATCH_SHARE: Final = 0.9
"""Of timeout_seconds, for a batch: the outcomes must be returned before the relay cancels the attempt."""

_HINTS: Final = {
    "forbidden_address": "set url to an address of the public internet, or allow_private = true if the "
    "receiver is in your own network",
    "unreachable": "check that url is right, that the receiver runs and, with https, that its certificate "
    "is valid",
    "no_answer": "check that the receiver answers within timeout_seconds",
    REDIRECTED: "set url to the address that it redirects to",
    GONE: "set url to another endpoint, or let the receiver accept calls again",
}


class WebhookClient(CrmClient[WebhookSettings]):
    """Sends each version of a call to an endpoint.

    `clock` returns the Unix time in seconds, for the signatures.
    """

    Settings: ClassVar[type[DestinationSettings]] = WebhookSettings
    forget_fields: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        name: str,
        settings: WebhookSettings,
        context: Context,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(name, settings, context)
        secrets = [secret.get_secret_value() for secret in settings.secret]
        self._clock = clock
        self._signer = Signer(secrets)
        self._redacted = _texts_to_redact(settings.url, secrets)
        self._limits = SendLimits(settings.concurrency, settings.rate)
        self._http = VendorHttp(
            base_url="",
            # The transport does not decompress bodies.
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity"},
            timeout_seconds=settings.timeout_seconds,
            transport=DirectTransport(allow_private=settings.allow_private, connections=settings.concurrency),
        )

    async def check(self) -> list[Finding]:
        """Send a HEAD request, which contains nothing about a call. Any response but a few is ok."""
        outcome = await self._request("HEAD", None, {})
        code = outcome.code or ""
        if code not in _HINTS:
            return [Finding(name=self.name, ok=True)]
        return [Finding(name=self.name, ok=False, code=code, problem=outcome.message, hint=_HINTS[code])]

    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        """Send each call with all its fields, in a request of its own."""
        by_call = merge_by_call(pushes)
        messages = [upsert_message(push, self.name, self.settings) for push in by_call.values()]
        outcomes = dict(zip(by_call, await self._send(messages), strict=True))
        return [outcomes[push.call.id] for push in pushes]

    async def retract(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Send which call each one was merged into, or its deletion. The receiver decides what it does."""
        return await self._send([retract_message(each, self.name, self.settings) for each in retractions])

    async def forget(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Ask the receiver to delete its data. The client itself keeps no state."""
        return await self._send([forget_message(each, self.name) for each in retractions])

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _send(self, messages: Sequence[Message]) -> list[Outcome]:
        batch = Batch(self._post, self._limits, seconds=self.settings.timeout_seconds * _BATCH_SHARE)
        return await batch.send(messages)

    async def _post(self, message: Message) -> Outcome:
        timestamp = int(self._clock())
        body = message.encode(timestamp)
        return await self._request("POST", body, self._signer.headers(message.id, timestamp, body))

    async def _request(self, method: str, body: bytes | None, headers: dict[str, str]) -> Outcome:
        try:
            result: HttpResult = await self._http.send(
                method, self.settings.url, content=body, headers=headers
            )
        except ForbiddenAddress as error:
            host = urlsplit(self.settings.url).hostname
            message = f"{host} resolves to {error}, which is not public."
            return Misconfigured(code="forbidden_address", message=message)
        return result if isinstance(result, Outcome) else to_outcome(result, self._redact)

    def _redact(self, text: str) -> str:
        for secret in self._redacted:
            text = text.replace(secret, "…")
        return text


def _texts_to_redact(url: str, secrets: Sequence[str]) -> list[str]:
    """List the secrets with and without prefix, and path and query of the URL."""
    parts = urlsplit(url)
    of_the_url = [parts._replace(scheme="", netloc="").geturl(), parts.query, parts.path]
    keys = [secret.removeprefix(KEY_PREFIX) for secret in secrets]
    return [text for text in (url, *secrets, *keys, *of_the_url) if len(text) > 1]
