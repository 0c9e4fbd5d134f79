"""A folder with a settings file: a test runs commands in it, and a relay on its ledger."""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from click.testing import CliRunner, Result

from relay.cli.ledger_session import with_ledger
from relay.cli.main import cli
from relay.ledger import quarantine
from relay.ledger.connection import Connection
from relay.ledger.quarantine import NewQuarantinedBody
from relay.operations.explanation import situation_of
from relay.operations.status import Status, get_status
from relay.settings import load
from tests.support.in_process import in_process_relay
from tests.support.patience import PATIENCE
from tests.support.relay import WEBHOOK_PATH
from tests.support.samples import RECEIVED_AT

T = TypeVar("T")

STARTED = {"event": "call.started", "data": {"id": "1", "direction": "inbound"}}

LOCAL = """
[destinations.crm]
client = "local"
path = "crm.db"
"""


class Home:
    """A folder with a settings file, a ledger, and an embedded CRM `crm`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "settings.toml"
        self.crm = folder / "crm.db"
        self.write_settings(LOCAL)

    def write_settings(self, settings: str) -> None:
        """Replace the settings; the ledger stays in the folder."""
        self.path.write_text(f'[ledger]\nurl = "sqlite:///relay.db"\n{settings}')

    def run(self, *arguments: str, input_: str | None = None) -> Result:
        """Run one command in this process. `input_`: what a person types."""
        return CliRunner().invoke(cli, ["--settings", str(self.path), *arguments], input=input_)

    def json(self, *arguments: str) -> Any:
        """Run one command with `--json`; it must succeed. Returns what it printed."""
        result = self.run(*arguments, "--json")
        assert (result.exit_code, result.stderr) == (0, "")
        return json.loads(result.stdout)

    def create_files(self) -> None:
        """Create the ledger and the embedded CRM, both empty."""
        self.write_ledger(lambda _: None)
        assert self.run("setup", "crm").exit_code == 0

    def write_ledger(self, write: Callable[[Connection], T]) -> T:
        return with_ledger(load(self.path), lambda ledger: ledger.write(write))

    def add_quarantined_body(self, raw: bytes, *, reason: str, message: str) -> None:
        row = NewQuarantinedBody(RECEIVED_AT, reason, message, "", "application/json", WEBHOOK_PATH, "", raw)
        self.write_ledger(lambda connection: quarantine.add(connection, row))

    def count_pending(self) -> dict[str, int]:
        """Return the number of pending deliveries of each destination."""
        return {row["name"]: row["pending"] for row in self.json("destinations", "list")}

    def run_relay(self, *bodies: Any, until: Callable[[Status], bool]) -> None:
        """Run a relay, post these bodies to it, and stop it once `until` is true of the status."""
        asyncio.run(self._run_relay(bodies, until))

    async def _run_relay(self, bodies: Sequence[Any], until: Callable[[Status], bool]) -> None:
        settings = load(self.path)
        async with in_process_relay(settings) as (relay, client), asyncio.timeout(PATIENCE):
            for body in bodies:
                await client.post(WEBHOOK_PATH, json=body)
            situation = situation_of(settings, relay.ledger.now())
            while not until(await relay.ledger.read(lambda c: get_status(c, situation))):
                await asyncio.sleep(0.01)


def all_delivered(calls: int) -> Callable[[Status], bool]:
    """A condition for `run_relay`: there are this many calls, and every destination has all of them."""
    return lambda status: (
        status.calls == calls
        and status.events.unfolded == 0
        and all(d.delivered == calls and not d.pending for d in status.destinations)
    )
