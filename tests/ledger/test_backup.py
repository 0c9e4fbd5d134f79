"""Backup and restore of SQLite ledgers."""

import asyncio
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from relay.instants import Instant
from relay.ledger import Ledger, LedgerError, LedgerUnavailable, backup, epochs, journal, leases
from relay.ledger.generation_file import Generation, GenerationFile
from relay.ledger.write_check import check_writable
from tests.support.journal import count_events
from tests.support.ledgers import open_ledger
from tests.support.samples import make_event_row

NOW = Instant(9)


async def create_ledger(path: Path, *, events: int) -> None:
    async with open_ledger(f"sqlite:///{path}") as ledger:
        rows = [make_event_row(at=at) for at in range(events)]
        await ledger.write(lambda c: journal.append(c, rows))


async def read(path: Path) -> tuple[tuple[int, int, int], int]:
    async with open_ledger(f"sqlite:///{path}") as ledger:
        return await ledger.read(count_events), await ledger.read(epochs.current)


def names_in(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


async def test_a_backup_of_a_ledger_in_use_has_what_is_committed(tmp_path: Path) -> None:
    source, copy = tmp_path / "relay.db", tmp_path / "copy.db"
    async with open_ledger(f"sqlite:///{source}") as ledger:
        for number in (1, 2):  # the second copy replaces the first one
            await ledger.write(lambda c, at=number: journal.append(c, [make_event_row(at=at)]))  # type: ignore[misc]
            await asyncio.to_thread(backup.back_up, source, copy)
    assert (await read(copy))[0][0] == 2
    assert names_in(tmp_path) == {"relay.db", "copy.db"}


def test_a_ledger_is_no_backup_of_itself(tmp_path: Path) -> None:
    asyncio.run(create_ledger(tmp_path / "relay.db", events=1))
    with pytest.raises(LedgerError, match="is the ledger itself"):
        backup.back_up(tmp_path / "relay.db", tmp_path / "relay.db")
    with pytest.raises(LedgerError, match="there is no ledger"):
        backup.back_up(tmp_path / "absent.db", tmp_path / "copy.db")


async def test_missing_folders_are_created(tmp_path: Path) -> None:
    """A restore on a new machine has no folder for the ledger yet."""
    await create_ledger(tmp_path / "relay.db", events=1)
    copy, ledger = tmp_path / "backups/copy.db", tmp_path / "new/var/relay.db"
    backup.back_up(tmp_path / "relay.db", copy)
    assert backup.restore(ledger, copy, now=NOW) is None
    assert (await read(ledger))[0][0] == 1
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (copy.parent, ledger.parent)} == {0o700}


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    asyncio.run(create_ledger(tmp_path / "relay.db", events=1))
    target = tmp_path / "relay.db/copy.db"
    with pytest.raises(LedgerError, match=f"{target} cannot be written"):
        backup.back_up(tmp_path / "relay.db", target)


async def test_a_restore_begins_an_epoch_above_all_that_it_can_find(tmp_path: Path) -> None:
    ledger, copy = tmp_path / "relay.db", tmp_path / "copy.db"
    await create_ledger(copy, events=1)
    await create_ledger(ledger, events=3)
    backup.restore(ledger, copy, now=NOW)
    assert await read(ledger) == ((1, 1, 0), 1)
    backup.restore(ledger, copy, now=NOW)
    assert (await read(ledger))[1] == 2
    GenerationFile(ledger).write(Generation(6, 100))
    kept = backup.restore(ledger, copy, now=NOW)
    assert (await read(ledger))[1] == 7
    assert GenerationFile(ledger).read() == (0, 0)
    assert kept is not None
    assert (await read(kept))[1] == 2
    ledger.write_bytes(b"no database")  # a reason to restore
    backup.restore(ledger, copy, now=NOW)
    assert (await read(ledger))[0][0] == 1


async def test_the_leases_of_a_backup_are_free_after_its_restore(tmp_path: Path) -> None:
    ledger, copy = tmp_path / "relay.db", tmp_path / "copy.db"
    async with open_ledger(f"sqlite:///{ledger}") as opened:
        length = Instant(2**60)
        await opened.write(
            lambda c: leases.acquire(c, "fold", "another-host/1/1", now=opened.now(), length=length)  # type: ignore[arg-type]
        )
        await asyncio.to_thread(backup.back_up, ledger, copy)
    backup.restore(ledger, copy, now=NOW)
    async with open_ledger(f"sqlite:///{ledger}") as opened:
        assert await opened.read(lambda c: leases.list_held(c, now=Instant(0))) == []


def write_foreign_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE calls (id TEXT)")


@pytest.mark.parametrize("content", ["absent", "empty", "text", "foreign", "cut", "newer"])
async def test_what_is_no_sound_backup_is_refused_and_nothing_changes(tmp_path: Path, content: str) -> None:
    ledger, source = tmp_path / "relay.db", tmp_path / "copy.db"
    await create_ledger(ledger, events=2)
    match content:
        case "empty":
            source.touch()
        case "text":
            source.write_text("no database " * 1_000)
        case "foreign":
            write_foreign_database(source)
        case "cut":
            source.write_bytes(ledger.read_bytes()[:20_000])
        case "newer":
            source.write_bytes(ledger.read_bytes())
            with closing(sqlite3.connect(source)) as connection:
                connection.execute("UPDATE alembic_version SET version_num = '9999'")
                connection.execute("UPDATE schema_compatibility SET compatible_from = '9999'")
                connection.commit()
    before = ledger.read_bytes()
    with pytest.raises(LedgerError):
        backup.restore(ledger, source, now=NOW)
    assert ledger.read_bytes() == before
    assert names_in(tmp_path) <= {"relay.db", "copy.db"}


async def test_a_ledger_in_use_is_not_replaced(tmp_path: Path) -> None:
    """The lock of another process is tested with real processes in `tests/acceptance/test_restore.py`."""
    await create_ledger(tmp_path / "relay.db", events=1)
    assert backup.process_that_uses(tmp_path / "relay.db") is None
    assert backup.process_that_uses(tmp_path / "absent.db") is None


async def test_a_vacuum_gives_space_back(tmp_path: Path) -> None:
    path = tmp_path / "relay.db"
    await create_ledger(path, events=2_000)
    before = path.stat().st_size
    async with open_ledger(f"sqlite:///{path}") as ledger:
        await ledger.write(lambda c: c.execute_sql("DELETE FROM events"))
        await ledger.write(lambda c: c.execute_sql("DELETE FROM bodies"))
        await ledger.vacuum()
        assert path.stat().st_size < before // 2
        await check_writable(ledger)


async def test_a_vacuum_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.ledger.sqlite.BUSY_SECONDS", 0)
    async with open_ledger(f"sqlite:///{tmp_path}/relay.db") as ledger:
        with closing(sqlite3.connect(tmp_path / "relay.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerUnavailable, match="database is locked"):
                await ledger.vacuum()
        await ledger.vacuum()
        await check_writable(ledger)


async def test_a_vacuum_works_on_every_engine(ledger_url: str) -> None:
    ledger = Ledger(ledger_url)
    await ledger.open()
    await ledger.vacuum()
    await ledger.close()
