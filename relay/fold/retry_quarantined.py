"""Retry quarantined bodies and events that were set aside, after an upgrade or a change of settings."""

import msgspec

from relay.cloudtalk.decoding import parse_body
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.parser import Ignored, ParsedItem, Parser
from relay.fold.parse_again import parse_again, stored_request
from relay.instants import Instant
from relay.ledger import journal, quarantine
from relay.ledger.connection import Connection
from relay.ledger.journal import NewEvent, StoredEvent
from relay.ledger.quarantine import QuarantinedBody


class RetriedBody(msgspec.Struct, frozen=True):
    """`id`: as in `relay quarantine list`. `events`: how many it gave; if 0, `problem` is why it stays."""

    id: int | str
    events: int
    problem: str | None = None


def retry_body(connection: Connection, parser: Parser, body: QuarantinedBody) -> RetriedBody:
    """Parse a quarantined body; if that gives events, append them to the journal and drop the body."""
    if body.reason == quarantine.CONFLICTING_IDS:
        return RetriedBody(body.id, 0, f"{body.message}; correct the workflow, then drop this body")
    request = stored_request(body)
    try:
        items = parser.parse_items(parse_body(request), request)
    except InvalidPayload as error:
        return RetriedBody(body.id, 0, f"{error.pointer} {error.message}".strip())
    event_rows = [row for index, item in enumerate(items) if (row := _event_row(body, item, index))]
    if not event_rows:
        return RetriedBody(body.id, 0, "the body has no call event that the relay knows")
    journal.append(connection, event_rows)
    quarantine.remove(connection, body.id)
    return RetriedBody(body.id, len(event_rows))


def retry_event(connection: Connection, parser: Parser, event: StoredEvent) -> RetriedBody:
    """Parse an event that was set aside again, and let the fold try it again."""
    parsed = parse_again(parser, event)
    if parsed is not None and parsed != event.parsed:
        journal.replace_parsed(connection, event.seq, parsed)
    journal.requeue_aside(connection, event.seq)
    return RetriedBody(event.name, 1)


def _event_row(body: QuarantinedBody, item: ParsedItem, index: int) -> NewEvent | None:
    if isinstance(item.parsed, Ignored):
        return None
    # The journal needs a different `received_at` for each event of a body.
    received_at = Instant(body.received_at + index)
    raw = body.raw if item.whole else msgspec.json.encode(item.value)
    return NewEvent(received_at, body.content_type, body.path, body.query, raw, item.parsed)
