"""`python -m tests.chaos`: the chaos runs, long; the account goes to docs/chaos.md; 1 where it is bad."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from bench.machine import describe_machine
from tests.chaos.engines import ENGINES, SHARED
from tests.chaos.scenarios import RATE, Outcome, one_relay_killed, three_relays_mistreated

_PROJECT: Final = Path(__file__).parents[2]
_SCRATCH: Final = _PROJECT / "var"
"""Not /tmp: that may lie in memory, where a commit costs nothing."""

_HEAD: Final = """\
# Chaos

Written by `make chaos`, which starts real relays, tells them calls at a pace, brings those to a CRM
that fails at random, and meanwhile kills relays with `kill -9`, freezes them and restarts their
database. Then it holds the sender's own list of what was acknowledged against the ledger, and what
each call must come to against the CRM's rows. `make test` does the same for a shorter time.

- **events lost**: acknowledged, and not in the ledger.
- **calls lost**: told to their end, and not in the CRM.
- **doubled**: calls with more than one row, and rows of no call.
- **stale**: rows that are not what their call came to.
- **kills in a push**: those by which the CRM lost a client that waited for its answer.
- **calls of which a message may have come late**: a frozen relay did not answer, and may have taken after
  its thaw what was then told to another. Of these, what holds in any order is asked: all but the tags
  that were edited more than once, and which of CloudTalk's two ids the record bears.
- **late writes**: rows of older versions that came to the CRM after newer ones and were refused by the
  guard of `relay setup --print`.

"""


def main() -> int:
    """The exit code."""
    options = _options()
    began = datetime.now(UTC)
    outcomes = []
    for run in _runs(options):
        _SCRATCH.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="chaos-", dir=_SCRATCH) as folder:
            outcomes.append(run(Path(folder)))
        print(f"{outcomes[-1]}\n", flush=True)  # noqa: T201 - for whoever watches
    options.out.write_text(_page(outcomes, began))
    return 0 if all(outcome.account.good for outcome in outcomes) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--engine", nargs="+", choices=ENGINES, default=list(ENGINES), help="else all")
    parser.add_argument("--kills", type=int, default=100, help="of the one relay, on each engine")
    parser.add_argument("--blows", type=int, default=60, help="to the three relays on one database")
    parser.add_argument("--rate", type=float, default=RATE, help="messages a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=_PROJECT / "docs" / "chaos.md")
    return parser.parse_args()


def _runs(options: argparse.Namespace) -> Iterator[Callable[[Path], Outcome]]:
    same = {"seed": options.seed, "rate": options.rate}
    for engine in options.engine:
        yield partial(one_relay_killed, engine=engine, kills=options.kills, **same)
    for engine in options.engine:
        if engine in SHARED:
            yield partial(three_relays_mistreated, engine=engine, blows=options.blows, **same)


def _page(outcomes: list[Outcome], began: datetime) -> str:
    place = describe_machine().splitlines()[0]
    lines = [_HEAD, f"{began:%Y-%m-%d}, {place}.\n"]
    for outcome in outcomes:
        lines += [f"\n## {outcome.scenario}, {outcome.engine}\n", "| | |", "|---|---|", *_rows(outcome)]
    return "\n".join(lines) + "\n"


def _rows(outcome: Outcome) -> Iterator[str]:
    account = outcome.account
    figures: dict[str, object] = {
        "seed": outcome.seed,
        "seconds": round(outcome.seconds),
        "requests sent": f"{outcome.sent:,}",
        "events acknowledged": f"{account.acknowledged:,}",
        "acknowledged a second, while a relay was up": round(outcome.rate),
        "calls": f"{account.calls:,}",
        "calls of which a message may have come late": account.doubted,
        "kills": outcome.kills,
        "kills in a push": outcome.in_push,
        "freezes": outcome.freezes,
        "restarts of the database": outcome.restarts,
        "requests to the CRM": f"{outcome.requests:,}",
        "faults of the CRM": ", ".join(f"{n} {fault}" for fault, n in sorted(outcome.faults.items())),
        "late writes": outcome.late_writes,
        "**events lost**": len(account.lost_events),
        "**calls lost**": len(account.lost_calls),
        "**doubled**": len(account.doubled),
        "**stale**": len(account.stale),
        "not folded, pending, dead at the end": f"{account.not_folded}, {account.pending}, {account.dead}",
    }
    yield from (f"| {name} | {value} |" for name, value in figures.items())


if __name__ == "__main__":
    sys.exit(main())
