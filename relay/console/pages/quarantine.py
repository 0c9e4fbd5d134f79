"""The quarantine by reason, its entries, and the actions on one or on all with a reason."""

from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from relay.console.bodies import pretty_bodies
from relay.console.visit import Visit
from relay.ingest.parsers import build_parser
from relay.instants import iso
from relay.ledger import actions
from relay.logs import remove_secrets
from relay.operations import quarantine
from relay.operations.quarantine_texts import advice_for

_SHOWN: Final = 50
"""How many entries with a reason are shown, the newest first."""


_ACTIONS_SHOWN: Final = 20


async def show(visit: Visit) -> Response:
    """Show the reasons."""
    groups, done_before = await visit.console.ledger.view(
        lambda c: (quarantine.list_groups(c), actions.list_of_quarantine(c, _ACTIONS_SHOWN))
    )
    log = [(iso(row.at), row) for row in done_before]
    return visit.render("quarantine.html", groups=groups, log=log, **_result(visit))


async def show_reason(visit: Visit) -> Response:
    """Show the newest entries with one reason."""
    reason = visit.query("reason")
    entries, number = await visit.console.ledger.view(
        lambda c: (quarantine.list_newest(c, reason, _SHOWN), len(quarantine.list_ids(c, reason=reason)))
    )
    if not entries:
        return visit.redirect("quarantine", **_result(visit))
    return visit.render(
        "quarantine_reason.html",
        reason=reason,
        advice=advice_for(reason),
        entries=entries,
        bodies=pretty_bodies(entry.raw for entry in entries),
        queries=[remove_secrets(entry.query) for entry in entries],
        members=number,
        **_result(visit),
    )


async def retry(visit: Visit) -> Response:
    """Parse one entry again, or all with a reason."""
    ids = await _chosen(visit)
    visit.log_action("quarantine.retry", target=_target(visit))
    parser = build_parser(visit.console.settings.cloudtalk)
    results = await quarantine.retry(visit.console.ledger, parser, ids, **_by_person(visit))
    stay = sum(result.problem is not None for result in results)
    return _redirect(visit, done="retried", number=len(results) - stay, stay=stay)


async def drop(visit: Visit) -> Response:
    """Delete one entry for good, or all with a reason."""
    ids = await _chosen(visit)
    visit.log_action("quarantine.drop", target=_target(visit))
    number = await quarantine.drop(visit.console.ledger, ids, **_by_person(visit))
    return _redirect(visit, done="dropped", number=number)


async def _chosen(visit: Visit) -> list[str]:
    if id_ := visit.field("id"):
        return [id_]
    reason = visit.field("reason")
    if not reason:
        raise HTTPException(400)
    return await visit.console.ledger.view(lambda c: quarantine.list_ids(c, reason=reason))


def _by_person(visit: Visit) -> dict[str, str]:
    """Return what is stored of this action of a person."""
    chosen = "" if visit.field("id") else visit.field("reason")
    return {"who": visit.session.name if visit.session else "", "chosen": chosen}


def _target(visit: Visit) -> str:
    return visit.field("id") or visit.field("reason")


def _redirect(visit: Visit, **result: str | int | None) -> Response:
    """Show the page again from which the form was sent, with the result."""
    if visit.field("from") == "reason":
        return visit.redirect("quarantine/reason", reason=visit.field("reason"), **result)
    return visit.redirect("quarantine", **result)


def _result(visit: Visit) -> dict[str, Any]:
    counts = {name: visit.query_number(name) for name in ("number", "stay")}
    return {"done": visit.query("done")} | counts
