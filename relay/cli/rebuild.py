"""`relay rebuild`: parse all stored events again and recompute the calls."""

import click

from relay.cli.ledger_session import with_ledger
from relay.cli.main import Context
from relay.cli.output import echo, json_option, print_json
from relay.cli.progress import progress_bar
from relay.fold import fold_options
from relay.fold.rebuild import rebuild_calls
from relay.ingest.parsers import build_parser


@click.command("rebuild")
@json_option
@click.pass_obj
def command(context: Context, *, as_json: bool) -> None:
    """Recompute all calls from the stored events.

    Run it after an upgrade or a change of settings: every event is parsed again, and changed calls are
    delivered again. The ids of calls and the links between ids stay. A relay may serve meanwhile.
    """
    settings = context.settings()
    parser, options = build_parser(settings.cloudtalk), fold_options(settings)
    with progress_bar("calls") as on_progress:
        result = with_ledger(settings, lambda ledger: rebuild_calls(ledger, parser, options, on_progress))
    if as_json:
        print_json(result)
        return
    echo(f"{result.calls} calls recomputed, {result.changed} changed")
    if result.skipped:
        echo(f"{result.skipped} older calls skipped: the retention has deleted some of their events")
    if result.retried:
        echo(f"{result.retried} events that were set aside are folded again")
    if result.unread:
        echo(
            f"{result.unread} events could not be parsed again; their earlier parsed form was used", err=True
        )
