"""The one that sees to it that workers run: what it inherits, and what does not stop."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from textwrap import dedent

import psutil  # type: ignore[import-untyped]  # it bears no types, and little of it is used
import pytest

from tests.support.relay import eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has no fork")


@contextmanager
def workers(before: str) -> Iterator[psutil.Popen]:
    """Two that only wait to be stopped, after `before` was run."""
    program = f"""
        import signal, subprocess, sys
        from relay.server import supervisor as workers

        {before}

        def serve():
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            signal.pause()

        sys.exit(workers.Workers(2, serve).run())
    """
    with psutil.Popen([sys.executable, "-c", dedent(program)], stdout=subprocess.DEVNULL) as running:
        try:
            yield running
        finally:
            left = running.children() if running.poll() is None else []
            for process in [running, *left]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()


def children(running: psutil.Popen, number: int) -> list[psutil.Process]:
    found: list[psutil.Process] = eventually(running.children, lambda found: len(found) == number)
    return found


def test_the_end_of_a_process_that_was_inherited_starts_no_worker() -> None:
    # The first process of a container inherits whatever its parent left behind.
    with workers("subprocess.Popen(['sleep', '0.3']); workers._AGAIN_SECONDS = 0.1") as running:
        children(running, 3)
        eventually(running.children, lambda now: len(now) != 3)
        time.sleep(0.5)
        assert len(running.children()) == 2


def test_a_worker_that_hangs_is_killed_in_the_end() -> None:
    with workers("workers._END_SECONDS = 1") as running:
        hanging, _ = children(running, 2)
        hanging.suspend()
        running.terminate()
        assert running.wait(10) == 0
