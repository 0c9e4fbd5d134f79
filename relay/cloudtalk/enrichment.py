"""Parse what the relay asked CloudTalk about one call: analytics, and the texts of Conversation Intelligence.

The journal stores an answer like any other event, with a path that names what was asked and the body
`{"call_id": "…", "answer": {…}}`. So `relay rebuild` parses it again. The path of an HTTP request begins with
"/", so no sender of a webhook can give a call such an event. None of these events states an outcome.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from relay.call import CallEvent, Kind
from relay.cloudtalk.ai_texts import smart_notes_text, summary_text, transcript_text
from relay.cloudtalk.analytics import parse_analytics, parse_uuid
from relay.cloudtalk.dialects import ENRICHMENT_PATH, Dialect
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.identity import build_identity
from relay.cloudtalk.request import RawRequest
from relay.cloudtalk.text_limits import limit_texts

CONTENT_TYPE: Final = "application/json"
_MAX_DIGITS: Final = 19


class ResponseKind(StrEnum):
    """What CloudTalk is asked about a call."""

    ANALYTICS = "analytics"
    SUMMARY = "summary"
    TRANSCRIPT = "transcript"
    SMART_NOTES = "smart-notes"


_KINDS: Final = {
    ResponseKind.ANALYTICS: Kind.UPDATE,
    ResponseKind.SUMMARY: Kind.SUMMARY,
    ResponseKind.TRANSCRIPT: Kind.TRANSCRIPT,
    ResponseKind.SMART_NOTES: Kind.UPDATE,
}


class EnrichmentBody(NamedTuple):
    """An answer as the journal stores it."""

    path: str
    raw: bytes

    @property
    def request(self) -> RawRequest:
        """The request that the journal pretends the answer came with."""
        return RawRequest(self.raw, CONTENT_TYPE, self.path)


def build_body(answer: ResponseKind, call_id: str, content: Mapping[str, Any]) -> EnrichmentBody:
    """Build what the journal stores. `content`: the answer, or `{"segments": …}` of a whole transcription.

    Raises `InvalidPayload` for a number that no JSON decoder reads.
    """
    try:
        body = msgspec.json.encode({"call_id": call_id, "answer": content})
    except (OverflowError, RecursionError) as error:
        raise InvalidPayload("not_storable", f"the answer cannot be stored: {error}") from error
    return EnrichmentBody(f"{ENRICHMENT_PATH}{answer}", body)


def parse_enrichment(dialect: Dialect, body: Mapping[str, Any], path: str, pointer: str = "") -> CallEvent:
    """Parse the answer at `pointer`. Raises `InvalidPayload` for what is none, or is about no call."""
    call_id, content = body.get("call_id"), body.get("answer")
    if not isinstance(call_id, str) or not _is_call_id(call_id):
        raise InvalidPayload("missing_id", "expected one row with the id of a call", f"{pointer}/call_id")
    if not isinstance(content, dict):
        raise InvalidPayload("not_an_event", "answer: expected an object", f"{pointer}/answer")
    try:
        answer = ResponseKind(path.removeprefix(ENRICHMENT_PATH))
    except ValueError as error:
        raise InvalidPayload(
            "not_an_event", f"{path} is no answer that the relay asks for", pointer
        ) from error
    uuid = parse_uuid(content) if answer is ResponseKind.ANALYTICS else None
    identity = build_identity(call_id, uuid, None)
    facts = {fact: value for fact, value in _facts(answer, content).items() if value}
    warnings = limit_texts(facts)
    ids = {"call_id": identity.call_id, "call_uuid": identity.call_uuid}
    facts |= {fact: id_ for fact, id_ in ids.items() if id_ is not None}
    return CallEvent(
        _KINDS[answer],
        dialect.name,
        identity.call_uuid or identity.call_id or "",
        identity.aliases,
        None,
        facts,
        _data(answer, content),
        warnings=tuple(warnings),
        source_rank=dialect.source_rank,
    )


def _facts(answer: ResponseKind, content: Mapping[str, Any]) -> dict[str, Any]:
    match answer:
        case ResponseKind.ANALYTICS:
            return parse_analytics(content)
        case ResponseKind.SUMMARY:
            return {"summary": summary_text(content)}
        case ResponseKind.TRANSCRIPT:
            return {"transcript": transcript_text(content.get("segments"))}
        case ResponseKind.SMART_NOTES:
            return {"smart_notes": smart_notes_text(content)}


def _data(answer: ResponseKind, content: Mapping[str, Any]) -> dict[str, Any]:
    """What the call keeps of the answer as CloudTalk sent it. A text that is a fact is not kept twice."""
    if answer in {ResponseKind.ANALYTICS, ResponseKind.SMART_NOTES}:
        return {answer.replace("-", "_"): dict(content)}
    return {}


def _is_call_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS and text.strip("0") != ""
