import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUN = """
import subprocess, sys, time
from tests.support.reaper import running_reaper

child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
with running_reaper(pids=(child.pid,), folders=(sys.argv[1],)):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_run_that_is_killed_leaves_neither_process_nor_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    command = [sys.executable, "-c", RUN, str(folder)]
    begin = time.monotonic()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as run:  # noqa: S603 - fixed command
        assert run.stdout is not None
        assert run.stdout.readline() == b"ready\n"
        run.kill()
        run.stdout.read()  # ends when the child and the reaper have ended
    assert time.monotonic() - begin < 20
    assert not folder.exists()
