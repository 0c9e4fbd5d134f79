"""The sources of the settings: the TOML file, environment variables and secret files."""

import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest
from pydantic import SecretStr

from relay.call import Status
from relay.settings import Settings, SettingsError, load
from relay.settings.sources import merge_tables
from tests.support.notebook import SECRET, LoadError, LoadText, NotebookClient, NotebookSettings


class LoadBoth(Protocol):
    """Load `settings.toml` and `settings.local.toml` with these texts."""

    def __call__(self, text: str, local: str, /, **env: str) -> Settings: ...


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


@pytest.mark.parametrize(("content", "byte"), [(b"# caf\xe9", 5), ("a = 1".encode("utf-16"), 0)])
def test_a_file_that_is_not_utf_8_is_reported(tmp_path: Path, content: bytes, byte: int) -> None:
    (tmp_path / "settings.toml").write_bytes(content)
    with pytest.raises(SettingsError, match=f"not UTF-8 at byte {byte}; save it as UTF-8"):
        load(tmp_path / "settings.toml", {})


BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    "text", [b"server.port = 9", b"[server]\r\nport = 9\r\n", b"# caf\xc3\xa9\nserver.port = 9"]
)
def test_a_byte_order_mark_is_ignored(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "settings.toml").write_bytes(BYTE_ORDER_MARK + text)
    (tmp_path / "settings.local.toml").write_bytes(BYTE_ORDER_MARK + b"cloudtalk.tokens_file = 'tokens'")
    (tmp_path / "tokens").write_bytes(BYTE_ORDER_MARK + b"the-first-of-two\r\nthe-second-of-two\r\n")
    settings = load(tmp_path / "settings.toml", {})
    assert settings.server.port == 9
    assert settings.cloudtalk.tokens == (SecretStr("the-first-of-two"), SecretStr("the-second-of-two"))


