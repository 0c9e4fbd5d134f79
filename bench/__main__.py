"""`python -m bench`: run the benchmarks and print one line each.

Exit code 1 if a limit is exceeded or a benchmark failed.
"""

import argparse
import sys
from types import ModuleType
from typing import Final

from bench import latency, machine, memory, parsing, start, throughput
from bench.result import BenchError

_BENCHMARKS: Final = {
    "start": start,
    "memory": memory,
    "throughput": throughput,
    "latency": latency,
    "parsing": parsing,
}


def main() -> int:
    options = _parse_options()
    print(machine.describe_machine(), flush=True)
    chosen = [_BENCHMARKS[name] for name in options.names or _BENCHMARKS]
    passed = [_run(benchmark, quick=options.quick) for benchmark in chosen]
    return 0 if all(passed) else 1


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"{', '.join(_BENCHMARKS)}; default: all of them"
    )
    parser.add_argument("--quick", action="store_true", help="shorter and less exact, to try a benchmark out")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in _BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; the benchmarks are {', '.join(_BENCHMARKS)}")
    return options


def _run(benchmark: ModuleType, *, quick: bool) -> bool:
    """Run one benchmark and print its result. Returns whether it is within its limits."""
    try:
        result = benchmark.measure(quick=quick)
    except BenchError as error:
        print(f"{benchmark.TITLE}: FAILED: {error}", flush=True)
        return False
    print(result, flush=True)
    return bool(result.is_within_limits)


sys.exit(main())
