"""A settings file, the commands on it, and a relay that works on its ledger for a moment."""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from relay.cli.ledger import write_ledger
from relay.cli.main import cli
from relay.cli.queries import status_view
from relay.ledger import quarantine
from relay.ledger.quarantine import NewQuarantinedBody
from relay.settings import load
from tests.support.in_process import in_process_relay
from tests.support.relay import HOOK
from tests.support.samples import RECEIVED_AT

LOCAL = """
[destinations.crm]
client = "local"
path = "crm.db"
"""


class Home:
    """A folder with a settings file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "settings.toml"
        self.crm = folder / "crm.db"
        self.write(LOCAL)

    def write(self, settings: str) -> None:
        """Settings of the test's own; the ledger lies in the folder whatever they say."""
        self.path.write_text(f'[ledger]\nurl = "sqlite:///relay.db"\n{settings}')

    def run(self, *arguments: str) -> Result:
        """One command, in this process."""
        return CliRunner().invoke(cli, ["--settings", str(self.path), *arguments])

    def json(self, *arguments: str) -> Any:
        """What a command that must be good says to scripts."""
        done = self.run(*arguments, "--json")
        assert (done.exit_code, done.stderr) == (0, "")
        return json.loads(done.stdout)

    def keep(self, raw: bytes, *, reason: str, message: str) -> None:
        """Put a body into quarantine."""
        row = NewQuarantinedBody(RECEIVED_AT, reason, message, "", "application/json", HOOK, "", raw)
        write_ledger(load(self.path), lambda connection: quarantine.add(connection, row))

    def take(self, *bodies: Any, until: Callable[[dict[str, Any]], bool]) -> None:
        """A relay takes these bodies and works until its status is as the test needs it."""
        asyncio.run(self._take(bodies, until))

    async def _take(self, bodies: Sequence[Any], until: Callable[[dict[str, Any]], bool]) -> None:
        settings = load(self.path)
        enabled = {name: destination.enabled for name, destination in settings.destinations.items()}
        async with in_process_relay(settings) as (relay, client), asyncio.timeout(10):
            for body in bodies:
                await client.post(HOOK, json=body)
            while not until(
                await relay.ledger.read(lambda c: status_view(c, enabled, now=relay.ledger.now()))
            ):
                await asyncio.sleep(0.01)


def settled(calls: int) -> Callable[[dict[str, Any]], bool]:
    """So many calls, each of them delivered everywhere."""
    return lambda status: (
        status["calls"] == calls
        and status["events"]["unfolded"] == 0
        and all(d["delivered"] == calls and not d["pending"] for d in status["destinations"])
    )