def test_an_error_after_a_byte_order_mark_has_the_right_column(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_bytes(BYTE_ORDER_MARK + b"port = abc")
    with pytest.raises(SettingsError, match="line 1, column 8: invalid value"):
        load(tmp_path / "settings.toml", {})


# --- settings.local.toml -----------------------------------------------------------------------


@pytest.fixture
def load_both(load_text: LoadText, tmp_path: Path) -> LoadBoth:
    def load_both(text: str, local: str, /, **env: str) -> Settings:
        (tmp_path / "settings.local.toml").write_text(local)
        return load_text(text, **env)

    return load_both


def test_the_local_file_wins_key_by_key_and_the_environment_over_both(load_both: LoadBoth) -> None:
    settings = load_both(
        "[server]\nhost = 'localhost'\nport = 1\nmax_in_flight = 2\n[log]\nlevel = 'debug'",
        "[server]\nport = 3\nmax_in_flight = 4\n[privacy]\nevents_days = 5",
        RELAY__SERVER__MAX_IN_FLIGHT="6",
    )
    assert (settings.server.host, settings.server.port, settings.server.max_in_flight) == ("localhost", 3, 6)
    assert (settings.log.level, settings.privacy.events_days) == ("debug", 5)


def test_the_local_file_belongs_to_the_settings_file_of_its_name(tmp_path: Path) -> None:
    for name, port in (("relay", 1), ("relay.local", 2), ("settings.local", 3), ("other", 4)):
        (tmp_path / f"{name}.toml").write_text(f"server.port = {port}")
    assert load(tmp_path / "relay.toml", {}).server.port == 2
    assert load(tmp_path / "other.toml", {}).server.port == 4
    assert load(tmp_path / "settings.local.toml", {}).server.port == 3


def test_a_secret_in_the_local_file_replaces_a_secret_file(load_both: LoadBoth, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("from-a-secret-file")
    for text, local, token in (
        ("tokens_file = 'none'", "tokens = ['written-in-settings']", "written-in-settings"),
        ("tokens = ['written-in-settings']", "tokens_file = 'tokens'", "from-a-secret-file"),
    ):
        settings = load_both(f"[cloudtalk]\n{text}", f"[cloudtalk]\n{local}")
        assert settings.cloudtalk.tokens == (SecretStr(token),)


def test_a_destination_is_changed_added_or_replaced_by_one_of_another_client(load_both: LoadBoth) -> None:
    crm = "[destinations.%s]\nclient = 'notebook'\nurl = 'x://a'\npages = ['1']\n"
    both = crm % "same" + crm % "changed" + crm % "same-client"
    local = (
        "[destinations.changed]\nurl = 'x://b'\n"
        "[destinations.same-client]\nclient = 'notebook'\nurl = 'x://c'\n"
        "[destinations.added]\nclient = 'notebook'\nurl = 'x://d'\n"
    )
    settings = load_both(both, local)
    found = {name: (dict(one)["url"], dict(one)["pages"]) for name, one in settings.destinations.items()}
    assert found == {
        "same": ("x://a", ["1"]),
        "changed": ("x://b", ["1"]),
        "same-client": ("x://c", ["1"]),
        "added": ("x://d", []),
    }
    other = "[destinations.crm]\nclient = 'local'\npath = 'crm.db'\nbatch = 7"
    for replaced in (
        load_both(other, "[destinations.crm]\nclient = 'notebook'\nurl = 'x://e'"),
        load_both(
            other, "", RELAY__DESTINATIONS__CRM__CLIENT="notebook", RELAY__DESTINATIONS__CRM__URL="x://e"
        ),
    ):
        crm_settings = replaced.destinations["crm"]
        assert isinstance(crm_settings, NotebookSettings)
        assert (crm_settings.url, crm_settings.batch) == ("x://e", 100)


@pytest.mark.parametrize(
    ("text", "local", "problem"),
    [
        ("server.port = 1", "server.port = 'x'", "settings.local.toml: server.port: expected"),
        ("server.port = 'x'", "server.host = 'y'", "settings.toml: server.port: expected"),
        ("server.port = 1", "[server]\nprot = 2", "settings.local.toml: server.prot: unknown key"),
        ("[server]\nprot = 1", "[server]\nport = 2", "settings.toml: server.prot: unknown key"),
        ("", "[destinations.a]\nclient = 'notebook'", "settings.local.toml: destinations.a.url: required"),
        (
            "",
            "cloudtalk.tokens = ['f3b1c0de9a74425e', '']",
            "settings.local.toml: cloudtalk.tokens[1]: expected a token",
        ),
        ("", "cloudtalk.tokens_file = 'none'", "settings.local.toml: cloudtalk.tokens_file: none cannot"),
        ("log.level = 'x'", "server = 1", "settings.local.toml: server: expected a table"),
    ],
)
def test_a_problem_names_the_file_that_it_is_in(
    load_error: LoadError, tmp_path: Path, text: str, local: str, problem: str
) -> None:
    (tmp_path / "settings.local.toml").write_text(local)
    assert f"\n- {problem}" in load_error(text)


def test_a_local_file_that_cannot_be_read_is_reported(load_error: LoadError, tmp_path: Path) -> None:
    (tmp_path / "settings.local.toml").write_text("[server\n")
    assert load_error().startswith("settings.local.toml: line 1, column 8: expected")
    (tmp_path / "settings.local.toml").unlink()
    (tmp_path / "settings.local.toml").mkdir()
    assert load_error().startswith("settings.local.toml: cannot be read (Is a directory)")


# --- environment variables ---------------------------------------------------------------------


def test_the_environment_overrides_the_file(load_text: LoadText) -> None:
    settings = load_text(
        "[server]\nport = 1\nmax_in_flight = 2\n[cloudtalk]\ntokens = ['a-token-of-the-file']",
        RELAY__SERVER__PORT="3",
        RELAY__CLOUDTALK__TOKENS='["b-of-the-environment", "c-of-the-environment"]',
        relay__cloudtalk__forward_internal="true",
        RELAY__LOG='{"level": "debug", "format": "json"}',
        RELAY__LOG__FORMAT="console",
        RELAYSERVER__PORT="4",
        PATH="/bin",
    )
    assert (settings.server.port, settings.server.max_in_flight) == (3, 2)
    assert [token.get_secret_value() for token in settings.cloudtalk.tokens] == [
        "b-of-the-environment",
        "c-of-the-environment",
    ]
    assert settings.cloudtalk.forward_internal
    assert (settings.log.level, settings.log.format) == ("debug", "console")


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("RELAY__SERVER__PORT", "x", "server.port: expected a whole number"),
        ("RELAY__SERVER__PROT", "1", "server.prot: unknown key; did you mean server.port?"),
        ("RELAY__SERVRE__PORT", "1", "servre.port: unknown key; did you mean server?"),
        ("RELAY__PORT", "1", "port: unknown key; it belongs in [server]"),
        ("RELAY__SERVER_PORT", "1", "server_port: unknown key; did you mean RELAY__SERVER__PORT?"),
        (
            "RELAY__CLOUDTALK_TOKENS_FILE",
            "x",
            "cloudtalk_tokens_file: unknown key; did you mean RELAY__CLOUDTALK__TOKENS_FILE?",
        ),
        (
            "RELAY__DESTINATIONS_KNOWN_URL",
            "x",
            "destinations_known_url: unknown key; did you mean RELAY__DESTINATIONS__NAME__KEY?",
        ),
        (
            "RELAY__CLOUDTALK__TOKENS",
            "abc",
            "cloudtalk.tokens: expected a list, each item a secret, as JSON, found text",
        ),
        ("RELAY__CLOUDTALK__TOKENS", '["f3b1c0de9a74425e", ""]', "cloudtalk.tokens[1]: expected a token"),
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


def test_pydantic_settings_is_imported_only_for_environment_variables(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("server.port = 9")
    script = "import sys, pathlib, relay.settings as s; s.load(pathlib.Path('settings.toml'), {})"
    script += "; sys.exit('pydantic_settings' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=False).returncode == 0  # noqa: S603


# --- files that hold a secret ------------------------------------------------------------------


def test_secrets_are_read_from_files(load_text: LoadText, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("the-first-of-two\nthe-second-of-two\n")
    (tmp_path / "key").write_bytes(b" spaced key \r\n")
    (tmp_path / "pins").write_text("1\n2")
    settings = load_text(
        "cloudtalk.tokens_file = 'tokens'\n"
        "[destinations.a]\nclient='notebook'\nurl='x://'\nkey_file='key'\npins_file='pins'\n"
    )
    assert settings.cloudtalk.tokens == (SecretStr("the-first-of-two"), SecretStr("the-second-of-two"))
    notebook = settings.destinations["a"]
    assert isinstance(notebook, NotebookSettings)
    assert notebook.key == SecretStr(" spaced key ")
    assert notebook.pins == (SecretStr("1"), SecretStr("2"))


def test_a_secret_and_its_file_key_override_each_other(load_text: LoadText, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("from-a-secret-file")
    toml, file = "cloudtalk.tokens = ['written-in-settings']", str(tmp_path / "tokens")
    assert load_text(toml, RELAY__CLOUDTALK__TOKENS_FILE=file).cloudtalk.tokens == (
        SecretStr("from-a-secret-file"),
    )
    toml = "cloudtalk.tokens_file = 'none'"
    assert load_text(toml, RELAY__CLOUDTALK__TOKENS='["of-the-environment"]').cloudtalk.tokens == (
        SecretStr("of-the-environment"),
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


@pytest.mark.parametrize(
    ("name", "content", "toml", "problem"),
    [
        (
            "tokens",
            "two words",
            "cloudtalk.tokens_file",
            "tokens, line 1: cloudtalk.tokens_file: expected a token",
        ),
        (
            "tokens",
            "the-first-of-three\n\nthe-last-of-three",
            "cloudtalk.tokens_file",
            "tokens, line 2: cloudtalk.tokens_file: expected a",
        ),
        (
            "signing",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\nwhsec_?\n",
            "cloudtalk.signing_secrets_file",
            "signing, line 2: cloudtalk.signing_secrets_file: expected whsec_ and base64",
        ),
        ("database", "mysql://host/relay", "ledger.url_file", "database: ledger.url_file: expected sqlite:"),
    ],
)
def test_a_wrong_value_from_a_secret_file_names_the_file_and_its_line(
    load_error: LoadError, tmp_path: Path, name: str, content: str, toml: str, problem: str
) -> None:
    (tmp_path / name).write_text(content)
    lines = load_error(f"{toml} = '{name}'").splitlines()
    assert len(lines) == 2
    assert lines[1].startswith(f"- {problem}")
    variable = f"RELAY__{toml.replace('.', '__').upper()}"
    assert load_error("", **{variable: name}).splitlines() == lines


@pytest.mark.parametrize(
    ("client", "key", "content"),
    [
        ("client = 'hubspot'", "token", "two words"),
        ("client = 'supabase'\nurl = 'https://a.supabase.co'", "key", "sb_secret_ñ"),
        ("client = 'webhook'\nurl = 'https://example.com'", "secret", "whsec_?"),
    ],
)
def test_a_wrong_key_of_a_crm_names_its_file(tmp_path: Path, client: str, key: str, content: str) -> None:
    (tmp_path / "the-key").write_text(content)
    (tmp_path / "settings.toml").write_text(f"[destinations.a]\n{client}\n{key}_file = 'the-key'")
    with pytest.raises(SettingsError, match=f"- {tmp_path}/the-key: destinations.a.{key}_file: ") as caught:
        load(tmp_path / "settings.toml", {})
    assert content not in str(caught.value)


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
