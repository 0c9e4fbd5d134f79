"""`relay quarantine`: bodies that could not be parsed, and events that were set aside."""

import sys
from typing import Final
from zoneinfo import ZoneInfo

import click
import msgspec

from relay.cli.ledger_session import read_ledger, with_ledger
from relay.cli.main import Context
from relay.cli.output import echo, json_option, print_fields, print_json, print_table
from relay.ingest.parsers import build_parser
from relay.ledger.actions import BY_COMMAND
from relay.operations import quarantine
from relay.operations.quarantine import QuarantineView
from relay.settings import Settings

_COLUMNS: Final = ("id", "kind", "received_at", "reason", "message")

_ids_argument = click.argument("ids", metavar="[ID]…", nargs=-1)
_all_option = click.option("--all", "select_all", is_flag=True, help="All entries in quarantine.")


@click.group("quarantine")
def command() -> None:
    """List, retry or drop unparsable bodies and failed events."""


@command.command("list")
@json_option
@click.pass_obj
def list_(context: Context, *, as_json: bool) -> None:
    """List the bodies, then the failed events, oldest first."""
    settings = context.settings()
    if as_json:
        print_json(read_ledger(settings, lambda c: list(quarantine.list_views(c))))
    else:
        zone = _zone(settings)
        rows = read_ledger(settings, lambda c: list(map(_row, quarantine.list_views(c, zone=zone))))
        print_table(_COLUMNS, rows, crop="message")


@command.command("show")
@click.argument("id_", metavar="ID")
@json_option
@click.pass_obj
def show(context: Context, id_: str, *, as_json: bool) -> None:
    """Show one entry with its body as it arrived, without secrets."""
    settings = context.settings()
    ids = _choose(settings, (id_,), select_all=False)
    (entry,) = read_ledger(settings, lambda connection: quarantine.get_many(connection, ids))
    if as_json:
        print_json(quarantine.view_entry(entry))
    else:
        print_fields(msgspec.structs.asdict(quarantine.view_entry(entry, _zone(settings))))


@command.command("retry")
@_ids_argument
@_all_option
@json_option
@click.pass_obj
def retry_(context: Context, ids: tuple[str, ...], *, select_all: bool, as_json: bool) -> None:
    """Parse entries again, after an upgrade or a change of settings.

    A body that can be parsed now leaves the quarantine, and its events are folded. The fold tries an event
    again that was set aside.
    Exit code 1 if a body still cannot be parsed.
    """
    settings = context.settings()
    chosen = _choose(settings, ids, select_all=select_all)
    parser = build_parser(settings.cloudtalk)
    by_person = _by_person(select_all=select_all)
    results = with_ledger(settings, lambda ledger: quarantine.retry(ledger, parser, chosen, **by_person))
    if as_json:
        print_json(results)
    else:
        columns = ("id", "events", "problem")
        print_table(columns, map(msgspec.structs.astuple, results), wrap="problem")
    sys.exit(1 if any(result.problem for result in results) else 0)


@command.command("drop")
@_ids_argument
@_all_option
@click.pass_obj
def drop(context: Context, ids: tuple[str, ...], *, select_all: bool) -> None:
    """Delete entries for good."""
    settings = context.settings()
    chosen = _choose(settings, ids, select_all=select_all)
    by_person = _by_person(select_all=select_all)
    dropped = with_ledger(settings, lambda ledger: quarantine.drop(ledger, chosen, **by_person))
    echo(f"{dropped} dropped")


def _choose(settings: Settings, ids: tuple[str, ...], *, select_all: bool) -> list[str]:
    """Return each of these ids once, or all. An unknown id ends the command with exit code 1."""
    if bool(ids) == select_all:
        raise click.UsageError("give the IDs of entries, or --all for all entries in quarantine")
    present = read_ledger(settings, quarantine.list_ids)
    if missing := sorted(set(ids).difference(present)):
        raise click.ClickException(
            f"no entry in quarantine has the id {', '.join(missing)}; `relay quarantine list` lists them"
        )
    return present if select_all else list(dict.fromkeys(ids))


def _by_person(*, select_all: bool) -> dict[str, str]:
    """Return what is stored of this action of a person."""
    return {"who": BY_COMMAND, "chosen": "--all" if select_all else ""}


def _zone(settings: Settings) -> ZoneInfo:
    """Return the time zone in which people see times."""
    return ZoneInfo(settings.cloudtalk.timezone)


def _row(view: QuarantineView) -> list[object]:
    return [getattr(view, column) for column in _COLUMNS]
