"""Dead letters by kind, and the actions on one or on all of a kind."""

from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from relay.console.visit import Visit
from relay.ledger import dead_letters
from relay.ledger.connection import Connection
from relay.ledger.dead_letters import Group
from relay.operations import dead_letters as operations
from relay.operations.dead_letters import list_groups, view_dead_letters

_SHOWN: Final = 50
"""How many dead letters of a kind are shown, the latest first."""


async def show(visit: Visit) -> Response:
    """Show the kinds of dead letters, the largest first."""
    groups = await visit.console.ledger.view(lambda c: list_groups(c, visit.situation))
    return visit.render("dead_letters.html", groups=groups, **_result(visit))


async def show_group(visit: Visit) -> Response:
    """Show the latest dead letters of one kind."""
    group = Group(visit.query("destination"), visit.query("outcome") or None, visit.query("code") or None)

    def read(connection: Connection) -> tuple[list[Any], int]:
        found = dead_letters.find_latest(connection, group, limit=_SHOWN)
        views = view_dead_letters(connection, found, visit.situation)
        counts = {each.group: each.members for each in dead_letters.count_groups(connection)}
        return [(each.call, view) for each, view in zip(found, views, strict=True)], counts.get(group, 0)

    rows, members = await visit.console.ledger.view(read)
    if not rows:
        return visit.redirect("dead-letters", done=visit.query("done"), number=visit.query("number"))
    return visit.render("dead_letters_group.html", group=group, rows=rows, members=members, **_result(visit))


async def replay(visit: Visit) -> Response:
    """Deliver one call again, or all of a kind."""
    ledger = visit.console.ledger
    now = ledger.now()
    if key := _key(visit):
        visit.log_action("dead_letter.replay", target=" ".join(key))
        await ledger.write(lambda c: operations.replay(c, [key], who=_who(visit), now=now))
        return _redirect(visit, "replayed", 1)
    group = _group(visit)
    visit.log_action("dead_letters.replay", target=_describe(group))
    number = await ledger.write(lambda c: operations.replay_group(c, group, who=_who(visit), now=now))
    return _redirect(visit, "replayed", number)


async def drop(visit: Visit) -> Response:
    """Give up one dead letter, or all of a kind."""
    ledger = visit.console.ledger
    if key := _key(visit):
        visit.log_action("dead_letter.drop", target=" ".join(key))
        await ledger.write(lambda c: operations.drop(c, [key], who=_who(visit), now=ledger.now()))
        return _redirect(visit, "dropped", 1)
    group = _group(visit)
    visit.log_action("dead_letters.drop", target=_describe(group))
    number = await ledger.write(lambda c: operations.drop_group(c, group, who=_who(visit), now=ledger.now()))
    return _redirect(visit, "dropped", number)


def _who(visit: Visit) -> str:
    return visit.session.name if visit.session else ""


def _key(visit: Visit) -> tuple[str, str] | None:
    """Return the destination and the id of the call that the form names; None if it names a kind."""
    call = visit.field("id")
    return (visit.field("destination"), call) if call else None


def _group(visit: Visit) -> Group:
    if not visit.field("destination"):
        raise HTTPException(400)
    return Group(visit.field("destination"), visit.field("outcome") or None, visit.field("code") or None)


def _describe(group: Group) -> str:
    return " ".join(filter(None, group))


def _redirect(visit: Visit, done: str, number: int) -> Response:
    """Show the page again from which the form was sent, with the result."""
    if visit.field("from") != "group":
        return visit.redirect("dead-letters", done=done, number=number)
    return visit.redirect("dead-letters/kind", done=done, number=number, **_group(visit)._asdict())


def _result(visit: Visit) -> dict[str, Any]:
    return {"done": visit.query("done"), "number": visit.query_number("number")}
