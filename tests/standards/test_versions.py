"""Versions in the rows of CRMs, which people and other programs change."""

import math

import pytest

from relay.standards.versions import parse_version


@pytest.mark.parametrize(
    ("value", "version"),
    [
        (0, 0),
        (7, 7),
        ("7", 7),
        (7.0, 7),
        (3 * 2**32 + 1, 3 * 2**32 + 1),
        (9_007_194_959_773_695, 9_007_194_959_773_695),
        (9_007_194_959_773_696, 0),
        (2**53, 0),
        (2**62, 0),
        (2**70, 0),
        ("9" * 18, 0),
        ("9" * 5_000, 0),
        (1e30, 0),
        (1e300, 0),
        (math.inf, 0),
        (math.nan, 0),
        (-1, 0),
        (2.5, 0),
        ("", 0),
        (" 7", 0),
        ("two", 0),
        ("²", 0),
        (None, 0),
        (b"7", 0),
        ([7], 0),
    ],
)
def test_an_impossible_version_counts_as_none(value: object, version: int) -> None:
    assert parse_version(value) == version
