"""The list of calls: search, filters, pages, live rows and the export."""

import csv
import hashlib
import io
import re
from collections.abc import AsyncIterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Final

import msgspec
from starlette.responses import Response, StreamingResponse

from relay.console.visit import Visit
from relay.instants import iso
from relay.ledger.connection import Connection
from relay.ledger.states import DeliveryState
from relay.operations.call_list import (
    CallFilter,
    FilterError,
    ListedCall,
    Page,
    find_listed,
    iterate_calls,
    list_calls,
)
from relay.operations.filter_values import parse_delivery_states, parse_directions, parse_statuses, parse_time
from relay.operations.unanswered import MOST, list_unanswered

FIELDS: Final = ("view", "q", "agent", "status", "direction", "destination", "delivery", "day")
"""The fields of the search, as they are in the query. `view`: a list of its own, without a search."""

UNANSWERED: Final = "unanswered"
"""The view of the missed calls that nobody has answered since."""

_UNCHANGED: Final = 204


class Search(msgspec.Struct, frozen=True):
    """What a person searches for. `values`: the fields as they were written; `filter`: what they mean.

    `is_unanswered`: the missed calls without an answer are listed instead.
    """

    values: Mapping[str, str]
    filter: CallFilter
    cursor: str | None = None
    is_unanswered: bool = False


async def show(visit: Visit) -> Response:
    """Show a page of the list."""
    written, page, problem = _written(visit), Page([], None), ""
    try:
        page = await _read_page(visit, _read_search(visit))
    except FilterError as error:
        problem = _problem(visit, error)
    return visit.render(
        "calls.html",
        values=dict.fromkeys(FIELDS, "") | written,
        written=written,
        problem=problem,
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
        page = await _read_page(visit, _read_search(visit))
    except FilterError:
        return Response(status_code=400)
    if (digest := _digest(page)) == visit.query("seen"):
        return Response(status_code=_UNCHANGED)
    response = visit.render("calls_rows.html", calls=page.calls, written=_written(visit))
    response.headers["x-digest"] = digest
    return response


def _digest(page: Page) -> str:
    return hashlib.blake2b(msgspec.json.encode(page.calls), digest_size=12).hexdigest()


# --- the search -----------------------------------------------------------------------------------


def _written(visit: Visit) -> dict[str, str]:
    values = {name: visit.query(name).strip() for name in FIELDS}
    return {name: value for name, value in values.items() if value}


def _read_search(visit: Visit) -> Search:
    """Raises `FilterError`."""
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


async def _read_page(visit: Visit, search: Search) -> Page:
    """Return the page. An id that is exactly that of a call finds this call alone. Raises `FilterError`."""

    def read(connection: Connection) -> Page:
        if search.is_unanswered:
            return list_unanswered(connection, visit.situation.now, search.cursor)
        if (written := search.values.get("q")) and (call := find_listed(connection, written)):
            return Page([call], None)
        return list_calls(connection, search.filter, search.cursor)

    return await visit.console.ledger.read(read)


# --- the export -----------------------------------------------------------------------------------

_COLUMNS: Final = (
    *("id", "call_id", "call_uuid", "direction", "status", "from_", "to", "external_number"),
    *(
        "internal_number",
        "contact_name",
        "agent_name",
        "agent_email",
        "started_at",
        "answered_at",
        "ended_at",
    ),
    *("response_seconds", "duration_seconds", "talking_seconds", "waiting_seconds", "recording_url", "tags"),
    *("notes", "follow_up", "version"),
)
_TIMES: Final = ("started_at", "answered_at", "ended_at")
_SEPARATORS: Final = {"en": ",", "es": ";"}
"""Where the decimal mark is a comma, a spreadsheet opens commas as one column."""

_FORMULA: Final = re.compile(r"^(?=[\t\r\n])|(^|[;,\t\r\n])(?= *[=+\-@\uff1d\uff0b\uff0d\uff20])")
"""Where a spreadsheet may begin to read a formula: at the beginning of a cell, and of each line and each part
between separators in it. A spreadsheet that expects the other separator splits cells there, and takes the
quotation marks in the middle of a line for text.
"""


async def export(visit: Visit) -> Response:
    """Return all calls that the search finds as CSV, as spreadsheets open it in the language of the person.

    Times are in the zone of the settings, without an offset, which a spreadsheet would read as text.
    """
    try:
        search = _read_search(visit)
        await _read_page(visit, search)
    except FilterError as error:
        return Response(str(error), 400, media_type="text/plain")
    visit.log_action("export", target=", ".join(sorted(search.values)) or "all calls")
    return StreamingResponse(
        _csv_lines(visit, search),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="calls.csv"'},
    )


async def _csv_lines(visit: Visit, search: Search) -> AsyncIterator[str]:
    destinations = sorted(visit.console.settings.destinations)
    separator = _SEPARATORS[visit.texts.code]
    yield "\ufeff" + _csv_line([*(name.strip("_") for name in _COLUMNS), *destinations], separator)
    async for call in _iterate(visit, search):
        cells = [_cell(visit, call, name) for name in _COLUMNS]
        yield _csv_line([*cells, *_states(call, destinations)], separator)


async def _iterate(visit: Visit, search: Search) -> AsyncIterator[ListedCall]:
    if not search.is_unanswered:
        async for call in iterate_calls(visit.console.ledger, search.filter):
            yield call
        return
    now = visit.situation.now
    page = await visit.console.ledger.read(lambda c: list_unanswered(c, now, limit=MOST))
    for call in page.calls:
        yield call


def _cell(visit: Visit, call: ListedCall, name: str) -> str:
    value = getattr(call, name)
    if value and name in _TIMES:
        return f"{visit.formats.local(value):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else str(value)


def _states(call: ListedCall, destinations: list[str]) -> list[str]:
    states: dict[str, DeliveryState] = {each.destination: each.state for each in call.deliveries}
    return [states.get(name, "") for name in destinations]


def _csv_line(cells: list[str], separator: str) -> str:
    line = io.StringIO()
    csv.writer(line, delimiter=separator).writerow([_FORMULA.sub(r"\1'", cell) for cell in cells])
    return line.getvalue()
