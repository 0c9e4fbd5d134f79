"""The webhook's endpoint: read → authenticate → parse → store → respond, in this order in this file.

It is a plain ASGI application, since the Request and Response objects of a framework would cost more than
everything else here.
"""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeVar

import msgspec
from starlette.types import Receive, Scope, Send

from relay.call import CallEvent
from relay.cloudtalk.authentication import Authenticator, AuthProblem, Proof
from relay.cloudtalk.body_secrets import BodySecrets
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.parser import EMPTY, Ignored, ParsedItem, Parser
from relay.cloudtalk.request import BodyLimits, RawRequest, RequestHead
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
    ACCEPTED,
    refuse_evicted,
    refuse_payload,
    refuse_slow,
    refuse_unauthenticated,
    refuse_unavailable,
)
from relay.ingest.responses import Response, json_response
from relay.instants import SECOND
from relay.ledger import Ledger, LedgerUnavailable, quarantine
from relay.ledger.errors import EventNotStorable
from relay.ledger.group_commit import GroupCommit
from relay.ledger.journal import NewEvent
from relay.ledger.quarantine import NewQuarantinedBody
from relay.logs import get_logger
from relay.measurements import EVENTS, LAST_EVENT, REQUEST_SECONDS, REQUESTS_IGNORED
from relay.standards.webhooks import StaleSignature, message_id

T = TypeVar("T")

log = get_logger("relay.ingest")

_TOO_LARGE: Final = ("oversize", "too_many_values")
_LOGGED_AT_ONCE: Final = 50

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
        self._group_commit = group_commit
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
            case Proof.BODY_TOKEN:
                return await self._handle_body_token(head, receive, permit)
            case Proof.SIGNATURE:
                received = await receive_body(receive, permit, self._limits.size + MAX_SIGNED_EXCESS)
                if problem := await self._verify_signature(head, received.raw, permit):
                    return self._refuse(head, problem, received)
                permit.authenticate()
                if message_id(head.headers):  # without an id the signature has no time
                    await self._clock_warning.clear()
                received = limit_size(received, self._limits.size)
            case Proof.HEAD:
                received = await receive_body(receive, permit, self._limits.size)
        request = head.with_body(received.raw)
        decode = partial(decode_body, request, received.error, self._secrets, self._limits)
        body = await self._parsing_threads.run(decode, request, authenticated=True)
        return await self._accept(head, request, body)

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

    async def _accept(self, head: RequestHead, request: RawRequest, body: Body) -> Response:
        """Parse and store the events of an authenticated request."""
        try:
            items = await self._parse(request, body)
            await self._quarantine_unknown(head, body, items)
            events = await self._store(head, body, items)
        except InvalidPayload as error:
            error.message = self._secrets.clean_text(error.message)
            error.pointer = self._secrets.clean_text(error.pointer)
            quarantine_id = await self._quarantine_invalid(head, body, forget_frames(error))
            return refuse_payload(request, error, quarantine_id=quarantine_id)
        return _acknowledge(events) if events else _acknowledge_ignored(items)

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
        throttled_seconds = self.auth_failures.record(head.client, problem)
        return refuse_unauthenticated(problem, throttled_seconds=throttled_seconds)

    # --- parse ----------------------------------------------------------------------------------

    async def _parse(self, request: RawRequest, body: Body) -> list[ParsedItem]:
        if body.error:
            raise body.error
        parse = partial(self._parser.parse_items, body.value, self._without_secrets(request))
        return await self._parsing_threads.run(parse, request, authenticated=True)

    def _without_secrets(self, request: RawRequest) -> RawRequest:
        """Clean the id of a signed message, which is stored to recognise a redelivery."""
        if request.message_id is None:
            return request
        return msgspec.structs.replace(request, message_id=self._secrets.clean_text(request.message_id))

    # --- store ----------------------------------------------------------------------------------

    async def _store(self, head: RequestHead, body: Body, items: Sequence[ParsedItem]) -> list[CallEvent]:
        """Return the events once all of them are on disk. Raises `InvalidPayload`, `LedgerUnavailable`."""
        new_events = [
            self._new_event(head, body.clean_item(item), item.parsed)
            for item in items
            if isinstance(item.parsed, CallEvent)
        ]
        if not new_events:
            return []
        try:
            seqs = await self._group_commit.append(new_events)
        except EventNotStorable as error:
            raise InvalidPayload("unstorable", str(error)) from error
        events = [new_event.parsed for new_event in new_events]
        for index, (seq, event) in enumerate(zip(seqs, events, strict=True), start=1):
            _log_accepted(seq, event)
            EVENTS.add((event.dialect, event.kind))
            if index % _LOGGED_AT_ONCE == 0:
                await asyncio.sleep(0)  # so that a large array does not delay other requests
        LAST_EVENT.set(new_events[-1].received_at / SECOND)
        return events

    def _new_event(self, head: RequestHead, raw: bytes, event: CallEvent) -> NewEvent:
        return NewEvent(
            received_at=self._group_commit.next_received_at(),
            content_type=self._secrets.clean_content_type(head.content_type),
            path=self._secrets.clean_path(head.path),
            query=self._secrets.clean_query(head.query),
            raw=raw,
            parsed=event,
        )

    async def _quarantine_unknown(self, head: RequestHead, body: Body, items: Sequence[ParsedItem]) -> None:
        for item in items:
            if isinstance(item.parsed, Ignored) and item.parsed.quarantine:
                message = self._secrets.clean_text(f"no known event: {item.parsed.type}")
                await self._quarantine(head, body.clean_item(item), _UNKNOWN_EVENT, message, "/event")

    async def _quarantine_invalid(self, head: RequestHead, body: Body, error: InvalidPayload) -> int | None:
        if not body.clean and not head.query:
            return None
        return await self._quarantine(head, body.clean, error.reason, error.message, error.pointer)

    async def _quarantine(
        self, head: RequestHead, raw: bytes, reason: str, message: str, pointer: str
    ) -> int:
        """Store a body for a person to look at, and return its id in quarantine."""
        row = NewQuarantinedBody(
            received_at=self._group_commit.next_received_at(),
            reason=reason,
            message=message,
            pointer=pointer,
            content_type=self._secrets.clean_content_type(head.content_type),
            path=self._secrets.clean_path(head.path),
            query=self._secrets.clean_query(head.query),
            raw=raw,
        )
        return await self._ledger.write(lambda connection: quarantine.add(connection, row))


