"""`relay forget`: erase a person or a call."""

import asyncio
import sys
from typing import Final

import click

from relay import logs
from relay.cli.ledger_session import with_ledger
from relay.cli.main import Context
from relay.cli.option_values import require_one_value
from relay.cli.output import echo, json_option, print_json
from relay.cli.progress import progress_bar
from relay.ledger import Ledger
from relay.ledger.actions import BY_COMMAND
from relay.operations.forget.receipt import CrmReceipt, CrmState, Preview, Receipt, SourceReceipt
from relay.operations.forget.run import forget, preview
from relay.operations.forget.subject import Subject, SubjectError, find_subject
from relay.settings import Settings

_WAIT_SECONDS: Final = 60.0
_BACKUPS: Final = (
    "backups that were made before still have it, and logs have what was logged before; docs/privacy.md lists"
    " every place"
)


@click.command("forget")
@click.argument("words", metavar="PHONE_OR_CALL", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--at-source", is_flag=True, help="Delete the recordings at CloudTalk, too, for good.")
@click.option(
    "--wait",
    "seconds",
    type=click.FloatRange(min=0),
    default=_WAIT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the CRMs. What is not erased then stays pending.",
)
@json_option
@click.pass_obj
def command(
    context: Context, words: tuple[str, ...], *, yes: bool, at_source: bool, seconds: float, as_json: bool
) -> None:
    """Erase a person or a call everywhere, for good.

    It erases from the ledger, from the cache and the archive of recordings, and from the CRMs.

    PHONE_OR_CALL is a number in any spelling (in quotes if it has spaces), of which all calls are erased, or
    the id of one call. What arrives later about these calls is deleted at once. A call that begins later is
    a new call.

    A relay may serve meanwhile. If none runs, this command erases the records in the CRMs itself. The exit
    code is 1 if anything is left to do; the receipt says what.
    """
    written = require_one_value(words)
    settings = context.settings()
    logs.configure(settings.log.format, "warning", settings.log.personal_data, sys.stderr)

    async def work(ledger: Ledger) -> Receipt:
        try:
            subject = await find_subject(ledger, settings, written)
        except SubjectError as error:
            raise (click.UsageError if error.is_usage else click.ClickException)(str(error)) from error
        if not yes:
            await asyncio.to_thread(_ask, await preview(ledger, subject), subject, at_source=at_source)
        return await _forget(ledger, settings, subject, at_source=at_source, seconds=seconds)

    receipt = with_ledger(settings, work)
    if as_json:
        print_json(receipt)
    else:
        _print(receipt)
    if not receipt.complete:
        sys.exit(1)


async def _forget(
    ledger: Ledger, settings: Settings, subject: Subject, *, at_source: bool, seconds: float
) -> Receipt:
    with progress_bar("erased outside the ledger") as on_progress:
        return await forget(
            ledger,
            settings,
            subject,
            on_progress,
            at_source=at_source,
            who=BY_COMMAND,
            seconds=seconds,
        )


def _ask(planned: Preview, subject: Subject, *, at_source: bool) -> None:
    """Raises `Abort` if the person does not agree, and `UsageError` if there is nobody to ask."""
    if not _is_seen_by_a_person():
        raise click.UsageError("nobody can be asked without a terminal: add --yes")
    name = subject.number or next(iter(sorted(subject.ids)), "")
    recordings = _number(planned.recordings, "archived recording")
    echo(f"{name}: {_number(planned.calls, 'call')}, {_number(planned.events, 'event')}, {recordings}")
    for destination, number in planned.destinations.items():
        echo(f"  {destination}: up to {_number(number, 'record')}, with their tasks and notes")
    if at_source:
        echo("  CloudTalk: the recordings of these calls, for good")
    click.confirm("Erase all of it?", abort=True, err=True)


def _is_seen_by_a_person() -> bool:
    return sys.stdin.isatty()


def _print(receipt: Receipt) -> None:
    echo(
        f"erased from the ledger: {_number(receipt.calls, 'call')}, {_number(receipt.events, 'event')},"
        f" {_number(receipt.quarantined, 'body', 'bodies')} in quarantine"
    )
    echo(f"erased from the cache and the archive: {_number(receipt.recordings, 'recording')}")
    for each in receipt.destinations:
        _print_crm(each)
    if receipt.at_source is not None:
        _print_source(receipt.at_source)
    if receipt.mentions:
        echo(f"other calls whose texts have the number, and that stay: {', '.join(receipt.mentions)}")
    for place in receipt.left:
        echo(f"left: {place}")
    echo(_BACKUPS)


def _print_crm(each: CrmReceipt) -> None:
    if each.state is CrmState.ERASED:
        echo(f"erased from {each.destination}: {_number(each.calls, 'call')}")
        return
    echo(f"{each.destination}: {each.state}: {len(each.records)} of {each.calls} records: {each.advice}")
    echo(f"  {', '.join(each.records)}")


def _print_source(source: SourceReceipt) -> None:
    absent = _number(source.absent, "call")
    echo(f"erased at CloudTalk: {_number(source.deleted, 'recording')}; {absent} had none")
    if source.failed:
        echo(f"CloudTalk: {source.advice}: {', '.join(source.failed)}")


def _number(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
