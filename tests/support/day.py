"""One day of a call centre, sent by a process of its own so that the test's fake CRMs are not slowed.

`python -m tests.support.day WEBHOOK_URL NOW first|again` prints the expected record of each call as JSON.
`again` sends every message once more, except the edits of tags: they have no time of their own, so a
repeated edit is a new edit.
"""

import asyncio
import os
import subprocess
import sys
from datetime import datetime
from typing import Any, Final

import httpx
import msgspec

from relay.simulator import (
    ClientFactory,
    Message,
    RequestBuilder,
    Sender,
    SimulatedCall,
    build_sequences,
    generate_calls,
)

CALLS: Final = int(os.environ.get("DAY_CALLS", "500"))
SEED: Final = 20_261_124


def send_day(webhook: str, now: datetime, *, again: bool = False) -> list[dict[str, Any]]:
    """Send the day that starts at `now` and wait until every event is acknowledged."""
    command = [
        sys.executable,
        "-m",
        "tests.support.day",
        webhook,
        now.isoformat(),
        "again" if again else "first",
    ]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - fixed command
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout, type=list[dict[str, Any]])


def day_calls(now: datetime) -> list[SimulatedCall]:
    """Generate the day's calls, each in several dialects."""
    return generate_calls(CALLS, SEED, now, dialect="mixed")


def _send(webhook: str, now: datetime, *, again: bool) -> list[dict[str, Any]]:
    """Send the messages shuffled and partly twice."""
    calls = day_calls(now)
    sequences = build_sequences(calls, chaos=True, seed=SEED)
    if again:
        sequences = [tuple(m for m in sequence if not _is_tag_edit(m)) for sequence in sequences]
    sender = Sender(ClientFactory(), RequestBuilder(httpx.URL(webhook), None, None))
    asyncio.run(sender.send_all(sequences))
    assert (sender.acknowledged, sender.sent) == (sender.sent, sum(map(len, sequences)))
    return [call.expected_in_any_order() for call in calls]


def _is_tag_edit(message: Message) -> bool:
    return "modified" in f"{message.path} {message.query} {message.body}".lower()


if __name__ == "__main__":
    expected = _send(sys.argv[1], datetime.fromisoformat(sys.argv[2]), again=sys.argv[3] == "again")
    sys.stdout.buffer.write(msgspec.json.encode(expected))
