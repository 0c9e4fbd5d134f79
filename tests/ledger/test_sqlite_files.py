"""Files of SQLite that are removed, replaced, truncated or damaged, while they are open and before."""

import os
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import insert

from relay.ledger import Ledger, LedgerUnavailable
from relay.ledger.connection import Connection
from relay.ledger.errors import LedgerDamaged, LedgerUnusable
from relay.ledger.sqlite_files import CheckTimeout, find_damage
from relay.ledger.tables import warnings
from tests.support.patience import PATIENCE

SUFFIXES = ("", "-wal", "-shm")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "relay.db"


@pytest.fixture
async def opened(path: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger(f"sqlite:///{path}")
    await ledger.open()
    yield ledger
    await ledger.close()


def add(connection: Connection, name: str = "row", size: int = 10) -> None:
    connection.execute(insert(warnings).values(name=name, recorded_at=0, message="x" * size))


def names(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM warnings ORDER BY name")]


def rename(path: Path) -> Path:
    return path.rename(path.with_name("away"))


async def replace_by_copy(ledger: Ledger, path: Path) -> None:
    await ledger.empty_wal()
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    copy.replace(path)


# --- other files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
async def test_without_a_file_nothing_is_read_or_written_until_it_is_back(
    opened: Ledger, path: Path, suffix: str
) -> None:
    file = path.with_name(path.name + suffix)
    away = rename(file)
    with pytest.raises(LedgerUnusable, match=f"{file} of the ledger was removed"):
        await opened.write(add)
    with pytest.raises(LedgerUnusable):
        await opened.read(lambda _: None)
    assert not file.exists()
    away.rename(file)
    await opened.write(add)
    await opened.close()
    assert names(path) == ["row"]


async def test_a_folder_that_is_away_is_no_ledger(opened: Ledger, path: Path) -> None:
    away = rename(path.parent)
    with pytest.raises(LedgerUnusable, match="removed"):
        await opened.write(add)
    path.parent.touch()
    with pytest.raises(LedgerUnusable, match="removed"):
        await opened.write(add)
    path.parent.unlink()
    away.rename(path.parent)
    await opened.write(add)


async def test_a_replaced_file_is_not_used(opened: Ledger, path: Path) -> None:
    await replace_by_copy(opened, path)
    with pytest.raises(LedgerUnusable, match="replaced while the relay runs"):
        await opened.write(add)
    assert names(path) == []


async def test_a_file_that_is_removed_during_a_commit_is_noticed(opened: Ledger, path: Path) -> None:
    def remove(connection: Connection) -> None:
        add(connection)
        path.unlink()

    with pytest.raises(LedgerUnusable, match="removed"):
        await opened.write(remove)


async def test_a_removed_file_is_not_created_by_a_new_connection(opened: Ledger, path: Path) -> None:
    opened._engine.dispose()
    rename(path)
    with pytest.raises(LedgerUnavailable):
        await opened.write(add)
    assert "relay.db" not in [file.name for file in path.parent.iterdir()]


async def test_connections_that_are_all_closed_and_opened_again_are_no_fault(opened: Ledger) -> None:
    opened._engine.dispose()
    await opened.write(add)
    await opened.read(lambda _: None)
    await opened.write(lambda connection: add(connection, "second"))


async def test_another_process_may_open_close_and_vacuum_the_ledger(opened: Ledger, path: Path) -> None:
    for size in (1_000_000, 10):
        await opened.write(partial(add, name=str(size), size=size))
        await opened.empty_wal()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("DELETE FROM warnings")
        other.execute("VACUUM")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    await opened.write(add)
    await opened.check_files()


async def test_a_file_that_was_renamed_gets_the_content_of_its_wal(opened: Ledger, path: Path) -> None:
    await opened.write(add)
    away = rename(path)
    with pytest.raises(LedgerUnusable):
        await opened.check_files()
    await opened.empty_wal()
    assert path.with_name("relay.db-wal").stat().st_size == 0
    assert names(away) == ["row"]


# --- damage ---------------------------------------------------------------------------------------


def to_nothing(path: Path) -> None:
    os.truncate(path, 0)


def to_a_few_bytes(path: Path) -> None:
    path.write_bytes(b"another file")


def to_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def to_all_but_a_page(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 4096)


def zeros(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:4096] + bytes(path.stat().st_size - 4096))


def other_kinds_of_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for at in range(4096, len(content), 4096):
        content[at] ^= 0xFF
    path.write_bytes(content)


def no_header(path: Path) -> None:
    path.write_bytes(bytes(100) + path.read_bytes()[100:])


@pytest.mark.parametrize("shrink", [to_nothing, to_a_few_bytes, to_half, to_all_but_a_page])
async def test_a_file_that_shrank_is_refused_for_good(
    opened: Ledger, path: Path, shrink: Callable[[Path], None]
) -> None:
    await opened.write(lambda connection: add(connection, "large", 100_000))
    await opened.empty_wal()
    await opened.check_files()
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    shrink(path)
    with pytest.raises(LedgerDamaged, match="relay ledger restore BACKUP"):
        await opened.check_files()
    shutil.copy(copy, path)
    with pytest.raises(LedgerDamaged):
        await opened.write(add)


@pytest.mark.parametrize("damage", [to_half, to_all_but_a_page, zeros, other_kinds_of_pages, no_header])
async def test_a_damaged_file_is_found_before_it_is_opened(
    path: Path, damage: Callable[[Path], None]
) -> None:
    ledger = Ledger(f"sqlite:///{path}")
    await ledger.open()
    await ledger.close()
    damage(path)
    damaged = Ledger(f"sqlite:///{path}")
    with pytest.raises(LedgerDamaged, match="relay ledger restore BACKUP"):
        await damaged.check_content(10)
    with pytest.raises(LedgerDamaged):
        await damaged.write(add)
    await damaged.close()


async def test_damage_that_a_transaction_meets_ends_all_use(opened: Ledger, path: Path) -> None:
    await opened.write(add)
    await opened.empty_wal()
    opened._engine.dispose()  # forget the pages that are in memory
    zeros(path)
    with pytest.raises(LedgerDamaged, match="malformed"):
        await opened.read(lambda connection: connection.execute_sql("SELECT * FROM events"))
    with pytest.raises(LedgerDamaged):
        await opened.write(lambda _: None)


async def test_a_sound_file_or_none_has_no_damage(opened: Ledger, path: Path, tmp_path: Path) -> None:
    assert await opened.check_content(10)
    assert find_damage(path, 10) is None
    new = Ledger(f"sqlite:///{tmp_path / 'new.db'}")
    assert await new.check_content(10)
    await new.close()


async def test_a_large_file_is_checked_for_a_limited_time(opened: Ledger, path: Path) -> None:
    def add_many(connection: Connection) -> None:
        for number in range(500):
            add(connection, str(number))

    await opened.write(add_many)
    began = time.monotonic()
    with pytest.raises(CheckTimeout):
        find_damage(path, 0)
    assert not await opened.check_content(0)
    assert time.monotonic() - began < PATIENCE
    await opened.write(add)
