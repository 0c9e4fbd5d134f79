"""The watch over the files of a ledger."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from relay.ledger import watch
from relay.ledger.watch import watch_ledger
from relay.ledger.write_check import check_writable
from tests.support.ledgers import open_ledger
from tests.support.patience import PATIENCE
from tests.support.postgres import Databases


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def test_the_absence_and_the_return_of_the_file_are_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, away = tmp_path / "relay.db", tmp_path / "away"
    monkeypatch.setattr(watch, "_INTERVAL_SECONDS", 0.01)
    async with open_ledger(f"sqlite:///{path}") as ledger:
        await check_writable(ledger)
        with capture_logs() as lines:
            task = asyncio.create_task(watch_ledger(ledger))
            try:
                for times in (1, 2):
                    path.rename(away)
                    await until(lambda n=times: len(lines) == 2 * n - 1)  # type: ignore[misc]
                    await until(lambda: not path.with_name("relay.db-wal").stat().st_size)
                    away.rename(path)
                    await until(lambda n=times: len(lines) == 2 * n)  # type: ignore[misc]
            finally:
                task.cancel()
    shown: list[tuple[Any, ...]] = [(line["event"], line["log_level"]) for line in lines]
    assert shown == [("ledger.unusable", "error"), ("ledger.usable", "info")] * 2
    assert f"{path} of the ledger was removed" in lines[0]["problem"]


async def test_a_ledger_on_a_server_has_no_files_to_watch(databases: Databases) -> None:
    with databases.fresh() as url:
        async with open_ledger(url) as ledger:
            await watch_ledger(ledger)
