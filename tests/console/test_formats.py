"""Times, durations and numbers as a page shows them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from relay.console.formats import Formats
from relay.console.texts import ENGLISH, SPANISH

NOW = datetime(2026, 11, 27, 3, 0, 30, tzinfo=UTC)
ENGLISH_FORMATS = Formats(ENGLISH.units, ZoneInfo("Europe/Madrid"), NOW)
SPANISH_FORMATS = Formats(SPANISH.units, ZoneInfo("Europe/Madrid"), NOW)


@pytest.mark.parametrize(
    ("iso", "english", "spanish"),
    [
        ("2026-11-27T02:03:04Z", "03:03", "03:03"),
        ("2026-11-26T22:59:59Z", "26 Nov 23:59", "26 nov 23:59"),
        ("2026-11-26T23:00:00Z", "00:00", "00:00"),
        ("2025-01-02T03:04:05Z", "2 Jan 2025 04:04", "2 ene 2025 04:04"),
    ],
)
def test_a_time_is_short_and_has_its_offset_in_the_title(iso: str, english: str, spanish: str) -> None:
    assert f">{english}</time>" in ENGLISH_FORMATS.moment(iso)
    assert f">{spanish}</time>" in SPANISH_FORMATS.moment(iso)
    assert f'datetime="{iso}"' in ENGLISH_FORMATS.moment(iso)
    assert '+01:00"' in ENGLISH_FORMATS.moment(iso)


def test_an_exact_time_has_its_date_and_seconds() -> None:
    assert ">27 nov 03:03:04</time>" in SPANISH_FORMATS.exact("2026-11-27T02:03:04Z")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (192, "3 min 12 s"),
        (3_600, "1 h"),
        (5_430, "1 h 30 min"),
        (93_600, "1 d 2 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: int | None, shown: str) -> None:
    assert ENGLISH_FORMATS.duration(seconds) == shown


@pytest.mark.parametrize(
    ("iso", "english", "spanish"),
    [
        ("2026-11-27T03:00:00Z", "just now", "ahora mismo"),
        ("2026-11-27T03:09:00Z", "just now", "ahora mismo"),
        ("2026-11-27T02:55:00Z", "5 min ago", "hace 5 min"),
        ("2026-11-26T23:55:00Z", "3 h ago", "hace 3 h"),
        ("2026-11-20T03:00:00Z", "7 d ago", "hace 7 d"),
    ],
)
def test_how_long_ago(iso: str, english: str, spanish: str) -> None:
    assert f">{english}</time>" in ENGLISH_FORMATS.ago(iso)
    assert f">{spanish}</time>" in SPANISH_FORMATS.ago(iso)


def test_the_absence_of_a_time_is_shown_as_nothing() -> None:
    assert [ENGLISH_FORMATS.moment(None), ENGLISH_FORMATS.exact(None), ENGLISH_FORMATS.ago(None)] == [""] * 3


def test_thousands_are_separated() -> None:
    assert [ENGLISH_FORMATS.number(n) for n in (0, 999, 1_234_567)] == ["0", "999", "1\u202f234\u202f567"]


def test_a_command_in_a_sentence_looks_like_one_and_html_is_escaped() -> None:
    assert (
        ENGLISH_FORMATS.sentence("Run `relay <x>` & wait") == "Run <code>relay &lt;x&gt;</code> &amp; wait."
    )


def test_lines_stay_lines() -> None:
    assert ENGLISH_FORMATS.multiline("<b>\n2") == "&lt;b&gt;<br>2"


def test_the_zone_is_named_with_its_offset() -> None:
    assert ENGLISH_FORMATS.zone_name == "Europe/Madrid, UTC+01:00"


@pytest.mark.parametrize(
    ("text", "english", "spanish"),
    [
        ("tried at 2026-11-27 04:12:01+01:00", "tried at 04:12.", "tried at 04:12."),
        ("since 2026-11-26 23:59:59+01:00.", "since 23:59 on 26 Nov.", "since 23:59 del 26 nov."),
        ("since 2025-07-02 04:12:01+02:00", "since 04:12 on 2 Jul 2025.", "since 04:12 del 2 jul 2025."),
        ("the CRM said 2026-99-99 04:12:01+01:00", *["the CRM said 2026-99-99 04:12:01+01:00."] * 2),
    ],
)
def test_the_times_of_a_sentence_are_short(text: str, english: str, spanish: str) -> None:
    assert ENGLISH_FORMATS.sentence(text).striptags() == english
    assert SPANISH_FORMATS.sentence(text).striptags() == spanish


def test_a_time_of_a_sentence_has_its_offset_in_the_title() -> None:
    assert 'title="2026-11-27 04:12:01+01:00">04:12<' in SPANISH_FORMATS.sentence("2026-11-27 04:12:01+01:00")


def test_a_sentence_has_commands_but_not_those_that_a_button_replaces() -> None:
    shown = ENGLISH_FORMATS.sentence("replay it (`relay dead replay 1`); <b> `relay check` says why")
    assert shown == "replay it; &lt;b&gt; <code>relay check</code> says why."


@pytest.mark.parametrize(
    "text", ["It waits.", "Go to https://relay.example/hook", "Run `relay check`", "Why?"]
)
def test_a_sentence_that_ends_or_that_somebody_copies_gets_no_full_stop(text: str) -> None:
    assert ENGLISH_FORMATS.sentence(text).striptags() == text.replace("`", "")
