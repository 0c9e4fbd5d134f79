"""A CRM that fails on demand: a process of its own with Supabase's REST API of tables.

It survives the relays that a test kills, and keeps every row for the check at the end.
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
    """The test's side of the CRM: sets its faults and reads its rows and counts.

    `url`: the address for a relay. `control_url`: the address that sets faults and returns counts.
    """

    def __init__(self, url: str, control: httpx.Client) -> None:
        self.url = url
        self.control_url = str(control.base_url)
        self._control = control

    def settings(self, name: str = "crm", **more: Any) -> str:
        """The destination's section of a relay's settings, as TOML; `more`: further keys."""
        values = {"client": "supabase", "url": self.url, "key": _KEY} | more
        # A string, number or list in JSON is valid TOML too.
        lines = [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in values.items()]
        return "\n".join([f"[destinations.{name}]", *lines, ""])

    def set_faults(self, **faults: Any) -> None:
        """Replace the faults by these fields of `Faults`; without arguments the CRM has none."""
        self._control.put("/faults", content=msgspec.json.encode(Faults(**faults))).raise_for_status()

    def wait_for_push(self, seconds: float) -> bool:
        """Wait until the next push begins; return whether one began within `seconds`."""
        response = self._control.get("/next-push", params={"seconds": seconds})
        return bool(response.raise_for_status().json())

    def rows(self) -> list[dict[str, Any]]:
        """Return every row, once all late writes are done."""
        content = self._control.get("/rows").raise_for_status().content
        return msgspec.json.decode(content, type=list[dict[str, Any]])

    def rows_by_id(self) -> dict[str, dict[str, Any]]:
        return {row["id"]: row for row in self.rows()}

    def clear(self) -> None:
        """Remove all rows and reset all counts."""
        self._control.delete("/rows").raise_for_status()

    def tally(self) -> Tally:
        return msgspec.json.decode(self._control.get("/tally").raise_for_status().content, type=Tally)

    def written(self) -> dict[str, Written]:
        """Return the writes of each row, by id; rows that were deleted are included."""
        return msgspec.json.decode(
            self._control.get("/written").raise_for_status().content, type=dict[str, Written]
        )


@contextmanager
def running_faulty_crm(seed: int = 0) -> Iterator[FaultyCrm]:
    """Run a CRM during the block; `seed`: of its random faults."""
    process = subprocess.Popen(  # noqa: S603 - fixed command
        [sys.executable, "-m", "tests.fakes.faulty_crm_process", str(seed)],
        cwd=_PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        urls = msgspec.json.decode(process.stdout.readline(), type=dict[str, str])
        with httpx.Client(base_url=urls["control"], timeout=60, trust_env=False) as control:
            yield FaultyCrm(urls["url"], control)
    finally:
        process.kill()
        process.communicate()
