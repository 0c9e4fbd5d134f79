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
@pytest.mark.parametrize("person", [True, False])
def test_a_command_that_reads_creates_no_ledger_and_shows_an_empty_one(
    home: Home, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], *, person: bool
) -> None:
    monkeypatch.setattr("relay.cli.ledger_session._is_seen_by_a_person", lambda: person)
    before = sorted(home.path.parent.rglob("*"))
    result = home.run(*command, "--json")
    assert result.exit_code == 0
    message = f"There is no ledger at {home.folder / 'relay.db'}:\n`relay serve` creates it.\n"
    assert result.stderr == (message if person else "")
    assert sorted(home.path.parent.rglob("*")) == before


@pytest.mark.parametrize(
    "command", [("calls", "show", "1"), ("dead", "show", "1"), ("quarantine", "show", "1")]
)
def test_an_unknown_id_is_an_error_without_a_ledger_too(home: Home, command: tuple[str, ...]) -> None:
    before = sorted(home.path.parent.rglob("*"))
    assert home.run(*command).exit_code == 1
    assert sorted(home.path.parent.rglob("*")) == before
