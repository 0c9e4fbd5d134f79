"""The sources of the settings: the TOML file, environment variables and secret files."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from relay.call import Status
from relay.settings import SettingsError, load
from relay.settings.sources import merge_tables
from tests.support.notebook import SECRET, LoadError, LoadText, NotebookClient, NotebookSettings

ROOT = Path(__file__).parents[2]


# --- the TOML file -----------------------------------------------------------------------------


def test_a_folder_instead_of_a_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be read \(Is a directory\)"):
        load(tmp_path, {})


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[server]\nport = abc\n", "settings.toml: line 2, column 8: invalid value; text needs quotes."),
        ("[server\n", "settings.toml: line 1, column 8: expected"),
        ("[server]\nport =", "settings.toml: at its end: invalid value; text needs quotes."),
        ("a = 1\na = 2\n", "settings.toml: line 2, column 6: cannot overwrite a value."),
    ],
)
def test_invalid_toml_is_reported_with_line_and_column(
    load_error: LoadError, toml: str, message: str
) -> None:
    assert load_error(toml).startswith(message)


def test_a_file_that_is_not_utf_8_is_reported(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_bytes(b"# caf\xe9")
    with pytest.raises(SettingsError, match="not UTF-8 at byte 5"):
        load(tmp_path / "settings.toml", {})


# --- environment variables ---------------------------------------------------------------------


def test_the_environment_overrides_the_file(load_text: LoadText) -> None:
    settings = load_text(
        "[server]\nport = 1\nmax_in_flight = 2\n[cloudtalk]\ntokens = ['a']",
        RELAY__SERVER__PORT="3",
        RELAY__CLOUDTALK__TOKENS='["b", "c"]',
        relay__cloudtalk__forward_internal="true",
        RELAY__LOG='{"level": "debug", "format": "json"}',
        RELAY__LOG__FORMAT="console",
        RELAYSERVER__PORT="4",
        PATH="/bin",
    )
    assert (settings.server.port, settings.server.max_in_flight) == (3, 2)
    assert [token.get_secret_value() for token in settings.cloudtalk.tokens] == ["b", "c"]
    assert settings.cloudtalk.forward_internal
    assert (settings.log.level, settings.log.format) == ("debug", "console")


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("RELAY__SERVER__PORT", "x", "server.port: expected a whole number"),
        ("RELAY__SERVER__PROT", "1", "server.prot: unknown key; did you mean server.port?"),
        ("RELAY__SERVRE__PORT", "1", "servre.port: unknown key; did you mean server?"),
        ("RELAY__PORT", "1", "port: unknown key; it belongs in [server]"),
        (
            "RELAY__CLOUDTALK__TOKENS",
            "abc",
            "cloudtalk.tokens: expected a list, each item a secret, as JSON, found text",
        ),
        ("RELAY__CLOUDTALK__TOKENS", '["a", ""]', "cloudtalk.tokens[1]: expected a token"),
        ("RELAY__LOG", "[1]", "log: expected a table, as JSON, found a list"),
        ("RELAY__LOG", '{"levle": 1}', "log.levle: unknown key; did you mean log.level?"),
        ("RELAY__DESTINATIONS", "x", "destinations: expected a table, as JSON, found text"),
        ("RELAY__DESTINATIONS__A", "x", "destinations.a: expected a table, found text"),
        ("RELAY__DESTINATIONS__A__CLIENT", "x", "destinations.a.client: expected a client, one of broken"),
        ("RELAY__DESTINATIONS__KNOWN__BATCH", "x", "destinations.known.batch: expected a whole number"),
        ("RELAY__DESTINATIONS__KNOWN__KYE", "x", "destinations.known.kye: unknown key; did you mean"),
    ],
)
def test_a_problem_in_the_environment_names_the_variable(
    load_error: LoadError, name: str, value: str, problem: str
) -> None:
    message = load_error("[destinations.known]\nclient = 'notebook'\nurl = 'x://'", **{name: value})
    assert message.startswith(f"The settings have a problem:\n- {name}: {problem}")


def test_environment_variables_name_destinations_in_upper_or_lower_case(load_text: LoadText) -> None:
    settings = load_text(
        "[destinations.crm]\nclient='notebook'\nurl='x://a'\n[destinations.my-other]\nclient='notebook'\nurl='x://b'\n",
        RELAY__DESTINATIONS__CRM__URL="x://c",
        RELAY__DESTINATIONS__crm__PAGES='["1", "2"]',
        RELAY__DESTINATIONS__CRM__LABELS='{"missed": "Lost"}',
        RELAY__DESTINATIONS__CRM__LABELS__VOICEMAIL="Spoke",
        RELAY__DESTINATIONS__CRM__COPY="[2, 3]",
        RELAY__DESTINATIONS__MY_OTHER__ENABLED="no",
        RELAY__DESTINATIONS__NEW__CLIENT="notebook",
        RELAY__DESTINATIONS__NEW__URL="x://d",
        RELAY__DESTINATIONS__NEW__KEY=SECRET,
    ).destinations
    assert {name: dict(one)["url"] for name, one in settings.items()} == {
        "crm": "x://c",
        "my-other": "x://b",
        "new": "x://d",
    }
    crm = settings["crm"]
    assert isinstance(crm, NotebookSettings)
    assert crm.pages == ["1", "2"]
    assert crm.to == (2, 3)
    assert crm.labels == {Status.MISSED: "Lost", Status.VOICEMAIL: "Spoke"}
    assert not settings["my-other"].enabled
    assert dict(settings["new"])["key"] == SecretStr(SECRET)


def test_pydantic_settings_is_imported_only_for_environment_variables() -> None:
    script = "import sys, pathlib, relay.settings as s; s.load(pathlib.Path('settings.toml'), {})"
    script += "; sys.exit('pydantic_settings' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0  # noqa: S603


# --- files that hold a secret ------------------------------------------------------------------


def test_secrets_are_read_from_files(load_text: LoadText, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("one\ntwo\n")
    (tmp_path / "key").write_bytes(b" spaced key \r\n")
    (tmp_path / "pins").write_text("1\n2")
    settings = load_text(
        "cloudtalk.tokens_file = 'tokens'\n"
        "[destinations.a]\nclient='notebook'\nurl='x://'\nkey_file='key'\npins_file='pins'\n"
    )
    assert settings.cloudtalk.tokens == (SecretStr("one"), SecretStr("two"))
    notebook = settings.destinations["a"]
    assert isinstance(notebook, NotebookSettings)
    assert notebook.key == SecretStr(" spaced key ")
    assert notebook.pins == (SecretStr("1"), SecretStr("2"))


def test_a_secret_and_its_file_key_override_each_other(load_text: LoadText, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("from-file")
    toml, file = "cloudtalk.tokens = ['written']", str(tmp_path / "tokens")
    assert load_text(toml, RELAY__CLOUDTALK__TOKENS_FILE=file).cloudtalk.tokens == (SecretStr("from-file"),)
    toml = "cloudtalk.tokens_file = 'none'"
    assert load_text(toml, RELAY__CLOUDTALK__TOKENS='["environment"]').cloudtalk.tokens == (
        SecretStr("environment"),
    )


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("tokens_file = 'none'", "none cannot be read (No such file or directory)"),
        ("tokens_file = 'latin'", "latin cannot be read (not UTF-8)"),
        ("tokens_file = 'empty'", "empty is empty; write the secret to it"),
        ("tokens_file = 3", "expected the path of a file that holds the secret"),
        ("tokens_file = 'empty'\ntokens = []", "tokens is set too; remove one of them"),
    ],
)
def test_an_unusable_secret_file_is_reported(
    load_error: LoadError, tmp_path: Path, toml: str, problem: str
) -> None:
    (tmp_path / "latin").write_bytes(b"\xe9")
    (tmp_path / "empty").write_text("\n")
    assert load_error(f"[cloudtalk]\n{toml}").splitlines()[1:] == [
        f"- settings.toml: cloudtalk.tokens_file: {problem}"
    ]


def test_a_required_secret_that_cannot_be_read_is_reported_once(
    load_error: LoadError, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NeedsKey(NotebookSettings):
        key: SecretStr

    monkeypatch.setattr(NotebookClient, "Settings", NeedsKey)
    message = load_error(
        "[destinations.a]\nclient='notebook'\nurl='x://'", RELAY__DESTINATIONS__A__KEY_FILE="/none"
    )
    cause = "/none cannot be read (No such file or directory)"
    assert message.splitlines()[1:] == [
        f"- RELAY__DESTINATIONS__A__KEY_FILE: destinations.a.key_file: {cause}"
    ]


def test_an_override_does_not_hide_a_table_with_a_similar_name() -> None:
    assert merge_tables({"a_file": {"x": 1}}, {"a": {"y": 2}}) == {"a_file": {"x": 1}, "a": {"y": 2}}
