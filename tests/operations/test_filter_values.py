"""Times that people write, in the zone of the settings, when the clocks change."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from relay.instants import SECOND
from relay.operations.filter_values import parse_time


@pytest.mark.parametrize(
    ("zone", "written", "since", "until"),
    [
        # an hour happens twice
        ("Europe/Madrid", "2026-10-25T02:30", "2026-10-25T00:30Z", "2026-10-25T01:30Z"),
        ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30Z", "2026-11-01T06:30Z"),
        # an hour is missing
        ("Europe/Madrid", "2026-03-29T02:30", "2026-03-29T00:30Z", "2026-03-29T01:30Z"),
        ("America/New_York", "2026-03-08T02:30", "2026-03-08T06:30Z", "2026-03-08T07:30Z"),
        # the midnights of such a day, of 25 and of 23 hours
        ("Europe/Madrid", "2026-10-25", "2026-10-24T22:00Z", "2026-10-24T22:00Z"),
        ("Europe/Madrid", "2026-10-26", "2026-10-25T23:00Z", "2026-10-25T23:00Z"),
        ("Europe/Madrid", "2026-03-30", "2026-03-29T22:00Z", "2026-03-29T22:00Z"),
        # an offset decides
        ("Europe/Madrid", "2026-10-25T02:30+01:00", "2026-10-25T01:30Z", "2026-10-25T01:30Z"),
    ],
)
def test_a_time_without_an_offset_leaves_no_call_out_when_the_clocks_change(
    zone: str, written: str, since: str, until: str
) -> None:
    for field, expected in (("since", since), ("until", until)):
        found = parse_time(field, written, ZoneInfo(zone))
        assert found == datetime.fromisoformat(expected).timestamp() * SECOND
