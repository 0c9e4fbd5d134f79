"""What a running relay takes over of settings that were read again."""

from pathlib import Path
from typing import Any

import pytest

from relay.settings import Settings, load, replace_secrets

BASE = """
[cloudtalk]
tokens = ["a"]
signing_secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
[destinations.crm]
client = "local"
path = "crm.db"
[destinations.far]
client = "supabase"
url = "https://abc.supabase.co"
key = "sb_secret_1"
"""


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def read_(text: str) -> Settings:
        (tmp_path / "settings.toml").write_text(text)
        return load(tmp_path / "settings.toml", {})

    return read_


def test_secrets_are_taken_over(read: Any) -> None:
    before = read(BASE)
    after, others = replace_secrets(
        before, read(BASE.replace("sb_secret_1", "sb_secret_2").replace('"a"', '"b"'))
    )
    assert others == []
    assert [token.get_secret_value() for token in after.cloudtalk.tokens] == ["b"]
    assert after.destinations["far"].model_dump()["key"].get_secret_value() == "sb_secret_2"
    assert after.destinations["crm"] == before.destinations["crm"]
    assert (after.server, after.ledger, after.folder) == (before.server, before.ledger, before.folder)


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("", "[delivery]\nfirst_retry_seconds = 9", ["delivery.first_retry_seconds"]),
        ("[destinations.a]\nclient='local'\npath='a'", "", ["destinations.a"]),
        ("", "[destinations.a]\nclient='local'\npath='a'", ["destinations.a"]),
        (
            "[destinations.a]\nclient='local'\npath='a'",
            "[destinations.a]\nclient='supabase'\nurl='https://u.supabase.co'\nkey='k'",
            ["destinations.a"],
        ),
        (
            "[destinations.a]\nclient='local'\npath='a'",
            "[destinations.a]\nclient='local'\npath='a'\n[destinations.a.when]\nminimum_seconds=5",
            ["destinations.a.when"],
        ),
    ],
)
def test_what_is_no_secret_is_named_and_left(read: Any, before: str, after: str, named: list[str]) -> None:
    old = read(before)
    assert replace_secrets(old, read(after)) == (old, named)
