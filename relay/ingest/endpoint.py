"""The webhook's endpoint: receive → authenticate → decode → parse → store → respond.

The order of the first two depends on where the proof of the sender is: in the head, in a signature of the
body, or in the decoded body (`_handle`).

It is a plain ASGI application, since the Request and Response objects of a framework would cost more than
everything else here.
"""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Final, TypeVar

import msgspec
from starlette.types import Receive, Scope, Send

from relay.call import CallEvent
from relay.cloudtalk.authentication import Authenticator, AuthProblem, Proof
from relay.cloudtalk.body_secrets import BodySecrets
from relay.cloudtalk.decoding import BodyLimits
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.parser import Ignored, ParsedItem, Parser
from relay.cloudtalk.request import RawRequest, RequestHead
from relay.ingest.acknowledgements import acknowledge, acknowledge_ignored
from relay.ingest.auth_failures import AuthFailures
from relay.ingest.body import (
    MAX_SIGNED_EXCESS,
    UNAUTHENTICATED,
    Body,
    ReceivedBody,
    decode_body,
    decode_unauthenticated,
    forget_frames,
    limit_size,
    receive_body,
)
from relay.ingest.clock_warning import ClockWarning
from relay.ingest.limits import AdmissionControl, Evicted, Overloaded, Permit
from relay.ingest.parsing_threads import ParsingThreads, is_small
from relay.ingest.refusals import (
    refuse_evicted,
    refuse_payload,
    refuse_slow,
    refuse_unauthenticated,
    refuse_unavailable,
)
from relay.ingest.refused_senders import RefusedSenders
from relay.ingest.request_head import build_head
from relay.ingest.responses import Response
from relay.ingest.store import Envelope, EventStore
from relay.instants import SECOND
from relay.ledger import Ledger, LedgerUnavailable
from relay.ledger.group_commit import GroupCommit
from relay.measurements import REQUEST_SECONDS
from relay.standards.webhooks import StaleSignature, message_id

T = TypeVar("T")

_TOO_LARGE: Final = ("oversize", "too_many_values")

_UNKNOWN_EVENT: Final = "unknown_event"
"""The reason of a body in quarantine that looks like a call and is no known event."""


