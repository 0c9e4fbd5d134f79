"""The end of a process that cannot stop, because a thread of it hangs in the kernel or in a driver.

A file system that is frozen or whose server is gone keeps a thread for as long as it likes, and Python waits
for its threads before it ends.
"""

import os
import threading
from collections.abc import Callable
from typing import Final

from relay import logs
from relay.standards.worker_thread import busy_threads

log = logs.get_logger("relay.server")

STOP_SECONDS: Final = 8.0
"""Longer than an orderly stop takes: five seconds for requests in flight and two for the ledger."""

_FLUSH_SECONDS: Final = 0.5


def force_exit_later(exit_code: Callable[[], int], *, seconds: float = STOP_SECONDS) -> None:
    """End the process with this exit code after some seconds, unless it ends earlier. Log what hangs."""

    def force_exit() -> None:
        others = {thread.name for thread in threading.enumerate() if not thread.daemon}
        hanging = sorted({*others, *busy_threads()} - {threading.main_thread().name})
        log.error("server.exit_forced", seconds=seconds, threads=hanging)
        logs.flush(_FLUSH_SECONDS)
        os._exit(exit_code())

    timer = threading.Timer(seconds, force_exit)
    timer.daemon = True
    timer.start()
