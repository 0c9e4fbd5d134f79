"""Tests mutants in several processes of `tests.mutants.worker`."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

from tests.mutants.core import list_tests
from tests.mutants.mutations import Mutant

_LONGEST_SECONDS: Final = 600
_FACTOR: Final = 5
"""The tests may use so much more processor time with a mutant than without: some mutants loop for ever."""

_GRACE_SECONDS: Final = 60
"""The limit of the whole time is much larger, since other programs may use the processors. It is for mutants
that wait for ever."""


class Outcome(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    SURVIVED = "survived"
    UNTESTED = "untested"


@dataclass(frozen=True)
class Result:
    """A mutant and its outcome."""

    mutant: Mutant
    outcome: Outcome


def run_mutants(root: Path, mutants: Sequence[Mutant], *, jobs: int) -> Iterator[Result]:
    """Yield the result of each mutant as soon as it is known. `root`: a copy of the project.

    The mutants of one module are tested one after the other, modules with many mutants first.
    """
    by_module: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        by_module.setdefault(mutant.module, []).append(mutant)
    groups = sorted(by_module.values(), key=len, reverse=True)
    results: queue.SimpleQueue[Result | None] = queue.SimpleQueue()
    with _Workers(root) as workers, ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(_test_group, workers, group, results) for group in groups]
        for each in running:
            each.add_done_callback(lambda _: results.put(None))
        for _ in range(len(mutants) + len(running)):
            if (result := results.get()) is not None:
                yield result
            elif failure := next((f for f in map(_failure, running) if f is not None), None):
                raise failure


def _failure(running: Future[None]) -> BaseException | None:
    return running.exception() if running.done() else None


def _test_group(
    workers: "_Workers", mutants: Sequence[Mutant], results: "queue.SimpleQueue[Result | None]"
) -> None:
    """Test mutants of one module."""
    module = mutants[0].module
    tests = list_tests(workers.root, module)
    request: dict[str, Any] = {
        "module": module,
        "tests": tests,
        "seconds": _LONGEST_SECONDS,
        "cpu_seconds": _LONGEST_SECONDS,
    }
    clean = workers.ask(request, source=None, first=[])
    request["seconds"] = _GRACE_SECONDS + 4 * _FACTOR * clean["seconds"]
    request["cpu_seconds"] = 5 + round(_FACTOR * clean["cpu_seconds"])
    if not clean["passed"]:
        print(clean["output"], file=sys.stderr, flush=True)
    killers: list[str] = []
    for mutant in mutants:
        outcome = Outcome.UNTESTED
        if clean["passed"]:
            outcome = _test_mutant(workers, request | {"source": mutant.source}, tests, killers)
        results.put(Result(mutant, outcome))


def _test_mutant(
    workers: "_Workers", request: dict[str, Any], tests: Sequence[str], killers: list[str]
) -> Outcome:
    """Run the first file of tests, and only if it passes the others: it notices most mutants and is fast.

    `killers`: the tests that failed with other mutants of the module, the last one first. They run first, and
    the one that fails with this mutant is put at their start.
    """
    outcome = Outcome.SURVIVED
    for part in filter(None, (tests[:1], tests[1:])):
        if outcome is Outcome.SURVIVED:
            tested = workers.ask(request, tests=part, first=killers)
            outcome = _outcome(tested)
            if failed := tested["failed"]:
                killers[:] = [failed, *(name for name in killers if name != failed)]
    return outcome


def _outcome(tested: dict[str, Any]) -> Outcome:
    if tested["passed"]:
        return Outcome.SURVIVED
    return Outcome.TIMED_OUT if tested["timed_out"] else Outcome.KILLED


class _Workers:
    """One process for each thread that asks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._of_thread = threading.local()
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            process.communicate()

    def ask(self, request: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Send a request to the process of this thread and return its result."""
        if not hasattr(self._of_thread, "process"):
            self._of_thread.process = self._start()
        process: subprocess.Popen[str] = self._of_thread.process
        assert process.stdin
        assert process.stdout
        scratch = str(self.root.parent / f"scratch-{process.pid}")
        process.stdin.write(json.dumps({**request, **more, "scratch": scratch}) + "\n")
        process.stdin.flush()
        result: dict[str, Any] = json.loads(process.stdout.readline())
        return result

    def _start(self) -> subprocess.Popen[str]:
        environment = {**os.environ, "ONE_RECORD_EXAMPLES": "50"}
        environment.pop("PYTEST_ADDOPTS", None)
        command = [sys.executable, "-m", "tests.mutants.worker"]
        process = subprocess.Popen(  # noqa: S603
            command, cwd=self.root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._started.append(process)
        return process
