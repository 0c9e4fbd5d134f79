"""The hook: authenticate, bound, read, write down, answer. It talks to no CRM and folds nothing.

A plain ASGI application, since Request and Response objects would cost more than the rest of the way.
"""

import asyncio
from http import HTTPStatus
from typing import Any, Final

import msgspec
from starlette.types import Receive, Scope, Send

from relay.call import CallEvent
from relay.cloudtalk.authentication import Authenticator, RequestHead
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.parser import Ignored, ParsedItem, Parser, RawRequest, parse_body
from relay.cloudtalk.secrets import BodySecrets
from relay.ingest import responses
from relay.ingest.limits import AdmissionControl, Overloaded, Permit
from relay.ingest.responses import Response
from relay.instants import SECOND, iso
from relay.ledger import Ledger, LedgerUnavailable, quarantine, warnings
from relay.ledger.group_commit import EventNotStorable, GroupCommit
from relay.ledger.journal import NewEvent
from relay.ledger.quarantine import NewQuarantinedBody
from relay.ledger.warnings import CLOCK_OFF
from relay.logs import get_logger
from relay.standards.webhooks import StaleSignature, message_id

log = get_logger("relay.ingest")

METHODS: Final = ("GET", "PATCH", "POST", "PUT")
ACCEPTED: Final = "Webhook procesado correctamente"
"""What the system before this one answered; customers' automations look for it."""

_KEPT_OF_OVERSIZE: Final = 4096
_DRAINED: Final = 8 * 1024 * 1024
"""A sender that is still writing would not read the refusal: so much more is read and dropped."""

_BODY_SECONDS: Final = 30
"""How long a sender may take over its body: a slow one holds a permit that others need."""

_RETRY_AFTER: Final = (("Retry-After", "5"),)
_ALLOW: Final = (("Allow", ", ".join(METHODS)),)


class _Cut(InvalidPayload):
    """The body did not come whole; `raw` is what there is of it."""

    def __init__(self, raw: bytes, reason: str, message: str, status: int) -> None:
        super().__init__(reason, message, status=status)
        self.raw = raw


class _Request(msgspec.Struct, frozen=True):
    method: str
    path: str
    head: RequestHead

    @property
    def content_type(self) -> str:
        return self.head.headers.get("content-type", "")

    def received(self, raw: bytes) -> RawRequest:
        """The request as the reader takes it."""
        headers = self.head.headers
        return RawRequest(
            raw,
            content_type=self.content_type,
            path=self.path,
            query=self.head.query,
            encoding=headers.get("content-encoding", ""),
            message_id=message_id(headers),
        )


class _Body(msgspec.Struct, frozen=True):
    """A body, and what is in it; `refused` where it cannot be read. `kept` is without secrets."""

    raw: bytes
    kept: bytes
    value: Any = None
    tokens: list[str] = []
    refused: InvalidPayload | None = None


