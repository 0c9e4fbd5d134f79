"""Which bytes a `Range` header asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.recordings.ranges import ByteRange, Unsatisfiable, parse_ranges


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, []),
        ("bytes=0-0", [(0, 1)]),
        ("bytes=0-", [(0, 10)]),
        ("bytes=9-20", [(9, 10)]),
        ("bytes=-3", [(7, 10)]),
        ("bytes=-30", [(0, 10)]),
        ("Bytes = 2-3", [(2, 4)]),
        ("bytes=0-1,4-5", [(0, 2), (4, 6)]),
        ("bytes=0-1, ,20-30, -2", [(0, 2), (8, 10)]),
        (" \tbytes\t=\t2-3\t", [(2, 4)]),
        ("bytes=0-999999999999999999", [(0, 10)]),
        ("bytes=3-3", [(3, 4)]),
        ("bytes=0-4,5-9", [(0, 5), (5, 10)]),
        ("bytes=0-4,4-9", []),
        ("bytes=" + ",".join(["1-1"] * 8), [(1, 2)] * 8),
        ("bytes=0-8,0-8", []),
        ("bytes=" + ",".join(["1-1"] * 9), []),
        ("bytes=3-1", []),
        ("bytes=-", []),
        ("bytes=", []),
        ("bytes=a-b", []),
        ("bytes=X2-3", []),
        ("bytes=1-2-3", []),
        ("bytes=\u0661-2", []),
        ("bytes=0-9999999999999999999", []),
        ("seconds=1-2", []),
        ("0-1", []),
    ],
)
def test_a_header_is_parsed(header: str | None, expected: list[tuple[int, int]]) -> None:
    assert parse_ranges(header, 10) == expected


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=11-12", "bytes=-0", "bytes=20-30,40-50"])
def test_a_range_outside_of_the_recording_is_unsatisfiable(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        parse_ranges(header, 10)


def test_the_content_range_counts_from_zero() -> None:
    assert ByteRange(0, 10).content_range(20) == "bytes 0-9/20"


PARTS = st.one_of(
    st.tuples(st.integers(0, 300), st.integers(0, 300)).map(lambda p: f"{p[0]}-{p[1]}"),
    st.integers(0, 300).map(lambda n: f"{n}-"),
    st.integers(0, 300).map(lambda n: f"-{n}"),
)


@given(st.lists(PARTS, min_size=1, max_size=10), st.integers(0, 200))
def test_every_part_is_inside_the_recording(parts: list[str], size: int) -> None:
    data = bytes(n % 251 for n in range(size))
    try:
        found = parse_ranges("bytes=" + ",".join(parts), size)
    except Unsatisfiable:
        found = []
    assert all(0 <= each.start < each.end <= size for each in found)
    assert sum(each.length for each in found) <= max(size, 0) or len(found) == 1
    if len(parts) == 1 and len(found) == 1:
        first, _, last = parts[0].partition("-")
        expected = (
            data[int(first) :][: int(last) - int(first) + 1 if last else None]
            if first
            else data[-int(last) :]
        )
        assert data[found[0].start : found[0].end] == expected


@given(st.text(max_size=60), st.integers(0, 200))
def test_no_header_raises_another_error(header: str, size: int) -> None:
    for text in (header, f"bytes={header}"):
        try:
            parse_ranges(text, size)
        except Unsatisfiable:
            continue
