"""The language of a page."""

import pytest

from relay.console.languages import choose_language


@pytest.mark.parametrize(
    ("chosen", "header", "code"),
    [
        (None, "es-ES,es;q=0.9,en;q=0.8", "es"),
        (None, "en-GB,en;q=0.9,es;q=0.8", "en"),
        (None, "en;q=0.3, es;q=0.7", "es"),
        (None, "fr, ca;q=0.9, ES-419;q=0.5", "es"),
        (None, "es;q=0, en;q=0.1", "en"),
        (None, "fr", "en"),
        (None, "", "en"),
        (None, "es;q=x, ;;,=", "en"),
        ("es", "en", "es"),
        ("en", "es", "en"),
        ("fr", "es", "es"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_browsers(chosen: str | None, header: str, code: str) -> None:
    assert choose_language(chosen, header).code == code
