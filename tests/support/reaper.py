"""Ends what a test run started once the run is gone, whichever way it went.

Run as a process of its own, with pids and folders as arguments. Its standard input is a pipe whose
other end only the run holds: the pipe closes when the run ends, also by SIGKILL.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator


@contextlib.contextmanager
def reaped(*, pids: tuple[int, ...] = (), folders: tuple[str, ...] = ()) -> Iterator[None]:
    """Have a reaper wait outside for as long as the block runs; a block that ends has cleaned up itself."""
    command = [sys.executable, __file__, *map(str, pids), *folders]
    reaper = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603 - this file
    try:
        yield
    finally:
        reaper.kill()
        reaper.communicate()


def main(arguments: list[str]) -> None:
    sys.stdin.buffer.read()
    pids = [int(each) for each in arguments if each.isdigit()]
    end(pids, signal.SIGQUIT)  # PostgreSQL then frees its shared memory; PostgREST does not mind
    time.sleep(0.5)
    end(pids, signal.SIGKILL)
    for folder in (each for each in arguments if not each.isdigit()):
        shutil.rmtree(folder, ignore_errors=True)


def end(pids: list[int], by: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, by)


if __name__ == "__main__":
    main(sys.argv[1:])
