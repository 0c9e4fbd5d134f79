"""`python -m tests.chaos`: makes long chaos runs and writes docs/chaos.md; exits with 1 after an error."""

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
from tests.chaos.machine_faults import SCENARIOS
from tests.chaos.scenarios import RATE, Outcome, one_relay_killed, three_relays_killed_and_frozen

_PROJECT: Final = Path(__file__).parents[2]
_SCRATCH: Final = _PROJECT / "var"
"""Not /tmp: that may be in memory, where a commit takes no time."""

_HEADING: Final = "\n\n## "
_INTRODUCTION: Final = """\
# Chaos

Written by `make chaos`. It starts real relays and sends them calls at a fixed rate. The relays deliver the
calls to a CRM that fails at random. Meanwhile relays are killed with `kill -9` and frozen, their database is
restarted, or the machine fails: disk, memory, clock, files of the ledger, log, connections. At the end, the
ledger is compared with the sender's list of acknowledged events, and the rows in the CRM with the expected
record of each call. `make test` makes the runs with kills and some of the others, shorter.

- **events lost**: acknowledged events that are not in the ledger.
- **calls lost**: calls that are not in the CRM, although all their events were acknowledged.
- **doubled**: calls with more than one row in the CRM, and rows that belong to no call.
- **stale**: rows that differ from the expected record of their call.
- **kills in a push**: kills that closed a connection to the CRM before the relay had received the response.
- **calls of which a message may have come late**: a frozen relay did not respond to a message. Another relay
  received newer messages of the call, and the frozen relay may have stored its message after them. For these
  calls only fields that do not depend on the order are compared. The comparison leaves out tags that were
  edited more than once, and does not check which of CloudTalk's two ids is in the record's id.
- **acknowledged a second**: not counting the time in which no relay ran or the ledger was made unusable.
- **late writes**: rows of older versions that the CRM received after newer ones. The trigger in the SQL of
  `relay setup --print` ignored them.

"""


def main() -> int:
    """Make the runs, write the page and return the exit code."""
    options = _parse_options()
    outcomes = []
    for run in _runs(options):
        _SCRATCH.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="chaos-", dir=_SCRATCH) as folder:
            outcomes.append(run(Path(folder)))
        print(f"{outcomes[-1]}\n", flush=True)  # noqa: T201 - progress for the person who started this
        _write_section(options.out, outcomes[-1])
    return 0 if all(outcome.audit.passed for outcome in outcomes) else 1


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument(
        "--engine", nargs="+", choices=ENGINES, default=list(ENGINES), help="the engines; all by default"
    )
    parser.add_argument(
        "--kills", type=int, default=100, help="number of kills of the single relay, on each engine"
    )
    parser.add_argument(
        "--disturbances", type=int, default=60, help="number of kills and freezes of the three relays"
    )
    parser.add_argument(
        "--faults", nargs="*", choices=SCENARIOS, default=list(SCENARIOS), help="faults of the machine"
    )
    parser.add_argument("--rate", type=float, default=RATE, help="messages per second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=_PROJECT / "docs" / "chaos.md")
    return parser.parse_args()


def _runs(options: argparse.Namespace) -> Iterator[Callable[[Path], Outcome]]:
    common = {"seed": options.seed, "rate": options.rate}
    for engine in options.engine if options.kills else ():
        yield partial(one_relay_killed, engine=engine, kills=options.kills, **common)
    for engine in options.engine:
        if engine in SHARED and options.disturbances:
            yield partial(
                three_relays_killed_and_frozen, engine=engine, disturbances=options.disturbances, **common
            )

    for name in options.faults:
        yield partial(SCENARIOS[name], seed=options.seed)


def _write_section(page: Path, outcome: Outcome) -> None:
    """Write the section of a run, and keep those of other runs."""
    written = page.read_text() if page.exists() else ""
    _, *sections = written.split(_HEADING)
    sections_by_title = {section.partition("\n")[0]: section.rstrip() for section in sections}
    title = f"{outcome.scenario}, {outcome.engine}"
    date = f"{datetime.now(UTC):%Y-%m-%d}, {describe_machine().splitlines()[0]}."
    sections_by_title[title] = "\n".join([title, "", date, "", "| | |", "|---|---|", *_format_rows(outcome)])
    page.write_text(_HEADING.join([_INTRODUCTION.rstrip(), *sections_by_title.values()]) + "\n")


def _format_rows(outcome: Outcome) -> Iterator[str]:
    audit = outcome.audit
    figures: dict[str, object] = {
        "seed": outcome.seed,
        "seconds": round(outcome.seconds),
        "requests sent": f"{outcome.sent:,}",
        "events acknowledged": f"{audit.acknowledged:,}",
        "acknowledged a second, while a relay was up": round(outcome.rate),
        "calls": f"{audit.calls:,}",
        "calls of which a message may have come late": audit.order_uncertain,
        "kills": outcome.kills,
        "kills in a push": outcome.kills_in_push,
        "freezes": outcome.freezes,
        "restarts of the database": outcome.restarts,
        "requests to the CRM": f"{outcome.crm_requests:,}",
        "faults of the CRM": ", ".join(f"{n} {fault}" for fault, n in sorted(outcome.crm_faults.items())),
        "late writes": outcome.late_writes,
        "highest memory (RSS) of a relay": f"{outcome.memory_mb:.0f} MB",
        "**events lost**": len(audit.lost_events),
        "**calls lost**": len(audit.lost_calls),
        "**doubled**": len(audit.doubled),
        "**stale**": len(audit.stale),
        "not folded, pending, dead at the end": f"{audit.not_folded}, {audit.pending}, {audit.dead}",
    }
    if outcome.notes:
        yield f"| what was done | {'; '.join(outcome.notes)} |"
    yield from (f"| {name} | {value} |" for name, value in figures.items())


if __name__ == "__main__":
    sys.exit(main())