class WebhookEndpoint:
    """The endpoint that CloudTalk speaks to."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        journal: GroupCommit,
        authenticator: Authenticator,
        secrets: BodySecrets,
        reader: Parser,
        max_body_bytes: int,
        admission_control: AdmissionControl,
    ) -> None:
        self._ledger = ledger
        self._journal = journal
        self._authenticator = authenticator
        self._secrets = secrets
        self._reader = reader
        self._max_body_bytes = max_body_bytes
        self._admission_control = admission_control
        # An earlier process may have left a note; the first message that is in time takes it back.
        self._clock_in_doubt = True

    def set_authenticator(self, authenticator: Authenticator, secrets: BodySecrets) -> None:
        """Whom to let in from now on, and which secrets never to keep."""
        self._authenticator = authenticator
        self._secrets = secrets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever becomes of it."""
        request = _request(scope)
        try:
            with self._admission_control.admit(
                authenticated=self._authenticator.is_authenticated(request.head)
            ) as permit:
                answer = await self._answer(request, receive, permit)
        except Overloaded as error:
            answer = _unavailable(str(error), "overloaded")
        except LedgerUnavailable as error:
            answer = _unavailable(str(error), "ledger_unavailable")
        except asyncio.CancelledError:
            # The server stops and waits no longer: whatever became of the event, it is not acknowledged.
            answer = _unavailable("the relay stops", "stopping")
        await answer.send(send)

    async def _answer(self, request: _Request, receive: Receive, permit: Permit) -> Response:
        if problem := self._authenticator.precheck(request.head):
            return _closed(problem, request)
        body = await self._read(request, receive, permit)
        if problem := await self._problem(request, body):
            return _closed(problem, request)
        try:
            return await self._take(request, body)
        except InvalidPayload as refused:
            return await self._keep(request, body.kept, refused)

    async def _problem(self, request: _Request, body: _Body) -> str | None:
        now = self._ledger.now()
        try:
            problem = self._authenticator.authenticate(request.head, body.raw, body.tokens, now=now // SECOND)
        except StaleSignature as stale:
            seen = f"{stale} (server time {iso(now)})"
            log.warning("ingest.clock_off", seconds=stale.seconds)
        else:
            if problem is None and self._clock_in_doubt and message_id(request.head.headers):
                await self._ledger.write(lambda connection: warnings.clear(connection, CLOCK_OFF))
                self._clock_in_doubt = False
            return problem
        await self._ledger.write(lambda connection: warnings.record(connection, CLOCK_OFF, now, seen))
        self._clock_in_doubt = True
        return "stale_signature"

    # --- taking ---------------------------------------------------------------------------------

    async def _take(self, request: _Request, body: _Body) -> Response:
        if body.refused:
            raise body.refused
        parts = self._reader.parts(body.value, request.received(body.raw))
        events = [part for part in parts if isinstance(part.reading, CallEvent)]
        await self._keep_unknown(request, body, parts)
        if not events:
            return self._ignore(parts)
        readings = [part.reading for part in events if isinstance(part.reading, CallEvent)]
        try:
            numbers = await self._journal.append([self._row(request, body, part) for part in events])
        except EventNotStorable as error:
            raise InvalidPayload("unstorable", str(error)) from error
        for seq, reading in zip(numbers, readings, strict=True):
            _announce(seq, reading)
        return _accepted(readings)

    def _row(self, request: _Request, body: _Body, part: ParsedItem) -> NewEvent:
        assert isinstance(part.reading, CallEvent)  # noqa: S101 - narrows the type
        return NewEvent(
            received_at=self._journal.next_received_at(),
            content_type=request.content_type,
            path=request.path,
            query=self._secrets.cut_query(request.head.query),
            raw=_kept(body, part),
            parsed=part.reading,
        )

    async def _keep_unknown(self, request: _Request, body: _Body, parts: list[ParsedItem]) -> None:
        """What looks like a call and is no event that is known, a person should be able to find."""
        for part in parts:
            if isinstance(part.reading, Ignored) and part.reading.quarantine_unknown:
                message = f"no known event: {part.reading.type}"
                await self._quarantine(request, _kept(body, part), "unknown_event", message, "/event")

    @staticmethod
    def _ignore(parts: list[ParsedItem]) -> Response:
        ignored = [part.reading for part in parts if isinstance(part.reading, Ignored)]
        type_ = ignored[0].type if ignored else "empty"
        log.info("ingest.ignored", type=type_, kept=any(reading.quarantine_unknown for reading in ignored))
        return responses.json({"success": True, "message": ACCEPTED, "ignored": True})

    # --- refusing -------------------------------------------------------------------------------

    async def _keep(self, request: _Request, raw: bytes, refused: InvalidPayload) -> Response:
        number = await self._quarantine(request, raw, refused.reason, refused.message, refused.pointer)
        log.warning(
            "ingest.refused",
            status=refused.status,
            reason=refused.reason,
            pointer=refused.pointer,
            quarantine_id=number,
        )
        received = request.received(raw)
        if refused.always_ack or received.message_id is not None or received.is_of_flow:
            # Its sender would disable the endpoint, or break the live call: it is kept, and that is all.
            return responses.json(
                {"success": True, "message": ACCEPTED, "quarantined": True, "quarantine_id": number}
            )
        return responses.problem(
            refused.status,
            refused.message,
            reason=refused.reason,
            pointer=refused.pointer if refused.status == HTTPStatus.UNPROCESSABLE_ENTITY else None,
            quarantine_id=number,
            headers=_ALLOW if refused.status == HTTPStatus.METHOD_NOT_ALLOWED else (),
        )

    async def _quarantine(
        self, request: _Request, raw: bytes, reason: str, message: str, pointer: str
    ) -> int:
        row = NewQuarantinedBody(
            received_at=self._journal.next_received_at(),
            reason=reason,
            message=message,
            pointer=pointer,
            content_type=request.content_type,
            path=request.path,
            query=self._secrets.cut_query(request.head.query),
            raw=raw,
        )
        return await self._ledger.write(lambda connection: quarantine.add(connection, row))

    # --- reading the request --------------------------------------------------------------------

    async def _read(self, request: _Request, receive: Receive, permit: Permit) -> _Body:
        raw = b""
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                raw = await self._bytes(receive, permit)
            _check_envelope(request)
            value = parse_body(request.received(raw), self._max_body_bytes)
        except TimeoutError:
            late = f"the body was not complete within {_BODY_SECONDS} s"
            return _Body(raw, b"", refused=InvalidPayload("timeout", late, status=408))
        except InvalidPayload as refused:
            kept = refused.raw if isinstance(refused, _Cut) else raw
            return _Body(raw, self._secrets.cut_raw(kept), refused=refused)
        # Only plain JSON shows by its bytes whether it can hold a secret: a form, a query and what is
        # packed are always looked into.
        packed = "content-encoding" in request.head.headers
        plain = not packed and raw.lstrip()[:1] in {b"{", b"["}
        if plain and not self._secrets.may_hold(raw):
            return _Body(raw, raw, value)
        cleaned, tokens = self._secrets.cut(value)
        # What held secrets, or was packed, is kept as what it says; a query is cut by itself.
        unchanged = cleaned == value and not self._secrets.holds_token(raw)
        as_it_came = not raw or (not packed and unchanged)
        return _Body(raw, raw if as_it_came else msgspec.json.encode(cleaned), cleaned, tokens)

    async def _bytes(self, receive: Receive, permit: Permit) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                raw = b"".join(chunks)
                raise _Cut(raw, "disconnected", "the connection was closed in the middle of the body", 400)
            chunk = event.get("body", b"")
            size += len(chunk)
            if size <= self._max_body_bytes or not chunks:
                permit.hold(len(chunk))
                chunks.append(chunk)
            if not event.get("more_body", False) or size > self._max_body_bytes + _DRAINED:
                break
        raw = b"".join(chunks)
        if size > self._max_body_bytes:
            message = f"the body is larger than {self._max_body_bytes} bytes"
            raise _Cut(raw[:_KEPT_OF_OVERSIZE], "oversize", message, 413)
        return raw


def _request(scope: Scope) -> _Request:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    client = scope["client"][0] if scope.get("client") else None
    head = RequestHead(headers, scope["query_string"].decode("latin-1"), client)
    return _Request(scope["method"], scope["path"], head)


def _check_envelope(request: _Request) -> None:
    if request.method not in METHODS:
        raise InvalidPayload("method", f"{request.method} is not taken here", status=405)
    declared = request.content_type.partition(";")[0].strip().lower()
    readable = (
        not declared
        or declared.startswith("text/")
        or declared.endswith(("/json", "+json", "/x-www-form-urlencoded"))
    )
    if not readable:
        raise InvalidPayload("content_type", f"{declared} is none of JSON, form or text", status=415)


def _kept(body: _Body, part: ParsedItem) -> bytes:
    """The part of the body that an event is; of an array the whole would be kept once for each."""
    return body.kept if part.whole else msgspec.json.encode(part.value)


def _announce(seq: int, reading: CallEvent) -> None:
    if reading.warnings:
        log.warning("ingest.unclear", event_seq=seq, warnings=list(reading.warnings))
    log.info(
        f"CloudTalk Webhook Event: call.{reading.kind}",  # noqa: G004 - the name that users look for
        event_seq=seq,
        call_id=reading.facts.get("call_id"),
        call_uuid=reading.facts.get("call_uuid"),
        dialect=reading.dialect,
        kind=reading.kind,
    )


def _accepted(events: list[CallEvent]) -> Response:
    ids = [f"cloudtalk-{event.name}" for event in events]
    named: dict[str, Any] = {"id": ids[0]} if len(ids) == 1 else {"ids": ids}
    return responses.json({"success": True, "message": ACCEPTED, **named})


def _closed(problem: str, request: _Request) -> Response:
    log.warning("ingest.unauthorised", reason=problem, client=request.head.client)
    return responses.problem(
        401,
        _CLOSED[problem],
        reason="unauthorised",
        headers=(("WWW-Authenticate", 'Bearer realm="cloudtalk"'),),
    )


_NO_TOKENS: Final = "without cloudtalk.tokens in the settings only this machine may speak to the relay"
_CLOSED: Final = {
    "no_token": "a token is missing: Authorization: Bearer, the Basic password, X-Webhook-Token or ?token=",
    "no_signature": "a signature is missing (svix-id, svix-timestamp, svix-signature)",
    "wrong_signature": "the signature is none that cloudtalk.signing_secrets make",
    "stale_signature": "the signature's time is off by more than 300 s: one of the two clocks is wrong",
    "wrong_token": "the token is none of those in the relay's settings (cloudtalk.tokens)",
    "forwarded": f"{_NO_TOKENS}, and this request was forwarded",
    "not_local": _NO_TOKENS,
    "foreign_host": f"{_NO_TOKENS}, and this request names another host",
}


def _unavailable(detail: str, reason: str) -> Response:
    log.error("ingest.unavailable", reason=reason, error=detail)
    return responses.problem(
        503, "the relay cannot take this event just now; send it again", reason=reason, headers=_RETRY_AFTER
    )
