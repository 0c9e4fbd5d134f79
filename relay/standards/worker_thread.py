"""A thread that runs functions for an event loop, one after the other.

`loop.run_in_executor` does the same for any number of threads, with two futures and a condition for each
function. That costs more than a short transaction.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, TypeVar, cast
from weakref import WeakSet

T = TypeVar("T")

_Job = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]

_END: Final = None


class WorkTimeout(Exception):
    """Work did not end within its time."""


class WorkerThread:
    """Starts with its first function, so that it may be created before a fork."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs = SimpleQueue[_Job | None]()
        self._thread: threading.Thread | None = None
        self._is_stopped = False
        self._lock = threading.Lock()
        self._is_busy = False
        _threads.add(self)

    async def run(self, work: Callable[[], T], *, seconds: float | None = None) -> T:
        """Run `work` after all earlier work, and return its result or raise its error.

        Work that was cancelled, or whose time was over, before it began is skipped; work that began runs to
        its end. Raises `WorkTimeout` after `seconds`, and `RuntimeError` after `stop`.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._add((loop, future, work))
        if seconds is None:
            return await future
        # A timer costs a quarter of `asyncio.timeout`.
        timer = loop.call_later(seconds, _set_exception, future, WorkTimeout())
        try:
            return await future
        finally:
            timer.cancel()

    def _add(self, job: _Job) -> None:
        with self._lock:
            if self._is_stopped:
                raise RuntimeError(f"the thread {self._name} was stopped")
            self._start()
            self._jobs.put(job)

    def _start(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._run_jobs, name=self._name, daemon=True)
            thread.start()
            self._thread = thread

    def stop(self) -> None:
        """Finish all work that was given before, then end the thread. Blocks until then."""
        with self._lock:  # no work may come after the end
            self._is_stopped = True
            self._jobs.put(_END)
        if self._thread is not None:
            self._thread.join()

    def _run_jobs(self) -> None:
        while (job := self._jobs.get()) is not _END:
            self._is_busy = True
            with suppress(MemoryError):  # too little for the result; the thread must go on
                _run(*job)
            self._is_busy = False
            del job  # what it holds must not live until the next one


_threads: Final = WeakSet[WorkerThread]()


def busy_threads() -> list[str]:
    """Return the names of the threads that run something now."""
    return sorted(thread._name for thread in _threads if thread._is_busy)  # noqa: SLF001 - of this module


def _run(loop: asyncio.AbstractEventLoop, future: "asyncio.Future[Any]", work: Callable[[], Any]) -> None:
    if future.done():
        return
    try:
        settle = partial(_set_result, future, work())
    except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
        settle = partial(_set_exception, future, error)
    with suppress(RuntimeError):  # the loop was closed: nobody waits any more
        loop.call_soon_threadsafe(settle)


def _set_result(future: "asyncio.Future[Any]", result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _set_exception(future: "asyncio.Future[Any]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(cast("Exception", error))
