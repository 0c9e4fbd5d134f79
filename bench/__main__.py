"""`python -m bench`: ask every question, print an answer a line; 1 where a bound is broken."""

import argparse
import sys
from types import ModuleType
from typing import Final

from bench import (
    how_long_from_start_to_ready,
    how_long_to_the_crm,
    how_many_events_per_second,
    how_much_memory,
    machine,
    what_reading_costs,
)
from bench.answer import BenchError

_BENCHES: Final = {
    "start": how_long_from_start_to_ready,
    "memory": how_much_memory,
    "throughput": how_many_events_per_second,
    "latency": how_long_to_the_crm,
    "reading": what_reading_costs,
}


def main() -> int:
    """The exit code."""
    options = _options()
    print(machine.described(), flush=True)
    chosen = [_BENCHES[name] for name in options.which or _BENCHES]
    answered = [_holds(bench, quick=options.quick) for bench in chosen]
    return 0 if all(answered) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("which", nargs="*", metavar="WHICH", help=f"of {', '.join(_BENCHES)}; else all")
    parser.add_argument("--quick", action="store_true", help="shorter and rougher, for trying a bench out")
    options = parser.parse_args()
    unknown = [name for name in options.which if name not in _BENCHES]
    if unknown:
        parser.error(f"no bench {', '.join(unknown)}; there are {', '.join(_BENCHES)}")
    return options


def _holds(bench: ModuleType, *, quick: bool) -> bool:
    try:
        found = bench.answer(quick=quick)
    except BenchError as error:
        print(f"{bench.QUESTION}  NOT MEASURED: {error}", flush=True)
        return False
    print(found, flush=True)
    return bool(found.holds)


sys.exit(main())
