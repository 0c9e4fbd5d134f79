"""What a page shows of bodies."""

import json

import pytest

from relay.console.bodies import pretty_bodies
from relay.logs import hide

SECRET = "canary-0123456789-abcdef"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('{"a":1,"b":"ñ"}', '{\n  "a": 1,\n  "b": "ñ"\n}'),
        ("a=1&b=2", "a=1&b=2"),
        ("", ""),
        ("[" * 900 + "]" * 900, None),
        ("[" * 9_000 + "]" * 9_000, "[" * 9_000 + "]" * 9_000),
        ("9" * 5_000, None),
    ],
)
def test_json_is_indented_and_anything_else_is_as_it_was_sent(body: str, shown: str | None) -> None:
    (found,) = pretty_bodies([body])
    assert shown is None or found == shown


def test_no_more_is_indented_than_is_shown() -> None:
    deep = "[" + ",".join(["[" * 60 + "]" * 60] * 250) + "]"
    (found,) = pretty_bodies([deep])
    assert len(found) == 32_769


def test_a_long_body_is_cut_and_a_secret_at_the_cut_is_removed() -> None:
    hide(SECRET)
    (found,) = pretty_bodies(["x" * 32_760 + SECRET + "y" * 9_000])
    assert len(found) == 32_769
    assert found.endswith("…")
    assert "canary" not in found


def test_all_bodies_of_a_page_have_one_limit() -> None:
    wide = json.dumps([[[[[0] * 9_000]]]])
    found = pretty_bodies([wide] * 100)
    assert len(found) == 100
    assert sum(map(len, found)) < 270_000
    assert found[-1] == "…"
