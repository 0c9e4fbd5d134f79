"""Rows of CloudTalk's history, as `GET /calls/index.json` returns them."""

from typing import Any

from relay.call import CallEvent
from relay.cloudtalk.history import parse_history_row
from tests.support.folding import parser_in


def make_row(id: object = "484371839", **cdr: Any) -> dict[str, Any]:  # noqa: A002 - CloudTalk's own name
    """A row of an answered call of 36 seconds; `cdr` replaces values of `Cdr`, other objects by their names
    (`Agent`, `Contact`, `Notes`, `Tags`).
    """
    row: dict[str, Any] = {
        "Cdr": {
            "id": id,
            "billsec": "36",
            "type": "incoming",
            "public_external": "+30224000000",
            "public_internal": "+30211000000",
            "recorded": False,
            "is_voicemail": False,
            "is_redirected": "0",
            "redirected_from": "",
            "transferred_from": None,
            "user_id": "298523",
            "talking_time": "27",
            "started_at": "2024-01-10T09:42:11+01:00",
            "answered_at": "2024-01-10T09:42:20+01:00",
            "ended_at": "2024-01-10T09:42:47+01:00",
            "waiting_time": 9,
            "wrapup_time": "4",
        },
        "CallNumber": {
            "id": "128101",
            "internal_name": "Front &amp; Reps",
            "caller_id_e164": "+30211000000",
        },
        "Agent": {
            "id": "298523",
            "firstname": "Ana",
            "lastname": "X",
            "email": "ana@example.test",
            "fullname": "Ana X",
        },
        "Contact": {"id": "820877451", "name": "FAMILY", "company": ""},
        "Notes": [{"id": 1, "note": "first"}, {"id": 2, "note": "a &lt; b"}],
        "Tags": [{"id": 1, "name": "vip"}],
        "Ratings": [],
    }
    beside = {key: cdr.pop(key) for key in list(cdr) if key in row}
    return row | beside | {"Cdr": row["Cdr"] | cdr}


def row_event(
    id: object = "484371839",  # noqa: A002 - CloudTalk's own name
    *,
    uuid: str | None = None,
    alone: bool = False,
    **cdr: Any,
) -> CallEvent:
    """The event of the row that `make_row` makes."""
    return parse_history_row(parser_in(), make_row(id, **cdr), uuid=uuid, alone=alone).event
