"""`GET /recordings/{id}.wav`: the recording of a call, for whom a signed link was given.

The signature is verified before anything is read. A link needs no other token: CRMs and browsers have none.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from relay.call import is_signed
from relay.call.recording_links import EXPIRY, PATH, SIGNATURE, SUFFIX
from relay.ingest.responses import Headers, problem_response
from relay.instants import SECOND, Duration, Instant
from relay.ledger import Ledger, LedgerUnavailable, calls, recordings
from relay.ledger.connection import Connection
from relay.ledger.recordings import ArchivedRecording
from relay.logs import get_logger
from relay.recordings.failures import FetchFailed, Reason
from relay.recordings.library import Library
from relay.recordings.sources import Recording, recording_of
from relay.recordings.streaming import send_recording
from relay.recordings.while_connected import while_connected

log = get_logger("relay.recordings")

_METHODS: Final = ("GET", "HEAD")
_MAX_STREAMS: Final = 100
"""Responses of one process at the same time: each has an open file and one piece in memory."""

_DAY: Final = 86_400 * SECOND
_HOPE: Final = Duration(_DAY)
"""How long after the call a recording that CloudTalk does not have may still come."""

_RETRY_SECONDS: Final = 30
_FOR_GOOD: Final = frozenset({Reason.TOO_LARGE, Reason.FORBIDDEN_HOST, Reason.NO_SOURCE})
_MAYBE_LATER: Final = frozenset({Reason.NOT_FOUND, Reason.NOT_AUDIO, Reason.UNAUTHORISED})


_DETAILS: Final = {
    Reason.UNAVAILABLE: "CloudTalk does not answer as it should",
    Reason.UNAUTHORISED: "CloudTalk refuses access to the recording",
    Reason.FORBIDDEN_HOST: "the recording is at a host that the relay's settings do not allow",
    Reason.DISK: "the relay cannot use its cache",
    Reason.ARCHIVE: "the relay cannot read its archive",
}
"""Instead of messages that name hosts, folders or buckets: these are in the log only."""


class Found(NamedTuple):
    """What the ledger knows. `began_at`: when the call began; `recording`: None if there is none."""

    began_at: Instant
    recording: Recording | None
    archived: ArchivedRecording | None


class RecordingsEndpoint:
    """ASGI application of all paths below `/recordings/`.

    `keys`: those of the links; `link_days`: for how long a link without an expiry is valid, 0: for ever.
    """

    def __init__(self, ledger: Ledger, library: Library, keys: Sequence[bytes], link_days: float) -> None:
        self._ledger = ledger
        self._library = library
        self._keys = tuple(keys)
        self._lifetime = Duration(int(link_days * _DAY))
        self._streams = 0

    def set_keys(self, keys: Sequence[bytes]) -> None:
        """Verify links with these keys from now on."""
        self._keys = tuple(keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        request = Request(scope, receive)
        if request.method not in _METHODS:
            allowed = ", ".join(_METHODS)
            await _refuse(send, 405, "method", f"use {allowed}", ("allow", allowed))
            return
        id_ = parse_id(scope)
        if id_ is None:
            await _refuse(send, 404, "not_found", "a link to a recording ends in /recordings/ID.wav")
            return
        expiry, signature = request.query_params.get(EXPIRY), request.query_params.get(SIGNATURE, "")
        if not is_signed(self._keys, id_, expiry, signature):
            await _refuse(send, 403, "signature", "the link is not signed by this relay, or was changed")
        elif expiry is not None and int(expiry) * SECOND <= self._ledger.now():
            await _refuse(send, 403, "expired", "the link has expired")
        else:
            await self.respond(id_, request, send, is_unlimited=expiry is None)

    async def respond(self, id_: str, request: Request, send: Send, *, is_unlimited: bool = False) -> None:
        """Send the recording of this record to a client that may have it.

        `is_unlimited`: its link states no expiry; then the age of the call counts.
        """
        try:
            found = await self._ledger.read(lambda connection: find_recording(connection, id_))
        except LedgerUnavailable:
            await _refuse(send, 503, "unavailable", "the ledger is unavailable", ("retry-after", "5"))
            return
        if found is None:
            await _refuse(send, 404, "not_found", "there is no such call, or it was removed")
        elif is_unlimited and self._lifetime and found.began_at + self._lifetime <= self._ledger.now():
            await _refuse(send, 403, "expired", "the link has expired")
        elif found.recording is None:
            await _refuse(send, 404, "not_found", "the call has no recording")
        elif self._streams >= _MAX_STREAMS:
            await _refuse(send, 503, "busy", "too many recordings are played", ("retry-after", "5"))
        else:
            await self._stream(found, found.recording, request, send)

    async def _stream(self, found: Found, recording: Recording, request: Request, send: Send) -> None:
        started = False

        async def note_start(message: dict[str, object]) -> None:
            nonlocal started
            started = True
            await send(message)

        self._streams += 1
        try:
            await while_connected(
                request.receive,
                self._play(found, recording, request, note_start),  # type: ignore[arg-type]
            )
        except FetchFailed as error:
            if error.reason is Reason.ARCHIVE:
                log.warning("recording.archive_unreadable", call=recording.id, error=str(error))
            if not started:
                await self._refuse_failed(error, found.began_at, send)
                return
            # The connection is closed before the stated length, so that the client notices.
            log.warning("recording.interrupted", call=recording.id, message=str(error))
        finally:
            self._streams -= 1

    async def _play(self, found: Found, recording: Recording, request: Request, send: Send) -> None:
        opened = await self._library.open(recording, found.archived)
        try:
            await send_recording(opened, request.method, request.headers, send)
        finally:
            await opened.close()

    async def _refuse_failed(self, failure: FetchFailed, began_at: Instant, send: Send) -> None:
        reason = failure.reason
        detail = _DETAILS.get(reason, str(failure))
        may_come = self._ledger.now() - began_at < _HOPE
        if reason is Reason.GONE:
            await _refuse(send, HTTPStatus.GONE, reason, detail)
        elif reason in _FOR_GOOD or (reason in _MAYBE_LATER and not may_come):
            await _refuse(send, HTTPStatus.NOT_FOUND, reason, detail)
        else:
            seconds = max(1, round(failure.retry_after or _RETRY_SECONDS))
            await _refuse(send, 503, reason, detail, ("retry-after", str(seconds)))


def parse_id(scope: Scope) -> str | None:
    """Return the id of the record in the path; None if the path is no link to a recording.

    The path is read as it was sent: an id may contain an encoded slash.
    """
    raw = scope.get("raw_path") or scope["path"].encode()
    _, found, name = raw.partition(PATH.encode())
    if not found or b"/" in name or not name.endswith(SUFFIX.encode()) or name == SUFFIX.encode():
        return None
    try:
        return unquote_to_bytes(name.removesuffix(SUFFIX.encode())).decode()
    except UnicodeDecodeError:
        return None


def find_recording(connection: Connection, id_: str) -> Found | None:
    """Return the recording of the call with this id, or of the call that it was merged into.

    An archived recording may outlive the call in the ledger.
    """
    archived = recordings.get_archived(connection, id_)
    row = calls.get_many(connection, [id_]).get(id_)
    while row is not None and row.record.merged_into:
        survivor = row.record.merged_into
        row = calls.get_many(connection, [survivor]).get(survivor)
    if row is None:
        return None if archived is None else Found(archived.archived_at, Recording(id_, None, None), archived)
    if row.id != id_:
        archived = recordings.get_archived(connection, row.id) or archived
    return Found(row.began_at, recording_of(row.record), archived)


async def _refuse(send: Send, status: int, reason: str, detail: str, *headers: tuple[str, str]) -> None:
    given: Headers = headers
    await problem_response(status, detail, reason=reason, headers=given).send(send)
