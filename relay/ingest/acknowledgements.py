"""The responses to requests that are accepted."""

from collections.abc import Sequence
from typing import Any

from relay.call import CallEvent
from relay.cloudtalk.parser import EMPTY, Ignored, ParsedItem
from relay.ingest.refusals import ACCEPTED
from relay.ingest.responses import Response, json_response
from relay.logs import get_logger
from relay.measurements import REQUESTS_IGNORED

log = get_logger("relay.ingest")


def acknowledge(events: Sequence[CallEvent]) -> Response:
    """Build the response to a request whose events are stored."""
    ids = [f"cloudtalk-{event.name}" for event in events]
    named: dict[str, Any] = {"id": ids[0]} if len(ids) == 1 else {"ids": ids}
    return json_response({"success": True, "message": ACCEPTED, **named})


def acknowledge_ignored(items: Sequence[ParsedItem]) -> Response:
    """Log that the request has no event, and build the response."""
    ignored = [item.parsed for item in items if isinstance(item.parsed, Ignored)] or [EMPTY]
    REQUESTS_IGNORED.add()
    log.info("ingest.ignored", type=ignored[0].type, kept=any(body.quarantine for body in ignored))
    return json_response({"success": True, "message": ACCEPTED, "ignored": True})
