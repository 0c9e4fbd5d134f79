"""How the importer of CloudTalk's history makes an event of a row.

The journal stores a row like any other event: with the path `HISTORY_PATH`, the content type `CONTENT_TYPE`,
no query, and the row as the body. So `relay rebuild` parses it again, see `history_row`.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from relay.call import CallEvent
from relay.cloudtalk.dialects import HISTORY_PATH
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.history_row import ALONE, NAMED, UUID
from relay.cloudtalk.parser import Parser
from relay.cloudtalk.request import RawRequest

CONTENT_TYPE: Final = "application/json"


class HistoryRow(NamedTuple):
    """A row as the journal stores it: the body, and the event that it was parsed to."""

    raw: bytes
    event: CallEvent


def history_request(
    row: Mapping[str, Any], *, uuid: str | None = None, alone: bool = False, named: str | None = None
) -> RawRequest:
    """Return the request that the journal pretends a row came with, see `parse_history_row`."""
    added = {key: value for key, value in ((UUID, uuid), (ALONE, alone), (NAMED, named)) if value}
    return RawRequest(msgspec.json.encode({**row, **added}), CONTENT_TYPE, HISTORY_PATH)


def parse_history_row(
    parser: Parser,
    row: Mapping[str, Any],
    *,
    uuid: str | None = None,
    alone: bool = False,
    named: str | None = None,
) -> HistoryRow:
    """Parse a row of `GET /calls/index.json`: `{"Cdr": {…}, …}`.

    `uuid`: the call_uuid, if the analytics API stated it. `alone`: several calls fit the row and the
    analytics API did not say which one it is, so only ids link it. `named`: the number by which webhooks name
    the call, which is no call_id. Raises `InvalidPayload` for a row without an id.
    """
    request = history_request(row, uuid=uuid, alone=alone, named=named)
    events = parser.parse(request)
    if not isinstance(events, list) or len(events) != 1:
        raise InvalidPayload("missing_id", "expected one row with the id of a call")
    return HistoryRow(request.raw, events[0])
