"""The settings as a person sees them: values, origins, and no secret."""

from pathlib import Path

import pytest

from relay.operations.settings_view import SettingView, view_settings
from relay.settings import load

CANARY = "Canary-7f3a91c2d4-0123"
SETTINGS = f"""
[cloudtalk]
tokens = ["{CANARY}", "{CANARY}-2"]
timezone = "Europe/London"
[cloudtalk.api]
key_id = "{CANARY}"
key_secret_file = "key"
[ledger]
url = "postgresql://relay:{CANARY}@db.example.com/relay"
[destinations.crm]
client = "supabase"
url = "https://abc.supabase.co"
key = "sb_secret_{CANARY}"
[destinations.crm.when]
directions = ["inbound"]
[destinations.hook]
client = "webhook"
url = "https://hooks.example.com/services/{CANARY}?key={CANARY}"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""


@pytest.fixture
def views(tmp_path: Path) -> dict[str, dict[str, SettingView]]:
    """The keys of each section, by their names."""
    (tmp_path / "settings.toml").write_text(SETTINGS)
    (tmp_path / "key").write_text(f"{CANARY}-secret\n")
    environment = {"RELAY__LOG__LEVEL": "debug", "RELAY__DESTINATIONS__CRM__BATCH": "7"}
    sections = view_settings(load(tmp_path / "settings.toml", environment))
    return {section.name: {each.key: each for each in section.settings} for section in sections}


def test_no_secret_is_shown(views: dict[str, dict[str, SettingView]]) -> None:
    assert CANARY not in repr(views)
    hidden = {
        f"{section}.{key}": view.secrets
        for section, keys in views.items()
        for key, view in keys.items()
        if view.secrets
    }
    assert hidden == {
        "cloudtalk.tokens": 2,
        "cloudtalk.api.key_id": 1,
        "cloudtalk.api.key_secret": 1,
        "ledger.url": 1,
        "destinations.crm.key": 1,
        "destinations.hook.secret": 1,
    }


@pytest.mark.parametrize(
    ("section", "key", "value", "source"),
    [
        ("cloudtalk", "timezone", "Europe/London", "settings.toml"),
        ("cloudtalk", "default_region", "ES", None),
        ("cloudtalk", "tokens", None, "settings.toml"),
        ("cloudtalk.api", "key_secret", None, "key"),
        ("log", "level", "debug", "RELAY__LOG__LEVEL"),
        ("destinations.crm", "client", "supabase", "settings.toml"),
        ("destinations.crm", "url", "https://abc.supabase.co", "settings.toml"),
        ("destinations.hook", "url", "https://hooks.example.com/…", "settings.toml"),
        ("cloudtalk.api", "base_url", "https://my.cloudtalk.io/api", None),
        ("destinations.crm", "batch", "7", "RELAY__DESTINATIONS__CRM__BATCH"),
        ("destinations.crm", "enabled", "true", None),
        ("destinations.crm.when", "directions", '["inbound"]', "settings.toml"),
        ("destinations.crm.when", "minimum_seconds", "0", None),
    ],
)
def test_a_key_has_its_value_and_what_sets_it(
    views: dict[str, dict[str, SettingView]], section: str, key: str, value: str | None, source: str | None
) -> None:
    view = views[section][key]
    assert view.value == value
    assert (view.source and Path(view.source).name) == source
