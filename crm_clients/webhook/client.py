"""The client of any endpoint that takes signed POSTs."""

import time
from collections.abc import Sequence
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
from crm_clients.webhook.addresses import ForbiddenAddress
from crm_clients.webhook.answers import GONE, REDIRECTED, outcome_of
from crm_clients.webhook.messages import Message, forgotten, pushed, retracted
from crm_clients.webhook.round import AdaptiveRateLimiter, Batch
from crm_clients.webhook.settings import WebhookSettings
from crm_clients.webhook.transport import DirectTransport
from relay.standards.webhooks import KEY_PREFIX, Signer

_SHARE: Final = 0.9
"""Of an attempt's time: what is known of a batch must be told before the courier's patience ends."""

_HINTS: Final = {
    "forbidden_address": "set url to an address of the public internet, or allow_private = true where the "
    "receiver is yours",
    "unreachable": "see that url is right, that the receiver runs and, with https, that its certificate "
    "is valid",
    "no_answer": "see that the receiver answers within timeout_seconds",
    REDIRECTED: "set url to the address that it redirects to",
    GONE: "give url another endpoint, or let the receiver take calls again",
}


class WebhookClient(CrmClient[WebhookSettings]):
    """Tells an endpoint of each version of a call. What it makes of them is the receiver's own affair."""

    Settings: ClassVar[type[DestinationSettings]] = WebhookSettings

    def __init__(self, name: str, settings: WebhookSettings, context: Context) -> None:
        super().__init__(name, settings, context)
        secrets = [secret.get_secret_value() for secret in settings.secret]
        self._signer = Signer(secrets)
        self._hidden = _hidden(settings.url, secrets)
        self._pace = AdaptiveRateLimiter(settings.concurrency, settings.rate)
        self._http = VendorHttp(
            base_url="",
            # Packed bodies would be no shorter here, and are not unpacked.
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity"},
            timeout_seconds=settings.timeout_seconds,
            transport=DirectTransport(allow_private=settings.allow_private, connections=settings.concurrency),
        )

    async def check(self) -> list[Finding]:
        """Look whether the address is permitted and answers, by a request that says nothing of a call."""
        outcome = await self._asked()
        code = outcome.code or ""
        if code not in _HINTS:  # whatever else it answers to a HEAD, it is there
            return [Finding(name=self.name, ok=True)]
        return [Finding(name=self.name, ok=False, code=code, problem=outcome.message, hint=_HINTS[code])]

    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        """Send each call, whole, in a request of its own."""
        calls = merge_by_call(pushes)
        messages = [pushed(push, self.name, self.settings) for push in calls.values()]
        outcomes = dict(zip(calls, await self._send(messages), strict=True))
        return [outcomes[push.call.id] for push in pushes]

    async def retract(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Say which call each went into, or that it is to be deleted; `on_merge` is the receiver's own."""
        return await self._send([retracted(each, self.name, self.settings) for each in retractions])

    async def forget(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Ask the receiver to delete what it has of each; the client remembers nothing itself."""
        return await self._send([forgotten(each, self.name) for each in retractions])

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _send(self, messages: Sequence[Message]) -> list[Outcome]:
        return await Batch(self._post, self._pace, seconds=self.settings.timeout_seconds * _SHARE).send(
            messages
        )

    async def _post(self, message: Message) -> Outcome:
        moment = int(time.time())
        body = message.body(moment)
        return await self._outcome("POST", body, self._signer.headers(message.id, moment, body))

    async def _asked(self) -> Outcome:
        return await self._outcome("HEAD", None, {})

    async def _outcome(self, method: str, body: bytes | None, headers: dict[str, str]) -> Outcome:
        try:
            answer: HttpResult = await self._http.send(
                method, self.settings.url, content=body, headers=headers
            )
        except ForbiddenAddress as error:
            host = urlsplit(self.settings.url).hostname
            return Misconfigured(
                code="forbidden_address", message=f"{host} leads to {error}, which is not public."
            )
        return answer if isinstance(answer, Outcome) else outcome_of(answer, self._hide)

    def _hide(self, text: str) -> str:
        """Without the secrets, and without what follows the host in the address."""
        for secret in self._hidden:
            text = text.replace(secret, "…")
        return text


def _hidden(url: str, secrets: Sequence[str]) -> list[str]:
    """What no message may show: whole secrets, their keys, and what follows the host in the address."""
    parts = urlsplit(url)
    ways = [parts._replace(scheme="", netloc="").geturl(), parts.query, parts.path]
    keys = [secret.removeprefix(KEY_PREFIX) for secret in secrets]
    return [text for text in (url, *secrets, *keys, *ways) if len(text) > 1]
