"""`relay demo`: a relay with an embedded CRM and simulated calls, in a temporary folder."""

import asyncio
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from relay.cli.output import echo, print_fields, print_table
from relay.cli.progress import progress_bar
from relay.simulator import simulate
from relay.simulator.demo import DemoError, DemoRelay
from relay.simulator.relay_process import RelayProcessError

_COLUMNS: Final = {
    "id": "id",
    "direction": "direction",
    "status": "status",
    "number": "external_number",
    "follow_up": "follow_up",
}
"""Headings of the table, and the columns of the CRM. They fit 80 columns, also without a terminal."""

_FIELDS: Final = (
    "id",
    "direction",
    "status",
    "from",
    "to",
    "contact_name",
    "started_at",
    "ended_at",
    "response_seconds",
    "duration_seconds",
    "follow_up",
)
_CALLS: Final = 12
_EVENTS_PER_SECOND: Final = 10
_WEBHOOK_PATH: Final = "/cloudtalk/webhook"


@click.command("demo")
@click.option("--once", is_flag=True, help="End after the simulated calls instead of running until Ctrl-C.")
def command(*, once: bool) -> None:
    """Try the relay with simulated calls and an embedded CRM.

    Starts a relay, sends it the events of simulated calls, and prints the records of the CRM.

    All files are in a temporary folder, which is deleted at the end.
    """
    handle_signals()
    with tempfile.TemporaryDirectory(prefix="relay-demo-") as folder:
        relay = DemoRelay(Path(folder))
        try:
            _run(relay, once=once)
        except (DemoError, RelayProcessError) as error:
            raise click.ClickException(str(error)) from error


def handle_signals() -> None:
    """Let SIGTERM and SIGHUP end the demo as Ctrl-C does, so that its relay and its folder are removed.

    Both raise SIGINT: while an event loop runs, only asyncio's own handler of SIGINT ends its tasks in order.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGTERM", "SIGHUP"):
        if number := getattr(signal, name, None):  # not every platform has both of them
            signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))


def _run(relay: DemoRelay, *, once: bool) -> None:
    with relay.running():
        echo(f"The relay listens at {relay.url}. Its ledger, CRM and log are in\n{relay.folder}")
        echo(f"Sending the events of {_CALLS} calls, shuffled and partly twice …\n")
        asyncio.run(_send_calls_and_print_records(relay))
        if once:
            return
        echo(f"\nThe console, to see the calls in a browser: {relay.url}/console")
        echo(f"\nThe relay runs until Ctrl-C. Send it an event yourself:\n{_example(relay.url)}")
        echo(f"and read the CRM with any SQLite tool: {relay.crm}")
        relay.wait_for_exit()


async def _send_calls_and_print_records(relay: DemoRelay) -> None:
    with progress_bar("events") as on_progress:
        report = await simulate(
            relay.url + _WEBHOOK_PATH,
            calls=_CALLS,
            rate=_EVENTS_PER_SECOND,
            chaos=True,
            on_progress=on_progress,
        )
    if report.acknowledged != report.sent:
        raise DemoError(f"only {report.acknowledged} of {report.sent} events were acknowledged")
    rows = await relay.wait_for_records(report.expected)
    echo(f"The CRM's table calls, as read from {relay.crm}:\n")
    print_fields(_example_record(rows))
    echo("\nAll records:\n")
    print_table(tuple(_COLUMNS), ([row[column] for column in _COLUMNS.values()] for row in rows))
    follow_ups = sum(row["follow_up"] for row in rows)
    echo(
        f"\nMissed calls that are marked for follow-up: {follow_ups}."
        f"\n{report.sent} events gave {len(rows)} records. All are as expected."
    )


def _example_record(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the record that has the most fields."""
    example = max(rows, key=lambda row: sum(row[field] is not None for field in _FIELDS))
    return {field: example[field] for field in _FIELDS}


def _example(url: str) -> str:
    return (
        f"  curl {url}{_WEBHOOK_PATH} \\\n"
        "    -H 'Content-Type: application/json' \\\n"
        """    -d '{"event":"call.missed","data":{"id":"my-call","direction":"inbound",\n"""
        """         "from":"+34612345678","to":"+34910000000"}}'"""
    )
