"""The overview."""

from starlette.responses import Response

from relay.console.visit import Visit
from relay.operations.explanation import situation_of
from relay.operations.languages import Language
from relay.operations.status import get_status


async def show(visit: Visit) -> Response:
    """Show the overview."""
    ledger = visit.console.ledger
    situation = situation_of(
        visit.console.settings, ledger.now(), for_people=True, language=Language(visit.texts.code)
    )
    status = await ledger.read(lambda connection: get_status(connection, situation))
    return visit.render("overview.html", status=status)
