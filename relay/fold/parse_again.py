"""Parse stored bodies again, after an upgrade or a change of settings."""

from relay.call import CallEvent
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.parser import Parser
from relay.cloudtalk.request import RawRequest
from relay.ledger.journal import StoredEvent
from relay.ledger.quarantine import QuarantinedBody


def stored_request(stored: QuarantinedBody | StoredEvent, *, message_id: str | None = None) -> RawRequest:
    """Build the request that a stored body came with, as far as it was stored."""
    return RawRequest(
        stored.raw,
        content_type=stored.content_type,
        path=stored.path,
        query=stored.query,
        message_id=message_id,
    )


def parse_again(parser: Parser, event: StoredEvent) -> CallEvent | None:
    """Parse the raw body of an event; None if the parser does not accept it any more."""
    try:
        events = parser.parse(stored_request(event, message_id=_message_id(event.parsed)))
    except InvalidPayload:
        return None
    return events[0] if isinstance(events, list) and len(events) == 1 else None


def _message_id(event: CallEvent) -> str | None:
    """The id in the message's headers, from its keys: the journal has no headers, and the parser knows a
    signed message by this id.
    """
    ids = (key.removeprefix("msg:") for key in event.message_ids if key.startswith("msg:"))
    return next(ids, None)