def build_head(scope: Scope) -> RequestHead:
    """Return what authenticates a request, apart from its body."""
    return RequestHead(
        headers=_decode_headers(scope["headers"]),
        query=scope["query_string"].decode("latin-1"),
        client=scope["client"][0] if scope.get("client") else None,
        method=scope["method"],
        path=scope["path"],
        http_version=scope["http_version"],
    )


def _decode_headers(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Join the different values of a repeated header by commas: each of them counts, as in RFC 9110."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        if key in headers and headers[key] != text:
            text = f"{headers[key]}, {text}"
        headers[key] = text
    return headers


def _log_accepted(seq: int, event: CallEvent) -> None:
    if event.warnings or event.missing:
        log.warning("ingest.unclear", event_seq=seq, warnings=_describe_unclear(event))
    kind = event.kind.value
    log.info(
        f"CloudTalk Webhook Event: call.{kind}",  # noqa: G004 - the name that users look for
        event_seq=seq,
        call_id=event.facts.get("call_id"),
        call_uuid=event.facts.get("call_uuid"),
        dialect=event.dialect,
        kind=kind,
    )


def _describe_unclear(event: CallEvent) -> list[str]:
    if event.missing is None:
        return list(event.warnings)
    return [*event.warnings, f"{event.missing}: missing or empty, so a missed call would look completed"]


# --- respond ------------------------------------------------------------------------------------


def _acknowledge(events: Sequence[CallEvent]) -> Response:
    ids = [f"cloudtalk-{event.name}" for event in events]
    named: dict[str, Any] = {"id": ids[0]} if len(ids) == 1 else {"ids": ids}
    return json_response({"success": True, "message": ACCEPTED, **named})


def _acknowledge_ignored(items: Sequence[ParsedItem]) -> Response:
    ignored = [item.parsed for item in items if isinstance(item.parsed, Ignored)] or [EMPTY]
    REQUESTS_IGNORED.add()
    log.info("ingest.ignored", type=ignored[0].type, kept=any(body.quarantine for body in ignored))
    return json_response({"success": True, "message": ACCEPTED, "ignored": True})