class WebhookEndpoint:
    """The ASGI application at the webhook's path and at every path below it."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        group_commit: GroupCommit,
        authenticator: Authenticator,
        secrets: BodySecrets,
        parser: Parser,
        max_body_bytes: int,
        admission_control: AdmissionControl,
    ) -> None:
        self._ledger = ledger
        self._store = EventStore(ledger, group_commit)
        self._authenticator = authenticator
        self._secrets = secrets
        self._parser = parser
        self._limits = BodyLimits(size=max_body_bytes)
        self._unauthenticated_limits = BodyLimits(
            size=min(max_body_bytes, UNAUTHENTICATED.size), values=UNAUTHENTICATED.values
        )
        self._admission_control = admission_control
        self._parsing_threads = ParsingThreads()
        self.auth_failures = AuthFailures()
        self.refused_senders = RefusedSenders(ledger)
        self._clock_warning = ClockWarning(ledger)

    def set_authenticator(self, authenticator: Authenticator, secrets: BodySecrets) -> None:
        """Use these for all further requests."""
        self._authenticator = authenticator
        self._secrets = secrets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request, also if the relay is overloaded or stops."""
        started = time.perf_counter()
        head = build_head(scope)
        proof = self._authenticator.precheck(head)
        if isinstance(proof, AuthProblem):
            response = self._refuse(head, proof)
        else:
            response = await self._respond(head, proof, receive)
        await response.send(send)
        REQUEST_SECONDS.observe(time.perf_counter() - started)

    async def _respond(self, head: RequestHead, proof: Proof, receive: Receive) -> Response:
        is_authenticated = proof is Proof.HEAD
        try:
            with self._admission_control.permit(head.client, authenticated=is_authenticated) as permit:
                return await self._handle(head, proof, receive, permit)
        except Evicted as error:
            self.auth_failures.record(head.client, "evicted")
            return refuse_evicted(str(error))
        except Overloaded as error:
            return refuse_unavailable("overloaded", str(error))
        except LedgerUnavailable as error:
            return refuse_unavailable("ledger_unavailable", str(error))
        except asyncio.CancelledError:
            # The server stops. The event may be stored, but it is not acknowledged.
            return refuse_unavailable("stopping", "the relay stops")

    async def _handle(self, head: RequestHead, proof: Proof, receive: Receive, permit: Permit) -> Response:
        match proof:
            case Proof.HEAD:
                received = await receive_body(receive, permit, self._limits.size)
                return await self._decode_and_accept(head, received)
            case Proof.SIGNATURE:
                return await self._handle_signed(head, receive, permit)
            case Proof.BODY_TOKEN:
                return await self._handle_body_token(head, receive, permit)

    async def _handle_signed(self, head: RequestHead, receive: Receive, permit: Permit) -> Response:
        received = await receive_body(receive, permit, self._limits.size + MAX_SIGNED_EXCESS)
        if problem := await self._verify_signature(head, received.raw, permit):
            return self._refuse(head, problem, received)
        permit.authenticate()
        if message_id(head.headers):  # without an id the signature has no time
            await self._clock_warning.clear()
        return await self._decode_and_accept(head, limit_size(received, self._limits.size))

    async def _handle_body_token(self, head: RequestHead, receive: Receive, permit: Permit) -> Response:
        received = await receive_body(receive, permit, self._unauthenticated_limits.size)
        request = head.with_body(received.raw)
        decode = partial(
            decode_unauthenticated, request, received.error, self._secrets, self._unauthenticated_limits
        )
        body = await self._wait_for(self._parsing_threads.run(decode, request, authenticated=False), permit)
        if problem := self._check_body_tokens(head, body):
            return self._refuse(head, problem, received)
        permit.authenticate()
        return await self._accept(head, request, body)

    # --- authenticate ---------------------------------------------------------------------------

    async def _verify_signature(self, head: RequestHead, raw: bytes, permit: Permit) -> AuthProblem | None:
        now = self._ledger.now()
        verify = partial(self._authenticator.verify_signature, head, raw, now=now // SECOND)
        try:
            if is_small(head.with_body(raw)):
                return verify()
            # Not in the thread of other strangers: their bodies would delay it.
            return await self._wait_for(asyncio.to_thread(verify), permit)
        except StaleSignature as error:
            await self._clock_warning.add(error, now)
            return AuthProblem.STALE_SIGNATURE

    async def _wait_for(self, result: Awaitable[T], permit: Permit) -> T:
        """Wait for a thread. Raises `Evicted`, also if too many others wait."""
        try:
            with permit.until_deadline():
                return await result
        except TimeoutError as error:
            raise Evicted("too many requests without authentication") from error

    def _check_body_tokens(self, head: RequestHead, body: Body) -> AuthProblem | None:
        problem = self._authenticator.check_tokens(head, body.tokens)
        if problem is not None and body.error is not None and body.error.reason in _TOO_LARGE:
            return AuthProblem.BODY_TOO_LARGE
        return problem

    def _refuse(
        self, head: RequestHead, problem: AuthProblem, received: ReceivedBody | None = None
    ) -> Response:
        if received and received.error and received.error.status == HTTPStatus.REQUEST_TIMEOUT:
            self.auth_failures.record(head.client, "too_slow")
            return refuse_slow(received.error)
        self.refused_senders.add(head, problem)
        throttled_seconds = self.auth_failures.record(head.client, problem)
        return refuse_unauthenticated(problem, throttled_seconds=throttled_seconds)

    # --- parse and store ------------------------------------------------------------------------

    async def _decode_and_accept(self, head: RequestHead, received: ReceivedBody) -> Response:
        request = head.with_body(received.raw)
        decode = partial(decode_body, request, received.error, self._secrets, self._limits)
        body = await self._parsing_threads.run(decode, request, authenticated=True)
        return await self._accept(head, request, body)

    async def _accept(self, head: RequestHead, request: RawRequest, body: Body) -> Response:
        """Parse and store the events of an authenticated request."""
        try:
            items = await self._parse(request, body)
            envelope = self._envelope(head)
            await self._quarantine_unknown(envelope, body, items)
            events = [item.parsed for item in items if isinstance(item.parsed, CallEvent)]
            raw = (body.clean_item(item) for item in items if isinstance(item.parsed, CallEvent))
            await self._store.append(envelope, list(zip(raw, events, strict=True)))
        except InvalidPayload as error:
            error.message = self._secrets.clean_text(error.message)
            error.pointer = self._secrets.clean_text(error.pointer)
            quarantine_id = await self._quarantine_invalid(head, body, forget_frames(error))
            return refuse_payload(request, error, quarantine_id=quarantine_id)
        return acknowledge(events) if events else acknowledge_ignored(items)

    async def _parse(self, request: RawRequest, body: Body) -> list[ParsedItem]:
        if body.error:
            raise body.error
        parse = partial(self._parser.parse_items, body.value, self._with_clean_message_id(request))
        return await self._parsing_threads.run(parse, request, authenticated=True)

    def _with_clean_message_id(self, request: RawRequest) -> RawRequest:
        """Clean the id of a signed message, which is stored to recognise a redelivery."""
        if request.message_id is None:
            return request
        return msgspec.structs.replace(request, message_id=self._secrets.clean_text(request.message_id))

    def _envelope(self, head: RequestHead) -> Envelope:
        return Envelope(
            self._secrets.clean_content_type(head.content_type),
            self._secrets.clean_path(head.path),
            self._secrets.clean_query(head.query),
        )

    async def _quarantine_unknown(self, envelope: Envelope, body: Body, items: Sequence[ParsedItem]) -> None:
        for item in items:
            if isinstance(item.parsed, Ignored) and item.parsed.quarantine:
                message = self._secrets.clean_text(f"no known event: {item.parsed.type}")
                raw = body.clean_item(item)
                await self._store.quarantine(envelope, raw, _UNKNOWN_EVENT, message, "/event")

    async def _quarantine_invalid(self, head: RequestHead, body: Body, error: InvalidPayload) -> int | None:
        if not body.clean and not head.query:
            return None
        return await self._store.quarantine(
            self._envelope(head), body.clean, error.reason, error.message, error.pointer
        )
