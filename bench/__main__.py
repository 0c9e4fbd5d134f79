"""`python -m bench`: measure, print one table, and write it as JSON to `var/bench.json`.

A quick run, or one of some benchmarks or cases only, is written to `var/bench-part.json`.

Exit code 1 if a benchmark failed: then the relay lost an event, or a record in a CRM was wrong.
"""

import argparse
import signal
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from types import ModuleType
from typing import Final

from bench import accept, backlog, cost, end_to_end, freshness, growth, pages, processes
from bench.environment import Environment
from bench.highlights import GOAL_COLUMNS, goal_rows
from bench.publish import OUTPUT, OUTPUT_OF_PART, write_report
from bench.result import BenchError, Report, Result
from bench.table import machine_text, result_text, text_table

_BENCHMARKS: Final = {
    "accept": accept,
    "freshness": freshness,
    "backlog": backlog,
    "end_to_end": end_to_end,
    "growth": growth,
    "cost": cost,
    "processes": processes,
    "pages": pages,
}
_LONG: Final = frozenset({"pages"})
"""Benchmarks that only run with `--full`, or by their names."""

_EXIT_TERMINATED: Final = 128 + signal.SIGTERM


def main(arguments: list[str]) -> int:
    options = _parse_options(arguments)
    begin = time.monotonic()
    with ExitStack() as stack:
        environment = Environment(stack, quick=options.quick, full=options.full, only=options.only)
        print(machine_text(environment.facts), flush=True)
        known = {*environment.facts}
        names = options.names or [name for name in _BENCHMARKS if options.full or name not in _LONG]
        chosen = [_BENCHMARKS[name] for name in names]
        results = [_run(benchmark, environment) for benchmark in chosen]
    measured = tuple(result for result in results if result and result.rows)
    more_facts = {name: fact for name, fact in environment.facts.items() if name not in known}
    report = Report(f"{datetime.now(UTC):%Y-%m-%d}", environment.facts, measured)
    output = OUTPUT_OF_PART if options.quick or options.only or options.names else OUTPUT
    if options.only and all(results) and not measured:
        print(f"No case of these benchmarks contains {options.only!r}.", file=sys.stderr)
        return 1
    write_report(report, output)
    if goals := goal_rows(report):
        print(f"\nGoals\n{text_table(GOAL_COLUMNS, goals)}")
    print(f"\n{machine_text(more_facts)}\nMeasured in {time.monotonic() - begin:.0f} s, written to {output}.")
    if output == OUTPUT:
        print("`make bench-publish` writes these figures to the README and the documents.")
    return 0 if all(results) else 1


def _parse_options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"{', '.join(_BENCHMARKS)}; default: all of them, {', '.join(_LONG)} only with --full",
    )
    parser.add_argument("--quick", action="store_true", help="shorter and less exact, to try a benchmark out")
    parser.add_argument(
        "--full", action="store_true", help="also with 5 million events, and `pages`: this takes long"
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="TEXT",
        help="only cases whose names contain this text; growth and cost have no cases",
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in _BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; the benchmarks are {', '.join(_BENCHMARKS)}")
    return options


def _run(benchmark: ModuleType, environment: Environment) -> Result | None:
    """Measure and print one question; return None if that failed."""
    if sys.stderr.isatty():  # a question takes up to some minutes
        print(f"\n… {benchmark.QUESTION}", end="\r", file=sys.stderr, flush=True)
    try:
        result: Result = benchmark.measure(environment)
    except BenchError as error:
        print(f"\n{benchmark.QUESTION}\n  FAILED: {error}", flush=True)
        return None
    if result.rows:
        print(f"\n{result_text(result)}", flush=True)
    return result


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_EXIT_TERMINATED))  # the servers are stopped, too
    sys.exit(main(sys.argv[1:]))
