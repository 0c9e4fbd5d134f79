"""`relay demo`: see it work, with nothing of one's own at stake."""

import asyncio
import signal
import tempfile
from pathlib import Path
from typing import Final

import click

from relay.cli.output import print_table
from relay.cli.progress import progress_bar
from relay.simulator import simulate
from relay.simulator.demo import DemoError, DemoRelay

_COLUMNS: Final = (
    "id",
    "direction",
    "status",
    "external_number",
    "contact_name",
    "started_at",
    "response_seconds",
    "duration_seconds",
    "follow_up",
)
_CALLS: Final = 12
_EVENTS_PER_SECOND: Final = 10
_HOOK: Final = "/cloudtalk/webhook"


@click.command("demo")
@click.option("--once", is_flag=True, help="End by itself instead of serving until Ctrl-C.")
def command(*, once: bool) -> None:
    """See it work, with nothing of your own at stake.

    A simulated CloudTalk calls a relay with an embedded CRM; then you see what the CRM has.

    All of it lies in a scratch folder, and is gone afterwards.
    """
    _end_in_order()
    with tempfile.TemporaryDirectory(prefix="relay-demo-") as folder:
        demo = DemoRelay(Path(folder))
        try:
            _run(demo, once=once)
        except DemoError as error:
            raise click.ClickException(str(error)) from error


def _end_in_order() -> None:
    """A supervisor and a terminal that closes end the demo as Ctrl-C does, with its relay and its folder."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if found := getattr(signal, name, None):  # not every platform has all
            signal.signal(found, signal.default_int_handler)


def _run(demo: DemoRelay, *, once: bool) -> None:
    with demo.running():
        click.echo(f"A relay listens at {demo.url}; its ledger, CRM and log are in {demo.folder}")
        click.echo(f"CloudTalk calls: {_CALLS} calls, events doubled and in any order …\n")
        asyncio.run(_show(demo))
        if once:
            return
        click.echo(f"\nThe relay goes on until Ctrl-C. Call it yourself:\n{_example(demo.url)}")
        click.echo(f"and look into the CRM with any SQLite tool: {demo.crm}")
        demo.wait_for_exit()


async def _show(demo: DemoRelay) -> None:
    with progress_bar("events") as on_progress:
        report = await simulate(
            demo.url + _HOOK, calls=_CALLS, rate=_EVENTS_PER_SECOND, chaos=True, on_progress=on_progress
        )
    if report.acknowledged != report.sent:
        raise DemoError(f"only {report.acknowledged} of {report.sent} events were acknowledged")
    rows = await demo.wait_for_records(report.expected)
    click.echo(f"The CRM's table calls, as read from {demo.crm}:\n")
    print_table(_COLUMNS, ([row[column] for column in _COLUMNS] for row in rows))
    click.echo(f"\n{report.sent} events, {len(rows)} records, each as it must be.")


def _example(url: str) -> str:
    body = (
        '{"event":"call.missed","data":{"id":"my-call","direction":"inbound",'
        '"from":"+34612345678","to":"+34910000000"}}'
    )
    return f"  curl {url}{_HOOK} -H 'Content-Type: application/json' -d '{body}'"
