"""`python -m tests.mutants.worker`: runs tests with one module replaced by a mutant, each time in a fork.

It reads a JSON request per line from its input, and writes a JSON result per line to its output. A fork of a
process that has already imported the libraries starts in a tenth of the time of a new process. The changed
source is only in the fork's memory.
"""

import importlib
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

import hypothesis
import pytest

_MEMORY: Final = 4 << 30
_LONGEST_OUTPUT: Final = 2_000
_PROJECT: Final = Path(__file__).parents[2]

_FEW_EXAMPLES: Final = "mutants"
_PYTEST: Final = (
    *("-x", "-q", "--tb=short", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist"),
    *("-o", "timeout=0"),  # the worker has limits of its own
    *("-k", "not postgresql"),  # the same tests run on SQLite, without a server
    *("--hypothesis-profile", _FEW_EXAMPLES),
)

hypothesis.settings.register_profile(
    _FEW_EXAMPLES,
    derandomize=True,
    max_examples=15,
    database=None,
    deadline=None,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)


class _MutantFinder(MetaPathFinder):
    """Finds one module of the project, and gives it another source."""

    def __init__(self, module: str, source: str) -> None:
        self._name = module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self._file = str(_PROJECT / module)
        self._source = source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname != self._name:
            return None
        return spec_from_file_location(
            fullname, self._file, loader=_MutantLoader(fullname, self._file, self._source)
        )


class _MutantLoader(SourceFileLoader):
    def __init__(self, fullname: str, file: str, source: str) -> None:
        super().__init__(fullname, file)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        del fullname
        return compile(self._source, self.path, "exec", dont_inherit=True)


class _Order:
    """Plugin of pytest that runs some tests before the others, and writes the name of the one that fails."""

    def __init__(self, first: Sequence[str], failed: Path) -> None:
        self._ranks = {name: rank for rank, name in enumerate(first)}
        self._failed = failed

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: self._ranks.get(item.nodeid, len(self._ranks)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.write_text(report.nodeid)


def main() -> None:
    """Serve requests until the input ends."""
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        print(json.dumps(_run(**json.loads(line))), file=results, flush=True)


def _run(
    *,
    module: str,
    source: str | None,
    tests: list[str],
    first: list[str],
    scratch: str,
    seconds: float,
    cpu_seconds: int,
) -> dict[str, Any]:
    """Run these tests in a fork. `source` None: unchanged; then the libraries that the tests use are kept.

    `first`: the names of the tests that run before the others. `failed` of the result: the name of the test
    that failed, "" if none did, or if the tests could not be collected.
    """
    began = time.monotonic()
    _name_of_failed(scratch).write_text("")
    child = os.fork()
    if child == 0:
        _run_tests(module, source, tests, _Order(first, _name_of_failed(scratch)), scratch, cpu_seconds)
    watched = os.pidfd_open(child)
    timed_out = not select.select([watched], [], [], seconds)[0]
    os.close(watched)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if source is None and code == 0:
        _preload(_list_of_libraries(scratch).read_text().split())
    return {
        "passed": code == 0,
        "timed_out": timed_out or code == -signal.SIGXCPU,
        "seconds": time.monotonic() - began,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "failed": _name_of_failed(scratch).read_text(),
        "output": _output(scratch).read_text(errors="replace")[-_LONGEST_OUTPUT:],
    }


def _run_tests(
    module: str, source: str | None, tests: list[str], order: "_Order", scratch: str, cpu_seconds: int
) -> None:
    """Run the tests and end the process with the exit code of pytest."""
    os.setsid()
    file = os.open(_output(scratch), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    if source is not None:
        sys.meta_path.insert(0, _MutantFinder(module, source))
    code = int(pytest.ExitCode.INTERNAL_ERROR)
    try:
        code = pytest.main([*_PYTEST, f"--basetemp={scratch}", *tests], plugins=[order])
    finally:
        if source is None:
            _list_of_libraries(scratch).write_text("\n".join(_libraries()))
        os._exit(code)


def _output(scratch: str) -> Path:
    return Path(f"{scratch}.output")


def _name_of_failed(scratch: str) -> Path:
    return Path(f"{scratch}.failed")


def _list_of_libraries(scratch: str) -> Path:
    return Path(f"{scratch}.libraries")


def _libraries() -> list[str]:
    return [
        name
        for name, module in list(sys.modules.items())
        if (file := getattr(module, "__file__", None))
        and not name.startswith(("tests", "__"))
        and not Path(file).is_relative_to(_PROJECT)
    ]


def _preload(names: list[str]) -> None:
    for name in names:
        with suppress(Exception):
            importlib.import_module(name)


if __name__ == "__main__":
    main()
