"""Listed tokens."""

import pytest

from relay.standards.tokens import TokenList


@pytest.mark.parametrize(
    ("given", "expected"),
    [(["b"], True), (["x", "a"], True), (["ab"], False), ([""], False), ([], False), (["\udcff"], False)],
)
def test_a_token_is_listed_if_all_of_it_is(given: list[str], expected: bool) -> None:
    assert TokenList(["a", "b"]).has_any(given) is expected


def test_an_empty_list_has_no_token() -> None:
    assert not TokenList([])
    assert not TokenList([]).has_any(["a", ""])
    assert TokenList(["a"])
