"""Loading of the settings: which file is read, and the checks that concern several keys."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.settings import (
    Settings,
    SettingsError,
    load,
    plugins,
    review,
)
from tests.support.notebook import LoadError, LoadText, notebook_entries

ROOT = Path(__file__).parents[2]


def test_an_empty_file_gives_the_default_values(load_text: LoadText, tmp_path: Path) -> None:
    settings = load_text()
    assert settings.server.model_dump() == {
        "host": "127.0.0.1",
        "port": 8080,
        "public_url": "http://127.0.0.1:8080",
        "max_in_flight": 1000,
        "max_in_flight_bytes": 67_108_864,
        "keep_alive_seconds": 75,
    }
    assert settings.cloudtalk.model_dump() == {
        "webhook_path": "/cloudtalk/webhook",
        "tokens": (),
        "timezone": "Europe/Madrid",
        "default_region": "ES",
        "forward_internal": False,
        "max_body_bytes": 1048576,
        "signing_secrets": (),
        "secret_keys": ("secret", "token", "lhc_key"),
        "paths": {},
        "own_numbers": (),
        "company_ids": (),
        "grace_seconds": 120,
        "api": {
            "key_id": "",
            "key_secret": None,
            "base_url": "https://my.cloudtalk.io/api",
            "analytics_url": "https://analytics-api.cloudtalk.io/api",
            "ai_url": "https://api.cloudtalk.io/v1/ai",
            "requests_per_minute": 20,
        },
    }
    assert settings.ledger.path == tmp_path / "var/relay.db"
    assert settings.delivery.model_dump() == {
        "first_retry_seconds": 5,
        "longest_retry_seconds": 3600,
        "give_up_after_hours": 72,
    }
    assert settings.reconcile.model_dump() == {"every_minutes": 0, "look_back_hours": 2}
    assert settings.log.model_dump() == {"format": "auto", "level": "info", "personal_data": "masked"}
    assert settings.destinations == {}


def test_the_shipped_file_sets_only_defaults_and_the_embedded_crm(tmp_path: Path) -> None:
    # A copy, since the repository of a developer may have a settings.local.toml.
    shipped = load(Path(shutil.copy(ROOT / "settings.toml", tmp_path)), {})
    defaults = Settings.model_validate({}, context=tmp_path)
    assert shipped.model_dump(exclude={"destinations"}) == defaults.model_dump(exclude={"destinations"})
    assert list(shipped.destinations) == ["crm"]
    assert shipped.destinations["crm"].client == "local"
    assert dict(shipped.destinations["crm"])["path"] == tmp_path / "var/crm.db"
    assert review(shipped) == []


def test_the_commented_lines_of_the_shipped_file_are_the_defaults(
    load_text: LoadText, tmp_path: Path
) -> None:
    lines = (ROOT / "settings.toml").read_text("utf-8").partition("[destinations.crm]")[0].splitlines()
    keys = [re.sub(r"^# (?=\w+ = )", "", line) for line in lines]
    settings = load_text("\n".join(keys))
    assert settings.model_dump() == Settings.model_validate({}, context=tmp_path).model_dump()
    for name in set(Settings.model_fields) - {"destinations"}:
        section = getattr(settings, name)
        assert section.model_fields_set == set(type(section).model_fields)


def test_the_path_wins_over_the_environment_variable_and_that_over_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, port in (("given", 1), ("named", 2), ("settings", 3)):
        (tmp_path / f"{name}.toml").write_text(f"server.port = {port}")
    monkeypatch.chdir(tmp_path)
    named = {"RELAY_SETTINGS": str(tmp_path / "named.toml")}
    assert load(tmp_path / "given.toml", named).server.port == 1
    assert load(None, named).server.port == 2
    assert load(None, {}).server.port == 3
    assert load(None, {}).folder == tmp_path


def test_the_process_environment_is_used_by_default(
    load_text: LoadText, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_text()
    monkeypatch.setenv("RELAY__SERVER__PORT", "9")
    assert load(tmp_path / "settings.toml").server.port == 9


def test_an_error_for_a_missing_file_names_the_file_and_its_origin(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no settings file \S*/none.toml\. Name one with --settings"):
        load(tmp_path / "none.toml", {})
    with pytest.raises(SettingsError, match=r"none.toml \(named by RELAY_SETTINGS\)"):
        load(None, {"RELAY_SETTINGS": str(tmp_path / "none.toml")})


Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["port", "client", "a", ""]), inner)
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from([*Settings.model_fields, "other", ""]), Json),
    st.dictionaries(
        st.lists(
            st.sampled_from([*Settings.model_fields, "port", "tokens", "tokens_file", "client", "a", ""]),
            max_size=4,
        ).map(lambda steps: "__".join(["RELAY", *steps])),
        st.text(max_size=8) | st.sampled_from(['["a"]', '{"a": 1}', "notebook"]),
    ),
)
def test_any_input_gives_settings_or_a_settings_error(
    tmp_path_factory: pytest.TempPathFactory, table: dict[str, Any], env: Mapping[str, str]
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("relay.settings.loader.read_toml", lambda _: table)
        patch.setattr(plugins, "entry_points", notebook_entries().select)
        try:
            assert load(file, env).folder == file.parent
        except SettingsError as error:
            assert str(error).startswith("The settings have ")  # noqa: PT017 - either is right


# --- paths -------------------------------------------------------------------------------------


def test_relative_paths_are_resolved_against_the_files_folder(load_text: LoadText, tmp_path: Path) -> None:
    settings = load_text(
        "ledger.url = 'sqlite:///a/b.db'\n"
        "[destinations.a]\nclient = 'notebook'\nurl = 'x://'\npath = 'c.db'\n"
        "[destinations.b]\nclient = 'notebook'\nurl = 'x://'\npath = '/d.db'\n"
        "[destinations.c]\nclient = 'notebook'\nurl = 'x://'\n"
    )
    assert settings.ledger.url.get_secret_value() == f"sqlite:///{tmp_path}/a/b.db"
    assert settings.ledger.path == tmp_path / "a/b.db"
    assert [dict(one)["path"] for one in settings.destinations.values()] == [
        tmp_path / "c.db",
        Path("/d.db"),
        tmp_path / "var/notebook.db",
    ]


def test_a_crm_in_the_ledgers_file_is_rejected(load_text: LoadText) -> None:
    crm = '[destinations.crm]\nclient = "notebook"\nurl = "https://u"\npath = "x.db"'
    with pytest.raises(SettingsError, match=r"destinations\.crm\.path: .*x\.db is the ledger's"):
        load_text(f'[ledger]\nurl = "sqlite:///x.db"\n{crm}')


def test_a_postgresql_ledger_conflicts_with_no_crm_file(load_text: LoadText) -> None:
    """What a destination leaves unsaid, as its rate, is None as that ledger's file is."""
    crm = '[destinations.crm]\nclient = "notebook"\nurl = "https://u"\npath = "x.db"'
    assert load_text(f'[ledger]\nurl = "postgresql://h/db"\n{crm}').ledger.path is None


