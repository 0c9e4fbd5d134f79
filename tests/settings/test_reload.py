"""Reload: which settings a running relay replaces, and which need a restart."""

from pathlib import Path

import pytest

from relay.settings import Settings, load, replace_secrets
from tests.support.notebook import LoadText

BASE = """
[cloudtalk]
tokens = ["aaaa-bbbb-cccc-1"]
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
def load_text(tmp_path: Path) -> LoadText:
    """Load with the built-in clients instead of the notebook plug-in."""

    def load_text(toml: str = "", /, **env: str) -> Settings:
        (tmp_path / "settings.toml").write_text(toml)
        return load(tmp_path / "settings.toml", env)

    return load_text


def test_the_tokens_of_the_metrics_are_replaced(load_text: LoadText) -> None:
    current, loaded = (load_text(f'[metrics]\ntokens = ["dddd-eeee-ffff-{n}"]') for n in (1, 2))
    updated, restart_needed = replace_secrets(current, loaded)
    assert restart_needed == []
    assert [token.get_secret_value() for token in updated.metrics.tokens] == ["dddd-eeee-ffff-2"]


def test_secrets_are_replaced(load_text: LoadText) -> None:
    current = load_text(BASE)
    loaded = load_text(BASE.replace("sb_secret_1", "sb_secret_2").replace('-1"', '-2"'))
    updated, restart_needed = replace_secrets(current, loaded)
    assert restart_needed == []
    assert [token.get_secret_value() for token in updated.cloudtalk.tokens] == ["aaaa-bbbb-cccc-2"]
    assert updated.destinations["far"].model_dump()["key"].get_secret_value() == "sb_secret_2"
    assert updated.destinations["crm"] == current.destinations["crm"]
    assert (updated.server, updated.ledger, updated.folder) == (
        current.server,
        current.ledger,
        current.folder,
    )


@pytest.mark.parametrize(
    ("before", "after", "restart_needed"),
    [
        ("", "[delivery]\nfirst_retry_seconds = 9", ["delivery.first_retry_seconds"]),
        ("", "[ledger]\nurl = 'postgresql://relay@db.example.com/other'", ["ledger.url"]),
        (
            "[telemetry]\notlp_headers = ['Authorization: Bearer one']",
            "[telemetry]\notlp_headers = ['Authorization: Bearer two']",
            ["telemetry.otlp_headers"],
        ),
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
def test_other_changes_are_listed_and_not_applied(
    load_text: LoadText, before: str, after: str, restart_needed: list[str]
) -> None:
    current = load_text(before)
    assert replace_secrets(current, load_text(after)) == (current, restart_needed)
