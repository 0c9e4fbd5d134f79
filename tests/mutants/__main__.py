"""`python -m tests.mutants`: tests a sample of mutants of the core; exits with 1 if too many survive."""

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

from tests.mutants.core import core_modules
from tests.mutants.equivalents import format_equivalent, load_equivalents
from tests.mutants.mutations import Mutant, mutants_of
from tests.mutants.runner import Outcome, Result, run_mutants

_PROJECT: Final = Path(__file__).parents[2]
_SEED: Final = 1
_COUNT: Final = 1000
_MOST_SURVIVORS: Final = 0.01


def main() -> int:
    """Test the mutants, print the result and return the exit code."""
    options = _parse_options()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        root = Path(folder) / "project"
        _copy_project(root)
        mutants = _sample(root, options)
        print(f"seed {options.seed}: {len(mutants)} mutants, {options.jobs} processes", flush=True)
        equivalents = load_equivalents()
        tested = [mutant for mutant in mutants if mutant.identity not in equivalents]
        counts: Counter[str] = Counter({"equivalent": len(mutants) - len(tested)})
        for result in run_mutants(root, tested, jobs=options.jobs):
            if result.outcome in {Outcome.SURVIVED, Outcome.UNTESTED}:
                print(_describe(result, as_toml=options.toml), flush=True)
            counts[result.outcome] += 1
    return _summarise(counts, options.seed)


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("paths", nargs="*", help="files or folders of the core; all of it by default")
    parser.add_argument("--seed", type=int, default=_SEED, help="of the sample (default: %(default)s)")
    parser.add_argument(
        "--count", type=int, default=_COUNT, help="size of the sample (default: %(default)s); 0: all mutants"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: %(default)s)"
    )
    parser.add_argument("--toml", action="store_true", help="print survivors as entries of equivalents.toml")
    return parser.parse_args()


def _copy_project(root: Path) -> None:
    """Copy the files that Git has or would add, so that the run neither sees nor makes changes in between."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=_PROJECT, check=True, capture_output=True, text=True)  # noqa: S603
    for name in filter(None, listed.stdout.split("\0")):
        if (_PROJECT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes((_PROJECT / name).read_bytes())


def _sample(root: Path, options: argparse.Namespace) -> list[Mutant]:
    modules = core_modules(root, options.paths)
    mutants = [mutant for module in modules for mutant in mutants_of(module, (root / module).read_text())]
    count = min(options.count or len(mutants), len(mutants))
    return random.Random(options.seed).sample(mutants, count)


def _describe(result: Result, *, as_toml: bool) -> str:
    mutant = result.mutant
    if as_toml:
        return f"{format_equivalent(mutant)}\n"
    note = (
        "" if result.outcome is Outcome.SURVIVED else f" ({result.outcome}: its tests fail without a mutant)"
    )
    return (
        f"{mutant.module}:{mutant.line} {mutant.function}{note}\n-    {mutant.before}\n+    {mutant.after}\n"
    )


def _summarise(counts: Counter[str], seed: int) -> int:
    """Print the numbers; return 1 if too many mutants survived, or if some could not be tested."""
    share = counts[Outcome.SURVIVED] / max(counts.total(), 1)
    outcomes = ", ".join(f"{counts[name]} {name}" for name in (*Outcome, "equivalent"))
    print(f"seed {seed}: {counts.total()} mutants: {outcomes}")
    print(f"{share:.1%} survived, the limit is {_MOST_SURVIVORS:.0%}")
    return 0 if share <= _MOST_SURVIVORS and not counts[Outcome.UNTESTED] else 1


if __name__ == "__main__":
    sys.exit(main())
