"""Texts in HubSpot: bodies of sections, names and values of properties."""

import pytest

from crm_clients.hubspot.languages import TEXTS
from crm_clients.hubspot.text import (
    constant_properties,
    html_to_text,
    merge_sections,
    property_value,
    sections_to_html,
    shorten_name,
)

_FRAME = len("<p><strong>A</strong><br></p>")


def _section(heading: str, text: str) -> str:
    return f"<p><strong>{heading}</strong><br>{text}</p>"


def test_sections_are_escaped_and_follow_each_other() -> None:
    written = sections_to_html([("A&B", "1 < 2\n3"), ("C", "d")], TEXTS["en"])
    assert written == _section("A&amp;B", "1 &lt; 2<br>3") + _section("C", "d")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("x" * 64_800, "x" * 64_800),
        ("x" * 64_801, "x" * 64_800 + " … [cut]"),
        ("&" * 12_960, "&amp;" * 12_960),
        ("&" * 12_961, "&amp;" * 12_960 + " … [cut]"),
        ("x" * 64_799 + "&", "x" * 64_799 + " … [cut]"),
    ],
)
def test_a_text_is_cut_where_it_no_longer_fits_when_escaped(text: str, written: str) -> None:
    assert sections_to_html([("A", text)], TEXTS["en"]) == _section("A", written)


@pytest.mark.parametrize(("left", "written"), [(1, ["y"]), (0, []), (-1, [])])
def test_a_section_without_room_is_left_out(left: int, written: list[str]) -> None:
    first = "x" * (65_000 - _FRAME - 200 - left)
    found = sections_to_html([("A", first), ("B", "y"), ("C", "z")], TEXTS["en"])
    assert found == _section("A", first) + "".join(_section("B", text) for text in written)


@pytest.mark.parametrize(
    ("existing", "new", "merged"),
    [
        (
            _section("A", "1\n2") + _section("B", "3"),
            _section("B", "4\n5") + _section("C", "6"),
            _section("A", "1\n2") + _section("B", "4\n5") + _section("C", "6"),
        ),
        (
            "<div>by  a\nperson</div>" + _section("A", "1"),
            _section("A", "2") + _section("B", "a <br> person"),
            "<div>by  a\nperson</div>" + _section("A", "1") + _section("A", "2"),
        ),
    ],
)
def test_sections_are_replaced_in_a_body_of_the_relay_and_added_to_one_that_was_changed(
    existing: str, new: str, merged: str
) -> None:
    assert merge_sections(existing, new) == merged


@pytest.mark.parametrize(("room", "is_merged"), [(0, True), (-1, False)])
def test_a_body_that_would_be_too_long_stays(room: int, *, is_merged: bool) -> None:
    new = _section("A", "1")
    existing = "x" * (65_000 - len(new) - room)
    assert merge_sections(existing, new) == (existing + new if is_merged else existing)


def test_the_words_of_html_are_compared_without_tags_and_entities() -> None:
    assert html_to_text("<p class='x'>One<br/>two &amp; &lt;b&gt;\n three</p>") == "One two & <b> three"


@pytest.mark.parametrize(
    ("name", "short"),
    [(" Ana\n  Ruiz ", "Ana Ruiz"), ("x" * 200, "x" * 200), ("x" * 201, "x" * 200 + "…")],
)
def test_a_name_is_one_line_of_at_most_200_characters(name: str, short: str) -> None:
    assert shorten_name(name) == short


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (["a", 1, "b;c"], "a;1;b;c"),
        ([], ""),
        ({"a": ["ñ", None]}, '{"a":["ñ",null]}'),
        ({"a": "x" * 65_000}, '{"a":"' + "x" * 64_994),
        ("x" * 65_001, "x" * 65_000),
        ("a\0b\ud800c", "abc"),
    ],
)
def test_each_value_is_a_text(value: object, written: str) -> None:
    assert property_value(value) == written


def test_an_empty_constant_is_left_out() -> None:
    constants: dict[str, object] = {
        "source": "relay",
        "empty": "",
        "none": None,
        "list": [],
        "zero": 0,
        "no": False,
    }
    assert constant_properties(constants) == {"source": "relay", "zero": "0", "no": "false"}


@pytest.mark.parametrize("bad", ["\0", "\ud800"])
def test_what_hubspots_json_cannot_hold_is_removed_from_every_text(bad: str) -> None:
    texts = TEXTS["en"]
    written = [
        sections_to_html([("Tags", f"vi{bad}p")], texts),
        shorten_name(f"Ana {bad}Ruiz"),
        property_value([f"vi{bad}p", "new"]),
        property_value(f"vi{bad}p"),
    ]
    assert not any(bad in text for text in written)
    assert written[1:3] == ["Ana Ruiz", "vip;new"]
