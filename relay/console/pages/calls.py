"""The list of calls: search, filters, pages and live rows."""

import hashlib
import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Final
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from relay.console.visit import Visit
from relay.instants import iso
from relay.ledger.connection import Connection
from relay.ledger.errors import LedgerTimeout
from relay.operations.call_list import (
    CallFilter,
    FilterError,
    Page,
    find_listed,
    list_calls,
)
from relay.operations.explanation_texts import Cause
from relay.operations.filter_values import parse_delivery_states, parse_directions, parse_statuses, parse_time
from relay.operations.missing_calls import explain_missing_call
from relay.operations.unanswered import list_unanswered

FIELDS: Final = ("view", "q", "agent", "status", "direction", "destination", "delivery", "day")
"""The fields of the search, as they are in the query. `view`: a list of its own, without a search."""

UNANSWERED: Final = "unanswered"
"""The view of the missed calls that nobody has answered since."""

_ID: Final = re.compile(r"(?=.*[0-9])[\w-]+")
"""What may be the id of a call, and no name."""

_NUMBER: Final = re.compile(r"[0-9-]+")
"""What may be an id, and also a number or a part of one."""

_UNCHANGED: Final = 204


class Search(msgspec.Struct, frozen=True):
    """What a person searches for. `values`: the fields as they were written; `filter`: what they mean.

    `is_unanswered`: the missed calls without an answer are listed instead.
    """

    values: Mapping[str, str]
    filter: CallFilter
    cursor: str | None = None
    is_unanswered: bool = False


class Found(msgspec.Struct, frozen=True):
    """A page. `wanted_id`: the id by which its only call was found: the page of the call says if the call was
    merged into another one.
    """

    page: Page
    wanted_id: str | None = None


async def show(visit: Visit) -> Response:
    """Show a page of the list."""
    written, found, problem, reason = _written(visit), Found(Page([], None)), "", ""
    try:
        found = await find(visit, read_search(visit))
        reason = await _read_reason(visit, written, found.page)
    except FilterError as error:
        problem = _problem(visit, error)
    page = found.page
    return visit.render(
        "calls.html",
        values=dict.fromkeys(FIELDS, "") | written,
        written=written,
        problem=problem,
        reason=reason,
        wanted_id=found.wanted_id,
        listed=_listed(visit),
        calls=page.calls,
        next=page.next,
        searched_until=page.searched_until and iso(page.searched_until),
        is_first=not visit.query("after"),
        destinations=sorted(visit.console.settings.destinations),
        digest=_digest(page),
    )


def _problem(visit: Visit, error: FilterError) -> str:
    texts = visit.texts.calls
    return texts.problem_words if error.field in {"text", "agent", "number"} else texts.problem_value


async def rows(visit: Visit) -> Response:
    """Return the rows of the first page if they have changed since `seen`, for a page that is open."""
    try:
        found = await find(visit, read_search(visit))
    except FilterError:
        return Response(status_code=400)
    page = found.page
    if (digest := _digest(page)) == visit.query("seen"):
        return Response(status_code=_UNCHANGED)
    response = visit.render(
        "calls_rows.html",
        calls=page.calls,
        values=dict.fromkeys(FIELDS, "") | _written(visit),
        written=_written(visit),
        wanted_id=found.wanted_id,
        listed=_listed(visit),
        reason="",
        is_first=True,
    )
    response.headers["x-digest"] = digest
    return response


def _listed(visit: Visit) -> str:
    """Return the search and the place in it as a query: the page of a call leads back to it."""
    after = visit.query("after")
    return urlencode(_written(visit) | ({"after": after} if after else {}))


def _digest(page: Page) -> str:
    return hashlib.blake2b(msgspec.json.encode(page.calls), digest_size=12).hexdigest()


# --- the search -----------------------------------------------------------------------------------


def _written(visit: Visit) -> dict[str, str]:
    values = {name: visit.query(name).strip() for name in FIELDS}
    return {name: value for name, value in values.items() if value}


def read_search(visit: Visit) -> Search:
    """Return what the query asks for. Raises `FilterError`."""
    written = _written(visit)
    view = written.get("view")
    if view not in {None, UNANSWERED}:
        raise FilterError("view", f"no list is called {view!r}")
    filter_ = _read_filter(visit, written)
    return Search(written, filter_, visit.query("after") or None, is_unanswered=view == UNANSWERED)


def _read_filter(visit: Visit, values: Mapping[str, str]) -> CallFilter:
    """Raises `FilterError`."""
    settings = visit.console.settings
    days = _read_day(values["day"]) if "day" in values else None

    def midnight(of: date) -> str:
        return datetime.combine(of, time(), visit.zone).isoformat()

    return CallFilter(
        region=settings.cloudtalk.default_region,
        text=values.get("q", ""),
        agent=values.get("agent", ""),
        statuses=parse_statuses([v for v in [values.get("status")] if v], settings.destinations),
        directions=parse_directions([v for v in [values.get("direction")] if v]),
        destination=values.get("destination"),
        delivery=parse_delivery_states([v for v in [values.get("delivery")] if v]),
        since=parse_time("day", midnight(days[0]), visit.zone) if days else None,
        until=parse_time("day", midnight(days[1]), visit.zone) if days else None,
    )


def _read_day(written: str) -> tuple[date, date]:
    """Return the day and the next one."""
    try:
        day = date.fromisoformat(written)
        return day, day + timedelta(days=1)
    except (ValueError, OverflowError):  # the last day of all has no next one
        raise FilterError("day", "expected a date such as 2024-11-28") from None


async def find(visit: Visit, search: Search) -> Found:
    """Find a page. An id that is exactly that of a call finds this call alone. Raises `FilterError`."""

    def read(connection: Connection) -> Found:
        if search.is_unanswered:
            return Found(list_unanswered(connection, visit.situation.now, search.cursor))
        if (written := search.values.get("q")) and (call := find_listed(connection, written)):
            return Found(Page([call], None), written)
        return Found(list_calls(connection, search.filter, search.cursor))

    return await visit.console.ledger.view(read)


async def _read_reason(visit: Visit, written: Mapping[str, str], page: Page) -> str:
    """Return why no call has the id that was searched for.

    No text if a call was found, if the search goes on with the next page, if it is no id, or if it may be a
    number and nothing with it has arrived. None either if the reason takes too long: the page is worth more.
    """
    id_ = written.get("q", "")
    if page.calls or page.next is not None or written.keys() != {"q"} or _ID.fullmatch(id_) is None:
        return ""
    situation = visit.situation
    try:
        found = await visit.console.ledger.view(lambda c: explain_missing_call(c, id_, situation))
    except LedgerTimeout:
        return ""
    if found.code == Cause.UNKNOWN_ID and _NUMBER.fullmatch(id_):
        return ""
    return found.text.read(situation.language)
