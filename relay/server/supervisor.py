"""Several worker processes that share one port and one ledger, and the supervisor that keeps them running.

A worker that dies is replaced by a new one in the same role.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Final, NoReturn

from relay import logs
from relay.server.roles import Role
from relay.server.stop_deadline import STOP_SECONDS

log = logs.get_logger("relay.server")

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_EXIT_INTERRUPTED: Final = 130


_REAP_SECONDS: Final = 0.25
"""How long a killed worker may take to end. SIGKILL does not end one that waits for a frozen disk."""


class _WorkersHang(Exception):
    """Killed workers did not end."""


class Supervisor:
    """Forks a process for each role, which runs `serve`, and replaces each one that dies, until stopped."""

    def __init__(
        self,
        roles: Sequence[Role],
        serve: Callable[[Role, int], int],
        *,
        restart_delay_seconds: float = 1,
        stop_timeout_seconds: float = STOP_SECONDS + 0.75,
    ) -> None:
        """`serve` gets the role and the number of a worker, from 0 on, and returns its exit code. A worker
        that replaces another has its number.

        The restart delay keeps a worker that dies at its start from using up the CPU. A worker that does
        not stop within the timeout is killed, so that it does not delay a restart of the service.
        """
        self._roles = roles
        self._serve = serve
        self._restart_delay_seconds = restart_delay_seconds
        self._stop_timeout_seconds = stop_timeout_seconds
        self._workers: dict[int, int] = {}
        """The number of each worker, by its process id."""
        self._stopped_by: int | None = None
        # Nothing is written to this pipe. It is closed when this process ends, in whatever way, and
        # each worker waits for that.
        self._read_end, self._write_end = os.pipe()

    def run(self) -> int:
        """Run until SIGTERM or SIGINT and return the exit code. SIGHUP is forwarded to the workers."""
        for sig in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sig, self._stop)
        signal.signal(signal.SIGHUP, self._forward)
        signal.signal(signal.SIGALRM, self._kill)
        for number in range(len(self._roles)):
            self._start_worker(number)
        with suppress(_WorkersHang):
            self._wait_for_workers()
        signal.setitimer(signal.ITIMER_REAL, 0)  # at the end Python removes its handler
        return _EXIT_INTERRUPTED if self._stopped_by == signal.SIGINT else 0

    def _wait_for_workers(self) -> None:
        while self._workers:
            pid, status = os.wait()
            if pid not in self._workers:  # the first process of a container also adopts foreign processes
                continue
            number = self._workers.pop(pid)
            if self._stopped_by is None:
                code = os.waitstatus_to_exitcode(status)
                log.error("worker.died", worker=pid, role=self._roles[number], code=code)
                time.sleep(self._restart_delay_seconds)
                self._start_worker(number)

    def _start_worker(self, number: int) -> None:
        # Signals are blocked until the new worker is known, so that they are forwarded to it too.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        if self._stopped_by is None:
            pid = os.fork()
            if pid == 0:
                self._run_worker(number)
            self._workers[pid] = number
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _run_worker(self, number: int) -> NoReturn:
        role = self._roles[number]
        exit_code = 1
        try:
            for sig in _SIGNALS:
                signal.signal(sig, signal.SIG_DFL)
            # SIGHUP stays blocked until the server can handle it.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
            os.close(self._write_end)
            threading.Thread(target=_stop_with_supervisor, args=(self._read_end,), daemon=True).start()
            exit_code = self._serve(role, number)
        except Exception:
            log.exception("worker.failed", worker=os.getpid(), role=role)
        finally:
            logs.flush()
            os._exit(exit_code)

    def _stop(self, sig: int, _: FrameType | None) -> None:
        if self._stopped_by is None:
            self._stopped_by = sig
            signal.setitimer(signal.ITIMER_REAL, self._stop_timeout_seconds)
        self._forward(signal.SIGTERM, None)

    def _kill(self, _: int, __: FrameType | None) -> None:
        log.error("worker.killed", workers=sorted(self._workers), seconds=self._stop_timeout_seconds)
        self._forward(signal.SIGKILL, None)
        signal.signal(signal.SIGALRM, self._abandon)
        signal.setitimer(signal.ITIMER_REAL, _REAP_SECONDS)

    def _abandon(self, _: int, __: FrameType | None) -> None:
        log.error("worker.abandoned", workers=sorted(self._workers))
        raise _WorkersHang

    def _forward(self, sig: int, _: FrameType | None) -> None:
        for pid in self._workers:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, sig)


def _stop_with_supervisor(read_end: int) -> None:
    """Stop this worker when the supervisor is gone, since nothing would replace or stop it any more."""
    os.read(read_end, 1)
    os.kill(os.getpid(), signal.SIGTERM)
