"""Huge events from an authenticated sender: the relay folds them in little memory, and the others go on."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.relay import RelayProcess, crm_rows, eventually, running_relay

SETTINGS: Final = """
[server]
port = 0
[cloudtalk]
max_body_bytes = 6_000_000
[ledger]
url = "sqlite:///relay.db"
[destinations.crm]
client = "local"
path = "crm.db"
"""
MEGABYTE: Final = 1_000_000


def edit(**data: Any) -> dict[str, Any]:
    return {"event": "call.modified", "data": {"id": "huge"} | data}


def end(agent: int, **data: Any) -> dict[str, Any]:
    """An agent's leg of the call ends."""
    return {"event": "call.ended", "data": {"id": "huge", "agent_id": agent, "talking_time": 5} | data}


HUGE: dict[str, tuple[int, Callable[[int], dict[str, Any]]]] = {
    "long keys": (120, lambda n: edit(**{f"{n}{'k' * MEGABYTE}": 1})),
    "many keys": (8, lambda n: edit(**{f"k{n}_{index}": index for index in range(50_000)})),
    "long notes": (30, lambda n: edit(notes=f"{n} " * (MEGABYTE // 4))),
    "longer notes": (15, lambda n: edit(notes=f"{n} " * (5 * MEGABYTE // 3))),
    "many tags": (8, lambda n: edit(tags=[f"tag {n} {index}" for index in range(40_000)])),
    "long names of agents": (40, lambda n: end(n, agent_first_name="N" * (9 * MEGABYTE // 10))),
}


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[RelayProcess]:
    with running_relay(tmp_path, SETTINGS) as running:
        yield running


def memory_peak(relay: RelayProcess) -> int:
    """The largest resident memory of the process so far, in MB."""
    status = Path(f"/proc/{relay.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) // 1024


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", HUGE)
def test_huge_events_are_folded_in_little_memory_and_the_next_call_is_delivered(
    relay: RelayProcess, name: str
) -> None:
    number, body = HUGE[name]
    for n in range(number):
        assert relay.post(body(n)).status_code == 200
    assert relay.post({"event": "call.started", "data": {"id": "next"}}).status_code == 200
    rows = eventually(
        lambda: crm_rows(relay.folder / "crm.db"), lambda rows: "cloudtalk-next" in rows, seconds=60
    )
    assert len(rows) == 2
    assert not [line for line in relay.log_lines() if line["event"] in {"fold.failed", "fold.set_aside"}]
    assert memory_peak(relay) < 300


def count_delivered(folder: Path) -> int:
    with closing(sqlite3.connect(f"file:{folder / 'relay.db'}?mode=ro", uri=True)) as connection:
        (number,) = connection.execute("SELECT count(*) FROM deliveries WHERE state = 'delivered'").fetchone()
    return int(number)


def three_crms(*, enabled: bool) -> str:
    crm = """
[destinations.crm{n}]
client = "local"
path = "crm{n}.db"
enabled = {enabled}
"""
    server, _, _ = SETTINGS.partition("[destinations")
    return server + "".join(crm.format(n=n, enabled=str(enabled).lower()) for n in range(3))


@pytest.mark.timeout(240)
def test_a_backlog_of_large_calls_is_delivered_to_several_crms_in_little_memory(tmp_path: Path) -> None:
    large = {"transcript": "漢" * 150_000, "notes": "😀" * 100_000}
    with running_relay(tmp_path, three_crms(enabled=False)) as relay:
        for n in range(100):
            body = {"event": "call.ended", "data": {"id": f"large{n}", "duration": 5} | large}
            assert relay.post(body).status_code == 200
    with running_relay(tmp_path, three_crms(enabled=True)) as relay:
        eventually(lambda: count_delivered(tmp_path), lambda number: number == 300)
        assert memory_peak(relay) < 200
