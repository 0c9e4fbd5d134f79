"""A process that removes the processes and folders of a test run that was killed.

Its arguments are pids and folders. Its standard input is a pipe whose other end only the test run has:
the pipe closes when the run ends, even by SIGKILL.
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
def running_reaper(*, pids: tuple[int, ...] = (), folders: tuple[str, ...] = ()) -> Iterator[None]:
    """Run a reaper during the block. At the end of the block the caller has cleaned up, so it is stopped."""
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
    end(pids, signal.SIGQUIT)  # on SIGQUIT PostgreSQL frees its shared memory
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