# --- destinations ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("", "client: required, but missing: one of broken, notebook, stranger"),
        ("client = 'notebok'", 'one of broken, notebook, stranger, found "notebok"; did you mean notebook?'),
        ("client = 'broken'", "client: no.such.module:Client cannot be loaded (ModuleNotFoundError"),
        ("client = 'stranger'", "NotAClient is not a CRM client: it must derive from CrmClient"),
        ("client = 'notebook'", "url: required, but missing. URL of the notebook."),
        ("client = 'notebook'\nurl = 'x'", 'url: needs a scheme, found "x"'),
        ("client = 'notebook'\nurl = 'x://'\nkye = 1", "kye: unknown key; did you mean destinations.a.key?"),
        ("client = 'notebook'\nurl = 'x://'\nport = 1", "port: unknown key; it belongs in [server]"),
        ("client = 'notebook'\nurl = 'x://'\nlabels.mised = 'x'", 'found "mised"; did you mean missed?'),
        (
            "client = 'notebook'\nurl = 'x://'\nlabels.missed = 1",
            "missed: expected text, of length at least 1, found 1",
        ),
        (
            "client = 'notebook'\nurl = 'x://'\nlabels.missed = ''",
            "missed: expected text, of length at least 1",
        ),
        ("client = 'notebook'\nurl = 'x://'\nfields.extrnal_number = 'x'", "did you mean external_number?"),
        (
            "client = 'notebook'\nurl = 'x://'\nfields.zzz = 'x'",
            'no field "zzz"; known here: call_id, ',
        ),
        ("client = 'notebook'\nurl = 'x://'\nwhen.own_numbers = ['x']", '"x" has no digits'),
        (
            "client = 'notebook'\nurl = 'x://'\ncomplete_after_seconds = inf",
            "at least 0, found inf",
        ),
        ("client = 'notebook'\nurl = 'x://'\nwhen.minimum_seconds = nan", "found nan"),
        ("client = 'notebook'\nurl = 'x://'\npages = [1]", "pages[0]: expected text, found 1"),
        ("client = 'notebook'\nurl = 'x://'\ncopy = [1.5]", "copy[0]: expected a whole number, found 1.5"),
        ("client = 'notebook'\nurl = 'x://'\nto = []", "to: unknown key"),
        ("client = 'notebook'\nurl = 'x://'\ncolour = 'x'", "expected text, matching `^(red|blue)$`, found"),
        ("client = 'notebook'\nurl = 'x://'\nink = 'white'", 'ink: cannot be read on paper, found "white"'),
    ],
)
def test_a_problem_in_a_destination_is_reported(load_error: LoadError, toml: str, problem: str) -> None:
    message = load_error(f"[destinations.a]\n{toml}")
    assert message.startswith("The settings have a problem:\n- settings.toml: destinations.a.")
    assert problem in message


@pytest.mark.parametrize("name", ["CRM", "a b", "-a", "a__b", "ñ", '""'])
def test_a_destination_name_with_other_characters_is_rejected(load_error: LoadError, name: str) -> None:
    quoted = name if name.startswith('"') else f'"{name}"'
    assert "expected a name of lower-case letters and digits" in load_error(
        f"[destinations.{quoted}]\nclient = 'notebook'\nurl = 'x://'"
    )


# --- the loopback rule -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("toml", "key"),
    [
        ("host = '0.0.0.0'", "host"),
        ("host = '::'", "host"),
        ("host = '192.168.1.5'", "host"),
        ("host = 'relay.internal'", "host"),
        ("public_url = 'https://calls.example.com'", "public_url"),
        ("public_url = 'http://localhost.example.com'", "public_url"),
    ],
)
def test_without_a_token_only_loopback_addresses_are_accepted(
    load_error: LoadError, load_text: LoadText, toml: str, key: str
) -> None:
    lines = load_error(f"[server]\n{toml}").splitlines()[1:]
    assert [line.split(" ")[2] for line in lines] == [f"server.{key}:"]
    assert "RELAY__CLOUDTALK__TOKENS_FILE" in lines[0]
    assert (
        key
        in load_text(f"[server]\n{toml}\n[cloudtalk]\ntokens = ['f3b1c0de9a74425e']").server.model_fields_set
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_addresses_need_no_token(load_text: LoadText, host: str) -> None:
    settings = load_text(f"[server]\nhost = '{host}'\npublic_url = 'http://localhost:80/relay'")
    assert settings.server.host == host
