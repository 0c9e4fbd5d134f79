"""Secrets of the settings are collected for the log."""

from pathlib import Path

from relay.settings import collect_secrets
from tests.support.notebook import LoadText


def test_only_the_password_of_the_ledgers_url_is_a_secret(load_text: LoadText) -> None:
    settings = load_text("ledger.url = 'postgresql://relay:p%40w@db/relay?password=other'")
    assert set(collect_secrets(settings)) == {"p%40w", "p@w", "other"}
    assert set(collect_secrets(load_text("ledger.url = 'sqlite:///x.db'"))) == set()


def test_the_ledgers_url_can_be_read_from_a_file(load_text: LoadText, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://relay:pw@db/relay\n")
    assert (
        load_text("ledger.url_file = 'url'").ledger.url.get_secret_value() == "postgresql://relay:pw@db/relay"
    )
