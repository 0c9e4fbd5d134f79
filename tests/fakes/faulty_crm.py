"""A CRM with faults to order: a process of its own that speaks Supabase's REST API of tables.

It outlives the relays that a test kills, and keeps what reached it for the account at the end.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from tests.fakes.faults import Fault, Faults, Tally, Written

__all__ = ["Fault", "Faults", "FaultyCrm", "Tally", "Written", "running_faulty_crm"]

_PROJECT: Final = Path(__file__).parents[2]
_KEY: Final = "sb_secret_of_the_tests"


class FaultyCrm:
    """What a test says to the CRM and hears from it. `url` is what a relay is told,
    `control_url` what another process of the test is."""

    def __init__(self, url: str, control: httpx.Client) -> None:
        self.url = url
        self.control_url = str(control.base_url)
        self._control = control

    def settings(self, name: str = "crm", **more: Any) -> str:
        """The section of a relay's settings that names this CRM; `more` as JSON, which TOML reads too."""
        said = {"client": "supabase", "url": self.url, "key": _KEY} | more
        lines = [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in said.items()]
        return "\n".join([f"[destinations.{name}]", *lines, ""])

    def have(self, **faults: Any) -> None:
        """From now on exactly these faults, those of `Faults`; none without arguments."""
        self._control.put("/faults", content=msgspec.json.encode(Faults(**faults))).raise_for_status()

    def wait_for_push(self, seconds: float) -> bool:
        """Return as soon as the next push is under way; whether there was one in that time."""
        answer = self._control.get("/next-push", params={"seconds": seconds})
        return bool(answer.raise_for_status().json())

    def rows(self) -> list[dict[str, Any]]:
        """Every row that the CRM has."""
        content = self._control.get("/rows").raise_for_status().content
        return msgspec.json.decode(content, type=list[dict[str, Any]])

    def by_id(self) -> dict[str, dict[str, Any]]:
        """The same by id."""
        return {row["id"]: row for row in self.rows()}

    def clear(self) -> None:
        """It has no rows, and has counted nothing."""
        self._control.delete("/rows").raise_for_status()

    def tally(self) -> Tally:
        """What it counted so far."""
        return msgspec.json.decode(self._control.get("/tally").raise_for_status().content, type=Tally)

    def written(self) -> dict[str, Written]:
        """How each row was written, by id."""
        return msgspec.json.decode(
            self._control.get("/written").raise_for_status().content, type=dict[str, Written]
        )


@contextmanager
def running_faulty_crm(seed: int = 0) -> Iterator[FaultyCrm]:
    """A CRM for as long as the block; `seed` of its random faults."""
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "tests.fakes.faulty_crm_process", str(seed)],
        cwd=_PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        said = msgspec.json.decode(process.stdout.readline())
        with httpx.Client(base_url=said["control"], timeout=60, trust_env=False) as control:
            yield FaultyCrm(said["url"], control)
    finally:
        process.kill()
        process.communicate()
