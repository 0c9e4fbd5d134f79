"""Transactions of a process: writes run in order, reads see a snapshot, failures leave nothing behind."""

import asyncio
import threading
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import IntegrityError

from relay.ledger import Ledger, LedgerError, LedgerUnavailable
from relay.ledger.clocks import wall_clock
from relay.ledger.connection import Connection
from relay.ledger.errors import LedgerTimeout
from relay.ledger.process_identity import owner_name
from relay.ledger.tables import destinations
from tests.support.postgres import Databases

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT 2 - x FROM n) SELECT count(*) FROM n"


def add(connection: Connection, name: str | None) -> None:
    connection.execute(insert(destinations).values(name=name, client="local"))


def count(connection: Connection) -> int:
    number: int = connection.execute(select(func.count()).select_from(destinations)).scalar_one()
    return number


def _record(order: list[int], number: int, _: Connection) -> None:
    order.append(number)


async def test_a_failed_write_leaves_nothing_behind(ledger: Ledger) -> None:
    def work(connection: Connection) -> None:
        add(connection, "crm")
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - raised by the test itself
        await ledger.write(work)
    assert await ledger.read(count) == 0


async def test_writes_run_in_the_order_of_the_calls(ledger: Ledger) -> None:
    order: list[int] = []
    await asyncio.gather(*(ledger.write(partial(_record, order, n)) for n in range(50)))
    assert order == list(range(50))


async def test_a_read_sees_one_snapshot_while_others_write(ledger: Ledger) -> None:
    loop = asyncio.get_running_loop()

    def work(connection: Connection) -> tuple[int, int]:
        before = count(connection)
        asyncio.run_coroutine_threadsafe(ledger.write(lambda c: add(c, "crm")), loop).result()
        return before, count(connection)

    assert await ledger.read(work) == (0, 0)
    assert await ledger.read(count) == 1


async def test_transactions_one_after_the_other_share_a_connection_and_its_cache(ledger: Ledger) -> None:
    both = threading.Barrier(2, timeout=10)

    def use_at_the_same_time(connection: Connection) -> int:
        both.wait()
        return id(connection.driver)

    reading, writing = await asyncio.gather(
        ledger.read(use_at_the_same_time), ledger.write(use_at_the_same_time)
    )
    assert reading != writing
    works = (ledger.write, ledger.write, ledger.read, ledger.write)
    used = [await work(lambda connection: id(connection.driver)) for work in works]
    assert len(set(used)) == 1


async def test_after_its_caches_were_freed_the_ledger_works_as_before(ledger: Ledger) -> None:
    await ledger.write(lambda c: add(c, "crm"))
    await ledger.free_caches()
    await ledger.write(lambda c: add(c, "other"))
    assert await ledger.read(count) == 2


async def test_an_error_of_the_statement_is_not_an_error_of_the_ledger(ledger: Ledger) -> None:
    with pytest.raises(IntegrityError):
        await ledger.write(lambda c: add(c, None))


async def test_an_error_does_not_quote_the_data(ledger: Ledger) -> None:
    await ledger.write(lambda c: add(c, "+34600000001"))
    with pytest.raises(IntegrityError) as fault:
        await ledger.write(lambda c: add(c, "+34600000001"))
    assert "+34600000001" not in str(fault.value)


async def test_closing_finishes_the_writes_that_were_started(url: str) -> None:
    ledger = Ledger(url)
    await ledger.open()
    started = [asyncio.create_task(ledger.write(partial(add, name=str(n)))) for n in range(20)]
    await asyncio.sleep(0)
    await ledger.close()
    await asyncio.gather(*started)
    reopened = Ledger(url)
    assert await reopened.read(count) == 20
    await reopened.close()


async def test_a_ledger_knows_its_owner_and_the_time(url: str) -> None:
    ledger = Ledger(url)
    before = wall_clock()
    assert ledger.owner == owner_name(many_hosts=url.startswith("postgresql"))
    assert before <= ledger.now() <= wall_clock()
    await ledger.close()


# --- what people read -----------------------------------------------------------------------------


async def test_what_a_person_reads_delays_no_other_transaction(ledger: Ledger) -> None:
    is_reading, may_end = threading.Event(), threading.Event()

    def read_long(_: Connection) -> str:
        is_reading.set()
        return "in time" if may_end.wait(10) else "too late"

    page = asyncio.create_task(ledger.view(read_long))
    await asyncio.to_thread(is_reading.wait, 10)
    await ledger.write(lambda c: add(c, "crm"))
    assert await ledger.read(count) == 1
    may_end.set()
    assert await page == "in time"


async def test_what_a_person_reads_has_a_time_limit(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.ledger.ledger._VIEW_SECONDS", 0.5)
    ledger = Ledger(url)
    await ledger.open()
    with pytest.raises(
        LedgerTimeout, match=r"did not answer within 0.5 s; try again, and limit a .*run `relay check`"
    ):
        await ledger.view(lambda c: c.execute(text(ENDLESS)).all())
    assert await ledger.read(count) == 0
    monkeypatch.undo()
    assert await asyncio.wait_for(ledger.view(count), 5) == 0
    await ledger.close()


async def test_postgresql_ends_a_statement_of_a_person_that_nobody_waits_for(databases: Databases) -> None:
    show = text("SHOW statement_timeout")
    with databases.fresh() as url:
        ledger = Ledger(url)
        await ledger.open()
        views = [await ledger.view(lambda c: c.execute(show).scalar()) for _ in range(2)]
        assert views == ["9s", "9s"]
        assert await ledger.read(lambda c: c.execute(show).scalar()) == "30s"
        await ledger.close()


# --- SQLite files that cannot be used -------------------------------------------------------------


async def test_a_file_that_is_no_database_is_an_error_and_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but somebody's notes" * 100)
    ledger = Ledger(f"sqlite:///{path}")
    with pytest.raises(LedgerError, match=r"notes\.txt is damaged \(file is not a database\)"):
        await ledger.open()
    await ledger.close()
    assert path.read_text().startswith("not a database")


async def test_a_damaged_database_is_unavailable(
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


async def test_the_error_of_a_folder_that_cannot_be_created_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file")
    with pytest.raises(LedgerError, match=r"var/relay\.db cannot be created.*RELAY__LEDGER__URL"):
        Ledger(f"sqlite:///{tmp_path}/var/relay.db")


async def test_the_folder_of_a_new_ledger_is_created(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/new/folder/relay.db")
    await ledger.open()
    await ledger.close()
    assert (tmp_path / "new/folder/relay.db").stat().st_size > 0
