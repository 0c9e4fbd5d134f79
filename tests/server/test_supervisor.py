"""The supervisor: roles of workers, adopted processes, and workers that do not stop."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from textwrap import dedent

import psutil  # type: ignore[import-untyped]
import pytest

from tests.support.patience import PATIENCE
from tests.support.relay import eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")


@contextmanager
def supervised(before: str = "", **options: float) -> Iterator[psutil.Popen]:
    """Run a supervisor of two workers that wait to be stopped. Each prints its role when it starts.

    `before`: code that is run before the workers are forked.
    """
    program = f"""
        import os, signal, subprocess, sys
        from relay.server.roles import Role
        from relay.server.supervisor import Supervisor

        {before}

        def serve(role, number):
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            # In one piece: print can mix the output of two workers.
            os.write(1, f"started {{role}} {{os.getpid()}}\\n".encode())
            signal.pause()

        code = Supervisor([Role.DELIVERY, Role.INGEST], serve, **{options}).run()
        print("timer", signal.getitimer(signal.ITIMER_REAL)[0])
        sys.exit(code)
    """
    command = [sys.executable, "-c", dedent(program)]
    with psutil.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        try:
            yield supervisor
        finally:
            left = supervisor.children() if supervisor.poll() is None else []
            for process in [supervisor, *left]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()


def wait_for_starts(supervisor: psutil.Popen, number: int) -> dict[str, int]:
    """Wait for the starts of this number of workers. Return the process id of each role."""
    started = {}
    for line in supervisor.stdout:  # log lines are printed too
        if line.startswith("started "):
            _, role, pid = line.split()
            started[role] = int(pid)
            if len(started) == number:
                return started
    return pytest.fail("the supervisor ended before its workers started")


@pytest.mark.parametrize("role", ["delivery", "ingest"])
def test_a_worker_that_dies_is_replaced_in_its_role(role: str) -> None:
    with supervised(restart_delay_seconds=0) as supervisor:
        workers = wait_for_starts(supervisor, 2)
        assert set(workers) == {"delivery", "ingest"}
        os.kill(workers[role], signal.SIGKILL)
        replaced = wait_for_starts(supervisor, 1)
        assert set(replaced) == {role}
        supervisor.terminate()
        assert supervisor.wait(PATIENCE) == 0


def test_the_end_of_an_adopted_process_starts_no_worker() -> None:
    # The first process of a container adopts the processes that its parent left.
    adopted = "print(subprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL).pid, flush=True)"
    with supervised(adopted, restart_delay_seconds=0) as supervisor:
        pid = int(supervisor.stdout.readline())
        wait_for_starts(supervisor, 2)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: [child.pid for child in supervisor.children()], lambda pids: pid not in pids)
        first, _ = supervisor.children()
        first.kill()
        wait_for_starts(supervisor, 1)  # the replacement of the killed worker
        supervisor.terminate()
        assert "started" not in supervisor.stdout.read()
        assert supervisor.wait(PATIENCE) == 0


def test_a_worker_that_does_not_stop_is_killed() -> None:
    with supervised(stop_timeout_seconds=0.2) as supervisor:
        wait_for_starts(supervisor, 2)
        hanging, _ = supervisor.children()
        hanging.suspend()
        supervisor.terminate()
        assert supervisor.wait(PATIENCE) == 0
        assert "timer 0.0\n" in supervisor.stdout.read()  # it would end the process later


def test_the_supervisor_ends_without_workers_that_cannot_be_killed() -> None:
    # SIGKILL does not end a process that waits for a frozen disk.
    unkillable = "kill = os.kill; os.kill = lambda pid, sig: sig == signal.SIGKILL or kill(pid, sig)"
    with supervised(unkillable, stop_timeout_seconds=0.2) as supervisor:
        wait_for_starts(supervisor, 2)
        workers = supervisor.children()
        for worker in workers:
            worker.suspend()
        supervisor.terminate()
        try:
            assert supervisor.wait(PATIENCE) == 0
        finally:
            for worker in workers:
                worker.kill()
        assert "worker.abandoned" in supervisor.stdout.read()
