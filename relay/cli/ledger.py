"""`relay ledger`: back up, restore or compact the ledger."""

from pathlib import Path

import click

from relay.cli.ledger_session import with_ledger
from relay.cli.main import Context
from relay.cli.output import echo
from relay.ledger import Ledger, LedgerError, backup, leases
from relay.ledger.clocks import wall_clock
from relay.settings import Settings

_PATH = click.Path(path_type=Path, dir_okay=False)


@click.group("ledger")
def command() -> None:
    """Back up, restore or compact the ledger."""


@command.command("backup")
@click.argument("path", type=_PATH)
@click.pass_obj
def back_up(context: Context, path: Path) -> None:
    """Write a copy of an SQLite ledger to PATH. A relay may serve meanwhile.

    The copy is consistent and readable by its owner only. An existing PATH is replaced.
    """
    settings = context.settings()
    if settings.ledger.path is None:
        raise click.ClickException(
            "the ledger is in PostgreSQL; back it up with pg_dump --schema=cloudtalk_relay"
        )
    try:
        backup.back_up(settings.ledger.path, path)
    except LedgerError as error:
        raise click.ClickException(str(error)) from error
    echo(f"the ledger is copied to {path}")


@command.command("restore")
@click.argument("path", type=_PATH, required=False)
@click.pass_obj
def restore(context: Context, path: Path | None) -> None:
    """Replace the ledger by the backup PATH, or prepare a ledger that was restored by other means.

    Stop the relay first. The replaced ledger is kept under another name. Without PATH, and on PostgreSQL
    after pg_restore, the ledger that is in place now counts as restored.

    A restored ledger is older than the CRMs. Its versions continue above all that the CRMs hold, so that
    later changes show there. `relay replay` afterwards writes the ledger's records where the CRM's differ.
    """
    settings = context.settings()
    try:
        kept = _restore(settings, path)
    except LedgerError as error:
        raise click.ClickException(str(error)) from error
    if kept is not None:
        echo(f"the ledger that was replaced is kept as {kept}")
    echo(
        "the ledger is restored; start the relay, then `relay replay` writes records that differ in the CRMs"
    )


def _restore(settings: Settings, path: Path | None) -> Path | None:
    file = settings.ledger.path
    if path is not None:
        if file is None:
            raise click.ClickException(
                "the ledger is in PostgreSQL; restore it with pg_restore,"
                " then run `relay ledger restore` without PATH"
            )
        return backup.restore(file, path, now=wall_clock())
    if file is not None and not file.exists():
        raise click.ClickException(f"there is no ledger {file}; name the backup to restore")
    _require_unused(settings, file)
    backup.begin_epoch(settings.ledger.url.get_secret_value(), now=wall_clock())
    return None


def _require_unused(settings: Settings, file: Path | None) -> None:
    if file is not None:
        pid = backup.process_that_uses(file)
        users = [] if pid is None else [f"process {pid}"]
    else:
        users = with_ledger(
            settings, lambda ledger: ledger.read(lambda c: leases.list_held(c, now=ledger.now()))
        )
    if users:
        raise click.ClickException(f"a relay uses the ledger ({', '.join(users)}); stop it first")


@command.command("vacuum")
@click.pass_obj
def vacuum(context: Context) -> None:
    """Give the space of removed rows back to the disk. A relay may serve meanwhile; its writes wait."""
    with_ledger(context.settings(), Ledger.vacuum)
    echo("the ledger is compacted")
