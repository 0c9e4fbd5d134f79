"""The export of the list of calls as CSV, as spreadsheets open it in the language of the person."""

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import date
from typing import Final

from starlette.responses import Response, StreamingResponse

from relay.call import Call, with_playable_recording
from relay.console.pages.calls import Search, find, read_search
from relay.console.visit import Visit
from relay.ledger.states import DeliveryState
from relay.operations.call_list import FilterError, ListedCall, iterate_calls
from relay.operations.unanswered import iterate_unanswered

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
        search = read_search(visit)
        await find(visit, search)
    except FilterError as error:
        return Response(str(error), 400, media_type="text/plain")
    visit.log_action("export", target=", ".join(sorted(search.values)) or "all calls")
    return StreamingResponse(
        _csv_lines(visit, search),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{_file_name(visit, search)}"'},
    )


def _file_name(visit: Visit, search: Search) -> str:
    """Return a name with the day of the calls, or else that of the export."""
    days = search.values.get("day")
    return f"calls-{date.fromisoformat(days) if days else visit.today}.csv"


async def _csv_lines(visit: Visit, search: Search) -> AsyncIterator[str]:
    destinations = sorted(visit.console.settings.destinations)
    links = visit.console.settings.recording_links
    separator = _SEPARATORS[visit.texts.code]
    yield "\ufeff" + _csv_line([*(name.strip("_") for name in _COLUMNS), *destinations], separator)
    async for call in _iterate(visit, search):
        record = with_playable_recording(call, links)
        cells = [_cell(visit, record, name) for name in _COLUMNS]
        yield _csv_line([*cells, *_states(call, destinations)], separator)


async def _iterate(visit: Visit, search: Search) -> AsyncIterator[ListedCall]:
    if not search.is_unanswered:
        async for call in iterate_calls(visit.console.ledger, search.filter):
            yield call
        return
    async for call in iterate_unanswered(visit.console.ledger, visit.situation.office_hours):
        yield call


def _cell(visit: Visit, call: Call, name: str) -> str:
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
