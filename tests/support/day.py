"""A call centre's day as CloudTalk tells it; a process of its own, so that the fakes have theirs.

`python -m tests.support.day HOOK NOW first|again` prints, as JSON, the record that each call must end as.
`again`: every message once more, but for the edits of tags: they bear no time, and tags that come and go
and come again are news.
"""

import asyncio
import subprocess
import sys
from datetime import datetime
from typing import Any, Final

import httpx
import msgspec

from relay.simulator import scenarios
from relay.simulator.message import Message, SimulatedCall
from relay.simulator.order import errands
from relay.simulator.run import _Line, _Opener, _Voice

CALLS: Final = 2_000
SEED: Final = 20_261_124


def told(hook: str, now: datetime, *, again: bool = False) -> list[dict[str, Any]]:
    """Tell the day of this moment, and wait until all of it was acknowledged."""
    command = [
        sys.executable,
        "-m",
        "tests.support.day",
        hook,
        now.isoformat(),
        "again" if again else "first",
    ]
    done = subprocess.run(command, capture_output=True, check=False, timeout=240)  # noqa: S603 - our own
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout, type=list[dict[str, Any]])


def calls_of(now: datetime) -> list[SimulatedCall]:
    """The day's calls, each told in several dialects."""
    return scenarios(CALLS, SEED, now, dialect="mixed")


def _tell(hook: str, now: datetime, *, again: bool) -> list[dict[str, Any]]:
    """Doubled and out of order."""
    planned = calls_of(now)
    work = errands(planned, chaos=True, seed=SEED)
    if again:
        work = [tuple(message for message in errand if not _is_edit(message)) for errand in work]
    line = _Line(_Opener(), _Voice(httpx.URL(hook), None, None), None, 0, None)
    asyncio.run(line.run(work))
    assert (line._acknowledged, line._sent) == (line._sent, sum(map(len, work)))
    return [call.expected_in_any_order() for call in planned]


def _is_edit(message: Message) -> bool:
    return "modified" in f"{message.path} {message.query} {message.body}".lower()


if __name__ == "__main__":
    expected = _tell(sys.argv[1], datetime.fromisoformat(sys.argv[2]), again=sys.argv[3] == "again")
    sys.stdout.buffer.write(msgspec.json.encode(expected))
