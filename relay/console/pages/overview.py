"""The overview."""

from starlette.responses import Response

from relay.console.visit import Visit
from relay.operations.status import get_status


async def show(visit: Visit) -> Response:
    """Show the overview."""
    ledger = visit.console.ledger
    enabled = {name: each.enabled for name, each in visit.console.settings.destinations.items()}
    status = await ledger.read(lambda connection: get_status(connection, enabled, now=ledger.now()))
    return visit.render("overview.html", status=status)
