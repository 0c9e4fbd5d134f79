"""Several processes that share one port and one ledger, and one that sees to it that they run."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Final, NoReturn

from relay.logs import get_logger

log = get_logger("relay.server")

_AGAIN_SECONDS: Final = 1.0
"""Before a worker that died is replaced: one that cannot live must not keep the machine busy."""

_END_SECONDS: Final = 20
"""How long workers may take to stop in order; one that hangs then must not keep a restart waiting."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_INTERRUPTED: Final = 130


class Workers:
    """Forks `number` processes that do `serve`, and replaces each that dies, until it is told to stop."""

    def __init__(self, number: int, serve: Callable[[], int]) -> None:
        self._number = number
        self._serve = serve
        self._running: set[int] = set()
        self._stopped_by: int | None = None
        # Nothing is ever written into it: it closes with this process, whichever way that ends.
        self._life, self._alive = os.pipe()

    def run(self) -> int:
        """Until a SIGTERM or a SIGINT; the exit code. A SIGHUP is handed on."""
        for sig in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sig, self._stop)
        signal.signal(signal.SIGHUP, self._hand_on)
        signal.signal(signal.SIGALRM, self._kill)
        for _ in range(self._number):
            self._start()
        while self._running:
            pid, status = os.wait()
            if pid not in self._running:  # not ours: the first process of a container inherits others
                continue
            self._running.discard(pid)
            if self._stopped_by is None:
                log.error("worker.died", worker=pid, code=os.waitstatus_to_exitcode(status))
                time.sleep(_AGAIN_SECONDS)
                self._start()
        return _INTERRUPTED if self._stopped_by == signal.SIGINT else 0

    def _start(self) -> None:
        # Until the new one is known, a signal waits: it could not be handed on to it.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        if self._stopped_by is None:
            pid = os.fork()
            if pid == 0:
                self._be_worker()
            self._running.add(pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _be_worker(self) -> NoReturn:
        code = 1
        try:
            for sig in _SIGNALS:
                signal.signal(sig, signal.SIG_DFL)
            # A SIGHUP waits until the server can take it.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
            os.close(self._alive)
            threading.Thread(target=_end_with, args=(self._life,), daemon=True).start()
            code = self._serve()
        except Exception:
            log.exception("worker.failed", worker=os.getpid())
        finally:
            sys.stdout.flush()
            os._exit(code)

    def _stop(self, sig: int, _: FrameType | None) -> None:
        if self._stopped_by is None:
            self._stopped_by = sig
            signal.alarm(_END_SECONDS)
        self._hand_on(signal.SIGTERM, None)

    def _kill(self, _: int, __: FrameType | None) -> None:
        log.error("worker.killed", workers=sorted(self._running), seconds=_END_SECONDS)
        self._hand_on(signal.SIGKILL, None)

    def _hand_on(self, sig: int, _: FrameType | None) -> None:
        for pid in self._running:
            with suppress(ProcessLookupError):  # it ended a moment ago
                os.kill(pid, sig)


def _end_with(life: int) -> None:
    """Stop in order once the process is gone that would have replaced this one."""
    os.read(life, 1)
    os.kill(os.getpid(), signal.SIGTERM)
