"""Commands of the relay in forks of a process that has loaded the program.

Each command has a process, a folder and an environment of its own, as from a shell, but need not import for
half a second.
"""

import importlib
import os
import pkgutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import relay.cli
from relay.cli.main import main
from tests.support.patience import PATIENCE

_FORKS: Final = get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])

for _module in pkgutil.iter_modules(relay.cli.__path__, "relay.cli."):
    importlib.import_module(_module.name)


def run_forked(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], *, seconds: float = PATIENCE
) -> subprocess.CompletedProcess[str]:
    """Run `relay` with these arguments, without a terminal, and wait for its end.

    Raises `TimeoutExpired` after `seconds`.
    """
    with tempfile.TemporaryDirectory() as scratch:
        output, errors = Path(scratch, "output"), Path(scratch, "errors")
        process = _FORKS.Process(
            target=_run, args=(list(arguments), folder, dict(environment), output, errors)
        )
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(["relay", *arguments], seconds)
        return subprocess.CompletedProcess(
            ["relay", *arguments], process.exitcode, output.read_text(), errors.read_text()
        )


def _run(arguments: list[str], folder: Path, environment: dict[str, str], output: Path, errors: Path) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, file in ((1, output), (2, errors)):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.argv = [".venv/bin/relay", *arguments]
    main()
