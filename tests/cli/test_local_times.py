"""Times as people read them."""

from zoneinfo import ZoneInfo

import pytest

from relay.cli.local_times import local_time, with_local_times

MADRID = ZoneInfo("Europe/Madrid")


@pytest.mark.parametrize(
    ("written", "seconds", "shown"),
    [
        ("2026-07-01T10:00:30Z", True, "2026-07-01 12:00:30+02:00"),
        ("2026-01-01T10:00:30.123Z", True, "2026-01-01 11:00:30+01:00"),
        ("2026-01-01T10:00:30Z", False, "2026-01-01 11:00+01:00"),
        (None, True, None),
    ],
)
def test_a_time_is_shown_with_the_offset_of_the_zone(
    written: str | None, seconds: bool, shown: str | None
) -> None:
    assert local_time(written, MADRID, seconds=seconds) == shown


def test_only_fields_that_are_times_are_changed() -> None:
    time = "2026-07-01T10:00:30Z"
    fields = {
        "at": time,
        "ended_at": time,
        "paused_until": time,
        "name": time,
        "started_at": None,
        "due_at": 7,
    }
    local = "2026-07-01 12:00:30+02:00"
    assert with_local_times(fields, MADRID) == fields | {
        "at": local,
        "ended_at": local,
        "paused_until": local,
    }
