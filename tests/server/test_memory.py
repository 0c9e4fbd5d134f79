"""Memory that a load used is returned to the operating system."""

import asyncio
import ctypes
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from relay.ledger import LedgerUnavailable
from relay.server.memory import return_large_blocks, return_when_idle
from tests.support.patience import PATIENCE


def test_glibc_maps_blocks_from_one_mebibyte_on(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Mock()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    return_large_blocks()
    library.mallopt.assert_called_once_with(-3, 1_048_576)


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    return_large_blocks()


class _Ended(Exception):
    """The clock of the CPU time has no further time."""


async def freed_after(
    monkeypatch: pytest.MonkeyPatch, *used: float, error: Exception | None = None
) -> list[int]:
    """Return after which of these spans, given by the CPU time used in each, the caches were freed and the
    memory was returned.
    """
    library, freed, times = Mock(), list[int](), list[float]()

    def cpu_seconds() -> float:
        if len(times) > len(used):
            raise _Ended
        times.append(sum(used[: len(times)]))
        return times[-1]

    async def free() -> None:
        freed.append(len(times) - 1)
        if error is not None:
            raise error

    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(_Ended):
            await return_when_idle(free, watch_seconds=0.001, cpu_seconds=cpu_seconds)
    assert library.malloc_trim.call_args_list == [((0,),)] * len(freed)
    return freed


BUSY, BETWEEN, IDLE = 0.0005, 0.0001, 0.00001
"""CPU seconds in a span of a millisecond."""


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        ([IDLE, IDLE, IDLE], []),
        ([BETWEEN, IDLE, IDLE], []),
        ([BUSY, BUSY, IDLE, IDLE], [3]),
        ([BUSY, BETWEEN, IDLE, BUSY, IDLE], [3, 5]),
        ([BUSY, BETWEEN, BETWEEN], []),
    ],
)
async def test_caches_are_freed_once_when_a_load_is_over(
    monkeypatch: pytest.MonkeyPatch, used: list[float], expected: list[int]
) -> None:
    assert await freed_after(monkeypatch, *used) == expected


async def test_memory_is_returned_also_while_the_ledger_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await freed_after(monkeypatch, BUSY, IDLE, error=LedgerUnavailable("locked")) == [2]
