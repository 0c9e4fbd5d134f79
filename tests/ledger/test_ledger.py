"""One thread writes in order, one reads a snapshot, and what fails leaves nothing behind."""

import asyncio
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError

from relay.ledger import Ledger, LedgerError, LedgerUnavailable
from relay.ledger.clocks import wall_clock
from relay.ledger.process_identity import owner_name
from relay.ledger.tables import destinations


def add(connection: Connection, name: str | None) -> None:
    connection.execute(insert(destinations).values(name=name, client="local"))


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(destinations)).scalar_one()


def _note(made: list[int], number: int, _: Connection) -> None:
    made.append(number)


async def test_a_write_that_fails_leaves_nothing_behind(ledger: Ledger) -> None:
    def work(connection: Connection) -> None:
        add(connection, "crm")
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - the work's own, as it is
        await ledger.write(work)
    assert await ledger.read(count) == 0


async def test_writes_are_made_in_the_order_in_which_they_were_asked_for(ledger: Ledger) -> None:
    made: list[int] = []
    await asyncio.gather(*(ledger.write(partial(_note, made, n)) for n in range(50)))
    assert made == list(range(50))


async def test_a_read_sees_one_snapshot_whatever_is_written_meanwhile(ledger: Ledger) -> None:
    loop = asyncio.get_running_loop()

    def work(connection: Connection) -> tuple[int, int]:
        before = count(connection)
        asyncio.run_coroutine_threadsafe(ledger.write(lambda c: add(c, "crm")), loop).result()
        return before, count(connection)

    assert await ledger.read(work) == (0, 0)
    assert await ledger.read(count) == 1


async def test_a_fault_of_the_work_is_not_taken_for_one_of_the_ledger(ledger: Ledger) -> None:
    with pytest.raises(IntegrityError):
        await ledger.write(lambda c: add(c, None))


async def test_an_error_quotes_nothing_of_what_was_to_be_written(ledger: Ledger) -> None:
    await ledger.write(lambda c: add(c, "+34600000001"))
    with pytest.raises(IntegrityError) as fault:
        await ledger.write(lambda c: add(c, "+34600000001"))
    assert "+34600000001" not in str(fault.value)


async def test_closing_finishes_what_was_asked_for(url: str) -> None:
    ledger = Ledger(url)
    await ledger.open()
    asked = [asyncio.create_task(ledger.write(partial(add, name=str(n)))) for n in range(20)]
    await asyncio.sleep(0)
    await ledger.close()
    await asyncio.gather(*asked)
    again = Ledger(url)
    assert await again.read(count) == 20
    await again.close()


async def test_a_ledger_is_its_process_own_and_tells_the_time(url: str) -> None:
    ledger = Ledger(url)
    before = wall_clock()
    assert ledger.owner == owner_name(many_hosts=url.startswith("postgresql"))
    assert before <= ledger.now() <= wall_clock()
    await ledger.close()


# --- files that cannot be used (SQLite) -----------------------------------------------------------


async def test_a_file_that_is_no_database_is_said_to_be_none_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but somebody's notes" * 100)
    ledger = Ledger(f"sqlite:///{path}")
    with pytest.raises(LedgerError, match=r"notes\.txt cannot be used: file is not a database"):
        await ledger.open()
    await ledger.close()
    assert path.read_text().startswith("not a database")


async def test_a_database_that_is_broken_is_unavailable_and_no_fault_of_an_event(
    tmp_path: Path,
) -> None:
    path = tmp_path / "relay.db"
    ledger = Ledger(f"sqlite:///{path}")
    await ledger.open()
    await ledger.close()
    path.write_bytes(path.read_bytes()[:4096] + bytes(path.stat().st_size - 4096))
    broken = Ledger(f"sqlite:///{path}")
    with pytest.raises(LedgerUnavailable, match="malformed"):
        await broken.write(lambda c: add(c, "crm"))
    await broken.close()


async def test_a_folder_that_cannot_be_made_is_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file")
    with pytest.raises(LedgerError, match=r"var/relay\.db cannot be created.*RELAY__LEDGER__URL"):
        Ledger(f"sqlite:///{tmp_path}/var/relay.db")


async def test_the_folder_of_a_new_ledger_is_made(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/new/folder/relay.db")
    await ledger.open()
    await ledger.close()
    assert (tmp_path / "new/folder/relay.db").stat().st_size > 0
