"""Which commands create the ledger."""

import pytest

from tests.support.home import Home

READING = (
    ("status",),
    ("calls", "list"),
    ("dead", "list"),
    ("quarantine", "list"),
    ("destinations", "list"),
)


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_command_that_reads_creates_no_ledger_and_shows_an_empty_one(
    home: Home, command: tuple[str, ...]
) -> None:
    before = sorted(home.path.parent.rglob("*"))
    result = home.run(*command, "--json")
    assert result.exit_code == 0
    assert "There is no ledger at" in result.stderr
    assert "`relay serve` creates it" in result.stderr
    assert sorted(home.path.parent.rglob("*")) == before


@pytest.mark.parametrize(
    "command", [("calls", "show", "1"), ("dead", "show", "1"), ("quarantine", "show", "1")]
)
def test_an_unknown_id_is_an_error_without_a_ledger_too(home: Home, command: tuple[str, ...]) -> None:
    before = sorted(home.path.parent.rglob("*"))
    assert home.run(*command).exit_code == 1
    assert sorted(home.path.parent.rglob("*")) == before
