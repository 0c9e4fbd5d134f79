"""`relay rebuild`: read the whole journal again."""

import click

from relay.cli.ledger import with_ledger
from relay.cli.main import Context
from relay.cli.output import as_json, print_json
from relay.cli.progress import progress_bar
from relay.fold.rebuild import rebuild_calls


@click.command("rebuild")
@as_json
@click.pass_obj
def command(context: Context, *, wants_json: bool) -> None:
    """Read the whole journal again.

    For after an upgrade or a change of settings: every call is computed anew from what came, and the CRMs
    are owed what changes by it. Ids and links stay. A relay may serve meanwhile.
    """
    from relay.app import build_parser  # noqa: PLC0415 - app assembles what cli only asks

    settings = context.settings()
    reader = build_parser(settings.cloudtalk)
    with progress_bar("calls") as on_progress:
        done = with_ledger(settings, lambda ledger: rebuild_calls(ledger, reader, on_progress))
    if wants_json:
        print_json(done)
        return
    click.echo(f"{done.calls} calls read again, {done.changed} changed")
    if done.skipped:
        click.echo(f"{done.skipped} older calls stay as they are: their events were dropped for their age")
    if done.unread:
        click.echo(f"{done.unread} events could not be read any more; their last reading stands", err=True)
