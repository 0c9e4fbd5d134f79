"""How many connections there may be, and which are closed first."""

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from structlog.testing import capture_logs

from relay.server.connections import Connections, connection_limit
from tests.support.patience import PATIENCE


class FakeConnection:
    def __init__(self) -> None:
        self.is_open = True

    def abort(self) -> None:
        self.is_open = False


def fill(connections: Connections, number: int) -> list[FakeConnection]:
    made = [FakeConnection() for _ in range(number)]
    for connection in made:
        assert connections.add(connection)
    return made


def still_open(made: list[FakeConnection]) -> list[int]:
    return [index for index, connection in enumerate(made) if connection.is_open]


async def test_the_connection_that_is_idle_longest_is_closed_first() -> None:
    connections = Connections(4)
    made = fill(connections, 4)
    for index in (2, 1, 3):
        connections.set_busy(made[index])
        connections.set_idle(made[index])
    fill(connections, 1)
    assert still_open(made) == [0, 1, 3]
    fill(connections, 1)
    assert still_open(made) == [0, 3]


async def test_the_oldest_unfinished_connection_is_closed_if_none_is_idle() -> None:
    connections = Connections(3)
    made = fill(connections, 3)
    connections.set_busy(made[0])
    connections.set_unfinished(made[1])  # more of its head arrived: it does not become younger
    made += fill(connections, 1)
    assert still_open(made) == [0, 2, 3]
    connections.set_busy(made[2])
    connections.set_idle(made[2])
    connections.set_unfinished(made[2])  # it had a request: its next head began later than the last one
    made += fill(connections, 1)
    assert still_open(made) == [0, 2, 4]


async def test_a_closed_connection_does_not_become_idle() -> None:
    connections = Connections(1)
    (closed,) = fill(connections, 1)
    connections.remove(closed)
    connections.set_idle(closed)  # its response ended after it was closed
    (busy,) = fill(connections, 1)
    connections.set_busy(busy)
    assert not connections.add(FakeConnection())
    assert busy.is_open


async def test_a_connection_with_a_request_is_never_closed() -> None:
    connections = Connections(2)
    made = fill(connections, 2)
    for connection in made:
        connections.set_busy(connection)
    assert not connections.add(FakeConnection())
    assert still_open(made) == [0, 1]
    connections.remove(made[0])
    assert connections.add(FakeConnection())


async def test_closed_connections_are_logged_at_once_and_then_in_sum() -> None:
    connections = Connections(1, report_seconds=0.01)

    def counts(lines: Any) -> list[dict[str, int]]:
        return [line["closed"] for line in lines]

    with capture_logs() as lines:
        for _ in range(4):
            fill(connections, 1)
        assert counts(lines) == [{"unfinished": 1}]
        async with asyncio.timeout(PATIENCE):
            while len(lines) < 2:
                await asyncio.sleep(0)
        assert counts(lines[1:]) == [{"unfinished": 2}]
        await asyncio.sleep(0.03)  # nothing was closed: nothing is logged
        connections.count("too_slow")
    assert counts(lines[2:]) == [{"too_slow": 1}]
    assert {(line["event"], line["log_level"], line["limit"]) for line in lines} == {
        ("server.connections_closed", "warning", 1)
    }


@pytest.mark.parametrize(
    ("open_files", "max_in_flight", "limit"),
    [(1024, 1000, 824), (65_536, 1000, 2000), (65_536, 4, 1000), (65_536, 9000, 18_000), (256, 1000, 128)],
)
def test_the_limit_leaves_files_for_the_ledger_and_the_crms(
    open_files: int, max_in_flight: int, limit: int
) -> None:
    assert connection_limit(open_files, max_in_flight) == limit


RAISE = "from relay.server.connections import raise_open_files; print(raise_open_files())"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not count sockets as files")
def test_the_limit_of_open_files_is_raised_to_the_hard_limit() -> None:
    limited = ["sh", "-c", 'ulimit -Sn 123; ulimit -Hn 456; exec "$@"', "sh"]
    done = subprocess.run([*limited, sys.executable, "-c", RAISE], capture_output=True, check=True)  # noqa: S603 - fixed command
    assert done.stdout == b"456\n"
