"""The page of one call: its record, deliveries, agents and events."""

from typing import Final
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import Response

from relay.console.bodies import pretty_bodies
from relay.console.visit import Fragment, Visit
from relay.delivery.replay import Scope
from relay.ledger.connection import Connection
from relay.operations.calls import CallView, find_call, view_call
from relay.operations.missing_calls import explain_missing_call
from relay.operations.push_again import push_calls_again
from relay.operations.story import Entry, Step, view_story

_NOT_IN_STORY = frozenset({Step.FOLDED, Step.NOW})
"""Steps that the page shows elsewhere: which events form the call, and the state of its deliveries."""

_SHOWN: Final = 200
"""How many events, and entries of the story, are shown: the newest of the call."""


async def show(visit: Visit) -> Response:
    """Show the call with the id of the query, or why there is none."""
    id_, situation = visit.query("id"), visit.situation

    def read(connection: Connection) -> tuple[CallView, list[Entry]] | str:
        row = find_call(connection, id_)
        if row is not None:
            view = view_call(connection, row, situation, wanted=id_)
            return view, view_story(connection, row, situation)
        return explain_missing_call(connection, id_, situation).text.read(situation.language)

    found = await visit.console.ledger.view(read)
    if isinstance(found, str):
        return visit.render("call_unknown.html", http_status=404, explanation=found)
    return _render(visit, *found)


def _render(visit: Visit, call: CallView, story: list[Entry]) -> Response:
    events = call.events[-_SHOWN:]
    return visit.render(
        "call.html",
        call=call,
        deliveries=_render_deliveries(visit, call),
        story=[entry for entry in story if entry.event not in _NOT_IN_STORY][-_SHOWN:],
        done=visit.query("done"),
        listed=visit.query("list"),
        back=visit.page_url(f"calls?{visit.query('list')}"),
        player=_player(visit, call),
        events=events,
        number_of_events=len(call.events) + call.events_left_out,
        bodies=pretty_bodies(event.raw for event in events),
        recording=call.recording_url if _is_web_link(call.recording_url) else None,
    )


def _render_deliveries(visit: Visit, call: CallView) -> Fragment:
    return visit.render_part(
        "call_deliveries.html", call=call, links=_record_links(visit, call), listed=visit.query("list")
    )


async def deliveries(visit: Visit) -> Response:
    """Return the deliveries of the call if they have changed, for a page that is open."""
    id_, situation = visit.query("id"), visit.situation

    def read(connection: Connection) -> CallView | None:
        row = find_call(connection, id_)
        return None if row is None else view_call(connection, row, situation, wanted=id_)

    call = await visit.console.ledger.view(read)
    if call is None:
        raise HTTPException(404)
    return visit.respond_with(_render_deliveries(visit, call))


def _record_links(visit: Visit, call: CallView) -> dict[str, str]:
    """Return the page of the record in each CRM that has one, by the name of the destination."""
    urls = {
        each.destination: visit.console.record_url(each.destination, each.remote_id)
        for each in call.deliveries
        if each.remote_id is not None
    }
    return {name: url for name, url in urls.items() if url is not None and _is_web_link(url)}


def _player(visit: Visit, call: CallView) -> str | None:
    """Return the relay's own link to the recording; None if recordings do not go through the relay."""
    links = visit.console.settings.recording_links
    if links is None or call.recording_url is None:
        return None
    # Relative, so that the player works at each address of the relay.
    return visit.root_url("") + links.link(call).removeprefix(f"{links.public_url}/")


def _is_web_link(url: str | None) -> bool:
    """Whether a browser may open it: a link of a sender could run a script."""
    return url is not None and urlsplit(url).scheme in {"http", "https"}


async def push(visit: Visit) -> Response:
    """Send the call again: to the destination of the form, or to all of the settings."""
    id_, name = visit.field("id"), visit.field("destination")
    settings = visit.console.settings
    targets = {n: each for n, each in settings.destinations.items() if name in {"", n}}
    row = await visit.console.ledger.view(lambda connection: find_call(connection, id_))
    if row is None or not targets:
        raise HTTPException(404)
    visit.log_action("push", target=f"{row.id} {', '.join(targets)}")
    who = visit.session.name if visit.session else ""
    result = await push_calls_again(
        visit.console.ledger, settings, targets, [row.id], scope=Scope.ALL, who=who
    )
    done = "sent" if result.calls else "excluded"
    return visit.redirect("call", id=row.id, done=done, list=visit.field("list"))
