"""The file beside an SQLite ledger, by which a start notices that the ledger is an older copy."""

import asyncio
import errno
import stat
import threading
from pathlib import Path

import pytest

from relay.ledger import Ledger, epochs, journal
from relay.ledger.generation_file import (
    Generation,
    GenerationFile,
    begin_epoch_after_restore,
    keep_generation_file,
    read_generation,
)
from tests.support.ledgers import open_ledger
from tests.support.patience import PATIENCE
from tests.support.samples import make_event_row


async def append_event(ledger: Ledger, at: int) -> None:
    await ledger.write(lambda c: journal.append(c, [make_event_row(at=at)]))


@pytest.mark.parametrize(
    ("file", "epoch"),
    [
        (None, 0),
        (Generation(0, 0), 0),
        (Generation(0, 1), 0),  # an older file proves nothing
        (Generation(0, 2), 0),
        (Generation(0, 3), 1),
        (Generation(1, 0), 2),
        (Generation(4, 1), 5),
    ],
)
async def test_a_ledger_that_is_behind_its_file_was_restored(
    tmp_path: Path, file: Generation | None, epoch: int
) -> None:
    async with open_ledger(f"sqlite:///{tmp_path}/relay.db") as ledger:
        for at in (1, 2):
            await append_event(ledger, at)
        if file is not None:
            GenerationFile(tmp_path / "relay.db").write(file)
        for _ in range(2):  # the second start finds nothing to do
            await begin_epoch_after_restore(ledger)
        assert await ledger.read(epochs.current) == epoch
        assert await ledger.read(read_generation) == (epoch, 2)


@pytest.mark.parametrize("text", ["", "x y", "1", "1 2 3", "\0\0\0"])
def test_a_damaged_file_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "relay.db.generation").write_text(text)
    assert GenerationFile(tmp_path / "relay.db").read() == (0, 0)


def test_the_file_is_for_its_owner_alone_and_is_replaced(tmp_path: Path) -> None:
    file = GenerationFile(tmp_path / "relay.db")
    for generation in (Generation(1, 20), Generation(1, 3)):
        file.write(generation)
        assert file.read() == generation
    (path,) = tmp_path.iterdir()
    assert (path.name, stat.S_IMODE(path.stat().st_mode)) == ("relay.db.generation", 0o600)
    file.remove()
    file.remove()
    assert file.read() == (0, 0)


def test_an_older_generation_replaces_no_newer_one(tmp_path: Path) -> None:
    file = GenerationFile(tmp_path / "relay.db")
    for generation in (Generation(1, 20), Generation(1, 3), Generation(0, 30)):
        file.update(generation)
        assert file.read() == (1, 20)


async def test_the_file_is_kept_current_without_delay_for_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = list[threading.Thread]()
    write = GenerationFile.write

    def note_thread(file: GenerationFile, generation: Generation) -> None:
        threads.append(threading.current_thread())
        write(file, generation)

    monkeypatch.setattr(GenerationFile, "write", note_thread)
    async with open_ledger(f"sqlite:///{tmp_path}/relay.db") as ledger:
        await append_event(ledger, 1)
        keeping = asyncio.create_task(keep_generation_file(ledger))
        async with asyncio.timeout(PATIENCE):
            while not threads:
                await asyncio.sleep(0.001)
        await append_event(ledger, 2)
        keeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping
    assert GenerationFile(tmp_path / "relay.db").read() == (0, 2)
    assert threading.current_thread() not in threads


def test_no_file_remains_of_a_write_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = GenerationFile(tmp_path / "relay.db")
    file.write(Generation(1, 2))

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for method in ("write_text", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, method, fail)
            with pytest.raises(OSError, match="No space"):
                file.write(Generation(1, 3))
    assert [path.name for path in tmp_path.iterdir()] == ["relay.db.generation"]
    assert file.read() == Generation(1, 2)
