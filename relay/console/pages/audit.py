"""The newest audit, or an earlier one: each side, and the calls that were found."""

from typing import Final, NamedTuple

import msgspec
from starlette.responses import Response

from relay.console.visit import Visit
from relay.ledger import audits
from relay.ledger.audits import NIGHTLY
from relay.ledger.connection import Connection
from relay.operations.audits import AuditView, FindingView, list_newest, view_finding, view_row
from relay.operations.languages import Language

_SHOWN: Final = 200
_NEWEST: Final = 14


class _Found(NamedTuple):
    audit: AuditView | None
    findings: list[FindingView]
    number: int
    newest: list[AuditView]


async def show(visit: Visit) -> Response:
    """Show the audit whose number the query names, else the newest one."""
    # Times are in UTC: the page shows them itself.
    situation = msgspec.structs.replace(visit.situation, zone=None)
    seq, language = visit.query_number("audit"), Language(visit.texts.code)

    def read(connection: Connection) -> _Found:
        newest = list_newest(connection, situation, limit=_NEWEST)
        row = audits.get(connection, seq) if seq else None
        audit = view_row(row, situation) if row is not None else (newest[0] if newest else None)
        if audit is None:
            return _Found(None, [], 0, newest)
        found = audits.list_findings(connection, audit.seq)
        # What a person has to look at comes first.
        found.sort(key=lambda each: not each.needs_person)
        views = [view_finding(each, language) for each in found[:_SHOWN]]
        return _Found(audit, views, len(found), newest)

    found = await visit.console.ledger.view(read)
    settings = visit.console.settings.audit
    return visit.render("audit.html", **found._asdict(), at=settings.at, nightly=NIGHTLY)
