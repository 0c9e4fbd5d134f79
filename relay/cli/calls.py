"""`relay calls`: list and show calls, and split one that was linked wrongly."""

from typing import Any, Final
from zoneinfo import ZoneInfo

import click
import msgspec

from relay.cli import call_list
from relay.cli.ledger_session import read_ledger, read_with_ledger, with_ledger
from relay.cli.local_times import print_local_records, with_local_times
from relay.cli.lookup import read_calls, require_calls
from relay.cli.main import Context
from relay.cli.option_values import require_one_value
from relay.cli.output import echo, json_option, print_fields, print_json, print_table
from relay.fold import fold_options
from relay.fold.split import SplitError, split_call
from relay.instants import Instant
from relay.ledger.connection import Connection
from relay.operations.call_list import Page, find_by_number
from relay.operations.calls import CallView, find_call, view_call
from relay.operations.explanation import situation_of
from relay.operations.story import Entry, view_story
from relay.settings import Settings

_LEG_COLUMNS: Final = ("agent_id", "agent_name", "started_at", "ended_at", "talking_seconds", "outcome")
_EVENT_COLUMNS: Final = ("seq", "kind", "dialect", "said_at", "received_at")
_DELIVERY_COLUMNS: Final = (
    "destination",
    "state",
    "version",
    "attempts",
    "next_attempt_at",
    "code",
)

_PUSH_COLUMNS: Final = ("at", "version", "action", "outcome", "code", "duration_ms")


@click.group("calls")
def command() -> None:
    """List and show calls; split one that was linked wrongly."""


command.add_command(call_list.command)


@command.command("show")
@click.argument("words", metavar="ID-OR-NUMBER", nargs=-1, required=True)
@click.option("--log", "as_story", is_flag=True, help="What happened, in order: received, folded, delivered.")
@json_option
@click.pass_obj
def show(context: Context, words: tuple[str, ...], *, as_story: bool, as_json: bool) -> None:
    """Show one call with its legs, events and deliveries.

    ID is the id of the record, or CloudTalk's call_id or call_uuid. Of a NUMBER, or its beginning or end, the
    newest call is shown. Write a number with spaces in quotes.
    """
    written = require_one_value(words)
    settings = context.settings()
    id_ = _find_id(settings, written)
    if as_story:
        _show_story(settings, id_, as_json=as_json)
        return

    def read(connection: Connection, now: Instant) -> CallView:
        situation = situation_of(settings, now, for_people=not as_json)
        (row,) = require_calls(connection, [id_], situation)
        return view_call(connection, row, situation, wanted=id_)

    call = read_with_ledger(settings, lambda ledger: ledger.read(lambda c: read(c, ledger.now())))
    if as_json:
        print_json(call)
        return
    zone = ZoneInfo(settings.cloudtalk.timezone)
    fields: dict[str, Any] = with_local_times(msgspec.to_builtins(call), zone)
    del fields["legs"], fields["events"], fields["deliveries"], fields["explanations"]
    del fields["events_left_out"]
    fields["agents"] = ", ".join(agent.name for agent in call.agents)
    print_fields(fields)
    echo("\nlegs")
    print_local_records(_LEG_COLUMNS, call.legs, zone)
    echo("\nevents")
    print_local_records(_EVENT_COLUMNS, call.events, zone)
    if call.events_left_out:
        echo(f"{call.events_left_out} older events are not shown")
    echo("\ndeliveries")
    print_local_records(_DELIVERY_COLUMNS, call.deliveries, zone)
    if pushes := [(delivery.destination, push) for delivery in call.deliveries for push in delivery.pushes]:
        echo("\npushes")
        local = [(name, with_local_times(push, zone)) for name, push in pushes]
        rows = [[name, *(push[column] for column in _PUSH_COLUMNS)] for name, push in local]
        print_table(("destination", *_PUSH_COLUMNS), rows)
    for text in (*(d.explanation for d in call.deliveries), *(e.text for e in call.explanations)):
        echo(f"\n{text}")


def _find_id(settings: Settings, written: str) -> str:
    """Return the id itself if a call has it, else the id of the newest call with this number."""

    def find(connection: Connection) -> Page:
        if find_call(connection, written) is not None:
            return Page([], None)
        return find_by_number(connection, written, settings.cloudtalk.default_region)

    page = read_ledger(settings, find)
    if not page.calls:
        return written
    if (number := len(page.calls)) > 1:
        several = f"more than {number}" if page.next else str(number)
        echo(
            f"the newest of {several} calls with the number {written};"
            f" `relay calls list --number '{written}'` lists them\n",
            err=True,
        )
    return page.calls[0].id


def _show_story(settings: Settings, id_: str, *, as_json: bool) -> None:
    def read(connection: Connection, now: Instant) -> list[Entry]:
        situation = situation_of(settings, now, for_people=not as_json)
        (row,) = require_calls(connection, [id_], situation)
        return view_story(connection, row, situation)

    entries = read_with_ledger(settings, lambda ledger: ledger.read(lambda c: read(c, ledger.now())))
    if as_json:
        print_json(entries)
        return
    print_table(
        ("at", "event", "what"), [(entry.at, entry.event, entry.text) for entry in entries], wrap="what"
    )


@command.command("split")
@click.argument("id_", metavar="ID")
@json_option
@click.pass_obj
def split_(context: Context, id_: str, *, as_json: bool) -> None:
    """Undo a wrong link between two ids of a call.

    The events with the call_id move to a record of their own. The link is not made again: later events
    with the call_id go to the new record.
    """
    settings = context.settings()
    (call,) = read_calls(settings, [id_])
    try:
        parts = with_ledger(
            settings,
            lambda ledger: split_call(ledger, call.id, fold_options(settings)),
        )
    except SplitError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        print_json(parts)
    else:
        echo(f"split {parts.split_off} from {parts.kept}; {parts.events_moved} events were moved")
