from typing import Any

import pytest

from crm_clients.comparison import is_same


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("text", "text"),
        ("in char(8)", "in char(8)   "),
        (5, "5"),
        (5, 5.0),
        ("5", 5),
        ("+34612345678", 34612345678),
        (5, "5.00"),
        (True, "true"),
        (True, 1),
        (False, "f"),
        (None, None),
        (None, ""),
        ([], None),
        ([], "[]"),
        ("2026-01-12T09:00:00Z", "2026-01-12T09:00:00+00:00"),
        ("2026-01-12T09:00:00Z", "2026-01-12T10:00:00+01:00"),
        ("2026-01-12T09:00:00Z", "2026-01-12T09:00:00"),
        ("2026-01-12T09:00:00Z", "2026-01-12 09:00:00"),
        ("2026-01-12T09:00:00.600Z", "2026-01-12T09:00:01+00:00"),
        ("2026-01-12T09:00:00Z", "2026-01-12"),
        ("44FE27CD-5268-4670-993E-0129AABBCCDD", "44fe27cd-5268-4670-993e-0129aabbccdd"),
        (["vip", "b"], '["vip", "b"]'),
        ({"a": 2.502379475042625e16}, {"a": 25023794750426250}),
        ({"a": 1, "b": [2]}, {"b": [2.0], "a": 1, "added by a trigger": 0}),
    ],
)
def test_a_value_in_another_form_is_the_same(written: Any, stored: Any) -> None:
    assert is_same(written, stored)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("text", "Text"),
        ("text", None),
        ("text", ""),
        (None, "text"),
        (5, 6),
        (0, None),
        (0, ""),
        (True, "false"),
        (False, None),
        (["a", "b"], ["b", "a"]),
        (["a"], "a"),
        ({"a": 1}, {"a": True}),
        ({"a": 1.0}, {"a": True}),
        ({"a": 1}, {}),
        ({"a": 1}, "no JSON"),
        ("2026-01-12T09:00:00Z", "2026-01-12T09:00:01+00:00"),
        ("2026-01-12T09:00:00Z", "2026-01-12T09:00:00+01:00"),
        ("2026-01-12T09:00:00Z", "2026-01-13"),
        ("2026-01-12T09:00:00Z", "yesterday"),
        ("44fe27cd-5268-4670-993e-0129aabbccdd", "44fe27cd-5268-4670-993e-0129aabbccde"),
        ("44fe27cd-5268-4670-993e-0129aabbccdd", "no uuid"),
        ("NaN", "NaN of another"),
    ],
)
def test_another_value_is_different(written: Any, stored: Any) -> None:
    assert not is_same(written, stored)
