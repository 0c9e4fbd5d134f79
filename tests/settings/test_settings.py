import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from crm_clients.base import CrmClient, Finding, Outcome, Push, Retraction
from crm_clients.settings import DeliveryFilter, DestinationSettings
from relay import settings as package
from relay.call import Status
from relay.settings import ClientLoadError, Settings, SettingsError, load, load_client_class, plugins
from relay.settings.docs import markdown
from relay.settings.field_types import keys_of
from relay.settings.models import local_url
from relay.settings.secrets import collect_secrets
from relay.settings.sources import overlay

ROOT = Path(__file__).parents[2]
SECRET = "sb_secret_3f9a"


class NotebookSettings(DestinationSettings):
    url: str = Field(description="Where the notebook lies.")
    key: SecretStr | None = None
    pins: tuple[SecretStr, ...] = ()
    path: Path = Path("var/notebook.db")
    pages: list[str] = Field(default_factory=list)
    colour: str = Field("red", pattern="^(red|blue)$")
    ink: str = "black"
    to: tuple[int, ...] = Field((1,), alias="copy")

    @field_validator("url")
    @classmethod
    def _has_a_scheme(cls, url: str) -> str:
        if "://" not in url:
            raise ValueError("needs a scheme")
        return url

    @field_validator("ink")
    @classmethod
    def _is_dark(cls, ink: str) -> str:
        if ink == "white":
            raise PydanticCustomError("too_pale", "cannot be read on paper")
        return ink


class NotebookClient(CrmClient[NotebookSettings]):
    Settings = NotebookSettings

    async def check(self) -> list[Finding]: ...  # type: ignore[empty-body]
    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]: ...  # type: ignore[empty-body]
    async def retract(self, retractions: Sequence[Retraction]) -> list[Outcome]: ...  # type: ignore[empty-body]
    async def forget(self, retractions: Sequence[Retraction]) -> list[Outcome]: ...  # type: ignore[empty-body]


class NotAClient:
    pass


def entries(**clients_: str) -> EntryPoints:
    return EntryPoints(EntryPoint(name, value, plugins.GROUP) for name, value in clients_.items())


@pytest.fixture
def installed_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = entries(
        notebook=f"{__name__}:NotebookClient",
        broken="no.such.module:Client",
        stranger=f"{__name__}:NotAClient",
    )
    monkeypatch.setattr(plugins, "entry_points", installed.select)


class Read(Protocol):
    def __call__(self, toml: str = "", /, **env: str) -> Settings: ...


@pytest.fixture
def read(tmp_path: Path, installed_plugins: None) -> Read:  # noqa: ARG001 - a fixture at work
    """Load a file of these lines with these environment variables."""

    def read(toml: str = "", /, **env: str) -> Settings:
        file = tmp_path / "settings.toml"
        file.write_text(toml, "utf-8")
        return load(file, env)

    return read


@pytest.fixture
def refused(read: Read, tmp_path: Path) -> Callable[..., str]:
    """What is said of a file of these lines, without the folder that it lies in."""

    def refused(toml: str = "", /, **env: str) -> str:
        with pytest.raises(SettingsError) as caught:
            read(toml, **env)
        return str(caught.value).replace(f"{tmp_path}/", "")

    return refused


Refused = Callable[..., str]


# --- the file ----------------------------------------------------------------------------------


def test_an_empty_file_gives_the_defaults_of_the_contract(read: Read, tmp_path: Path) -> None:
    settings = read()
    assert settings.server.model_dump() == {
        "host": "127.0.0.1",
        "port": 8080,
        "public_url": "http://127.0.0.1:8080",
        "max_in_flight": 1000,
        "max_in_flight_bytes": 67_108_864,
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
        "grace_seconds": 120,
    }
    assert settings.ledger.path == tmp_path / "var/relay.db"
    assert settings.delivery.model_dump() == {
        "first_retry_seconds": 5,
        "longest_retry_seconds": 3600,
        "give_up_after_hours": 72,
    }
    assert settings.log.model_dump() == {"format": "auto", "level": "info", "personal_data": "masked"}
    assert settings.destinations == {}


def test_the_shipped_file_says_nothing_but_the_defaults_and_the_embedded_crm() -> None:
    shipped = load(ROOT / "settings.toml", {})
    defaults = Settings.model_validate({}, context=ROOT)
    assert shipped.model_dump(exclude={"destinations"}) == defaults.model_dump(exclude={"destinations"})
    assert list(shipped.destinations) == ["crm"]
    assert shipped.destinations["crm"].client == "local"
    assert dict(shipped.destinations["crm"])["path"] == ROOT / "var/crm.db"


def test_the_commented_lines_of_the_shipped_file_are_the_defaults(read: Read, tmp_path: Path) -> None:
    lines = (ROOT / "settings.toml").read_text("utf-8").partition("[destinations.crm]")[0].splitlines()
    keys = [re.sub(r"^# (?=\w+ = )", "", line) for line in lines]
    settings = read("\n".join(keys))
    assert settings.model_dump() == Settings.model_validate({}, context=tmp_path).model_dump()
    for name in set(Settings.model_fields) - {"destinations"}:
        section = getattr(settings, name)
        assert section.model_fields_set == set(type(section).model_fields)


def test_the_file_is_the_given_one_else_the_environments_else_the_current_folders(
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


def test_the_environment_is_the_processs_own_unless_another_is_given(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read()
    monkeypatch.setenv("RELAY__SERVER__PORT", "9")
    assert load(tmp_path / "settings.toml").server.port == 9


def test_a_missing_file_is_named_with_what_named_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no settings file \S*/none.toml\. Name one with --settings"):
        load(tmp_path / "none.toml", {})
    with pytest.raises(SettingsError, match=r"none.toml \(named by RELAY_SETTINGS\)"):
        load(None, {"RELAY_SETTINGS": str(tmp_path / "none.toml")})


def test_a_folder_in_place_of_a_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be read \(Is a directory\)"):
        load(tmp_path, {})


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[server]\nport = abc\n", "settings.toml: line 2, column 8: invalid value; text needs quotes."),
        ("[server\n", "settings.toml: line 1, column 8: expected"),
        ("[server]\nport =", "settings.toml: at its end: invalid value; text needs quotes."),
        ("a = 1\na = 2\n", "settings.toml: line 2, column 6: cannot overwrite a value."),
    ],
)
def test_what_is_no_toml_is_told_with_line_and_column(refused: Refused, toml: str, said: str) -> None:
    assert refused(toml).startswith(said)


def test_what_is_not_utf_8_is_told(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_bytes(b"# caf\xe9")
    with pytest.raises(SettingsError, match="not UTF-8 at byte 5"):
        load(tmp_path / "settings.toml", {})


def test_settings_cannot_be_changed(read: Read) -> None:
    settings = read("[destinations.a]\nclient='notebook'\nurl='x://'")
    for model in (settings, settings.server, settings.destinations["a"]):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(model, next(iter(type(model).model_fields)), 1)


# --- paths and the public URL ------------------------------------------------------------------


def test_relative_paths_are_read_from_the_files_folder(read: Read, tmp_path: Path) -> None:
    settings = read(
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


def test_an_absolute_ledger_stays_where_it_is(read: Read) -> None:
    assert read("ledger.url = 'sqlite:////srv/relay.db'").ledger.path == Path("/srv/relay.db")


@pytest.mark.parametrize(
    "url", ["mysql://u:pw@h/d", "sqlite://", "sqlite:///", "sqlite:///:memory:", "relay.db"]
)
def test_another_ledger_is_refused_with_what_is_known(refused: Refused, url: str) -> None:
    said = refused(f"ledger.url = '{url}'")
    assert "ledger.url: expected sqlite:///PATH" in said
    assert "postgresql://USER:PASSWORD@HOST/DATABASE" in said
    assert "pw" not in said


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://relay:pw@db.example.com:5432/relay",
        "postgres://relay:p%40w@db/relay?sslmode=require",
        "postgresql://relay:pw@one:5432,two:5432/relay",
        "postgresql://relay@[::1]/relay",
        "postgresql:///relay?host=/run/postgresql",
    ],
)
def test_a_server_may_keep_the_ledger(read: Read, url: str) -> None:
    settings = read(f"ledger.url = '{url}'\n[destinations.a]\nclient = 'notebook'\nurl = 'x://'")
    assert settings.ledger.url.get_secret_value() == url
    assert settings.ledger.path is None
    assert "pw" not in repr(settings)


@pytest.mark.parametrize("sign", ["@", "/", ":", "?@"])
def test_a_password_whose_signs_are_not_escaped_is_refused_and_not_told(refused: Refused, sign: str) -> None:
    said = refused(f"ledger.url = 'postgresql://relay:hush{sign}word@db/relay'")
    assert "@ as %40" in said
    assert "word" not in said.replace("PASSWORD", "").replace("password", "")


def test_of_the_ledgers_address_the_password_alone_is_secret(read: Read) -> None:
    settings = read("ledger.url = 'postgresql://relay:p%40w@db/relay?password=other'")
    assert set(collect_secrets(settings)) == {"p%40w", "p@w", "other"}
    assert set(collect_secrets(read("ledger.url = 'sqlite:///x.db'"))) == set()


def test_the_ledgers_address_may_lie_in_a_file(read: Read, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://relay:pw@db/relay\n")
    assert read("ledger.url_file = 'url'").ledger.url.get_secret_value() == "postgresql://relay:pw@db/relay"


def test_the_public_url_follows_host_and_port_unless_said(read: Read) -> None:
    assert read("server.port = 9").server.public_url == "http://127.0.0.1:9"
    assert read("server.host = '::1'").server.public_url == "http://[::1]:8080"
    said = read("server.port = 9\nserver.public_url = 'https://localhost/x'").server
    assert said.public_url == said.url_on(1234) == "https://localhost/x"


def test_the_url_of_a_port_that_was_free_is_known_once_it_is_bound(read: Read) -> None:
    assert read("server.port = 0").server.url_on(1234) == "http://127.0.0.1:1234"


def test_listening_everywhere_is_reached_here_by_loopback() -> None:
    assert local_url("0.0.0.0", 1) == "http://127.0.0.1:1"  # noqa: S104 - nothing is bound
    assert local_url("::", 1) == "http://[::1]:1"


# --- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("server.host", '"http://127.0.0.1"', "a host name or an IP address"),
        ("server.host", '"127.0.0.1:80"', "a host name or an IP address"),
        ("server.host", '""', "a host name or an IP address"),
        ("server.port", "65536", "a whole number, at least 0 and at most 65535, found 65536"),
        ("server.port", '"http"', 'a whole number, at least 0 and at most 65535, found "http"'),
        ("server.port", "1.5", "a whole number, at least 0 and at most 65535, found 1.5"),
        ("server.port", "[1]", "a whole number, at least 0 and at most 65535, found a list"),
        ("server.max_in_flight", "0", "a whole number, at least 1, found 0"),
        ("server.public_url", '"https://localhost/"', "without user, query or trailing slash"),
        ("server.public_url", '"localhost:80"', "an http:// or https:// URL"),
        ("server.public_url", '"http://"', "an http:// or https:// URL"),
        ("server.public_url", '"http://localhost:99999"', "an http:// or https:// URL"),
        ("server.public_url", '"http://[::1"', "an http:// or https:// URL"),
        ("server.public_url", '"http://localhost?a=1"', "an http:// or https:// URL"),
        ("cloudtalk.webhook_path", '"hook"', "a path that starts with /"),
        ("cloudtalk.webhook_path", '"/"', "a path that starts with /"),
        ("cloudtalk.webhook_path", '"/hook/"', "a path that starts with /"),
        ("cloudtalk.webhook_path", '"/a?b"', "a path that starts with /"),
        ("cloudtalk.webhook_path", '"/healthz"', "/healthz is served by the relay itself"),
        ("cloudtalk.webhook_path", '"/console/hook"', "/console is served by the relay itself"),
        ("cloudtalk.timezone", '"Europe/Madrit"', 'a time zone, like Europe/Madrid, found "Europe/Madrit"'),
        ("cloudtalk.timezone", '"../../etc/passwd"', "a time zone"),
        ("cloudtalk.timezone", '"Europe"', "a time zone"),
        ("cloudtalk.timezone", '""', "a time zone"),
        ("cloudtalk.default_region", '"Spain"', "two capital letters"),
        ("cloudtalk.default_region", '"es"', "two capital letters"),
        ("cloudtalk.forward_internal", '"perhaps"', 'true or false, found "perhaps"'),
        ("cloudtalk.max_body_bytes", "0", "a whole number, at least 1, found 0"),
        ("delivery.first_retry_seconds", "0", "a number, above 0, found 0"),
        ("delivery.longest_retry_seconds", "4", "at least delivery.first_retry_seconds, 5, found 4"),
        ("delivery.give_up_after_hours", "2024-01-01", "a number, above 0"),
        ("log.format", '"jsn"', 'one of auto, json, console, found "jsn"; did you mean json?'),
        ("log.level", '"loud"', 'one of debug, info, warning, error, found "loud"'),
        ("log.personal_data", "true", "one of masked, plain, found true"),
        ("server", "1", "a table, found a number"),
    ],
)
def test_a_wrong_value_is_told_with_what_was_expected(
    refused: Refused, key: str, value: str, expected: str
) -> None:
    said = refused(f"{key} = {value}")
    assert said.startswith(f"The settings have a mistake:\n- settings.toml: {key}: expected ")
    assert expected in said


def test_a_machine_without_time_zones_is_told_what_to_install(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.settings.validators.available_timezones", set)
    assert "install them (on Debian: apt-get install tzdata)" in refused(
        "cloudtalk.timezone = 'Mars/Olympus'"
    )


@pytest.mark.parametrize("path", ["/hook", "/cloudtalk/webhook", "/healthzz", "/a-b/c.d~e_f"])
def test_a_path_of_its_own_is_a_webhook_path(read: Read, path: str) -> None:
    assert read(f"cloudtalk.webhook_path = '{path}'").cloudtalk.webhook_path == path


@pytest.mark.parametrize("token", ["", " ", "a b", "a\\n", "ñ"])
def test_a_token_that_no_header_can_carry_is_refused_unseen(refused: Refused, token: str) -> None:
    assert refused(f'cloudtalk.tokens = ["good", "{token}"]').endswith(
        "cloudtalk.tokens[1]: expected a token of one or more ASCII letters, digits and signs, "
        "without spaces, found text"
    )


def test_a_short_token_is_a_token(read: Read) -> None:
    assert read("cloudtalk.tokens = ['x']").cloudtalk.tokens == (SecretStr("x"),)


# --- unknown keys ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("server.prot = 1", "server.prot: unknown key; did you mean server.port?"),
        ("server.HOST = 'x'", "server.HOST: unknown key; did you mean server.host?"),
        ("server.webhook_path = '/x'", "server.webhook_path: unknown key; it belongs in [cloudtalk]"),
        ("port = 1", "port: unknown key; it belongs in [server]"),
        ("servre.port = 1", "servre: unknown key; did you mean server?"),
        ("log.tokens_file = 'x'", "log.tokens_file: unknown key; it belongs in [cloudtalk]"),
        ("cloudtalk.token_file = 'x'", "unknown key; did you mean cloudtalk.tokens_file?"),
        ("ledger.zzz = 1", "ledger.zzz: unknown key; known here: url"),
        ("log.public_uri = 1", "unknown key; did you mean server.public_url?"),
        ("wwww = '/'", "wwww: unknown key; known here: server, cloudtalk, ledger"),
        ("folder = '/'", "folder: unknown key"),
        ("_folder = '/'", "_folder: unknown key"),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest_known_one(refused: Refused, toml: str, said: str) -> None:
    assert said in refused(toml)


def test_all_mistakes_are_told_at_once_each_on_its_line(refused: Refused) -> None:
    said = refused(
        "[server]\nport = 'x'\nprot = 1\n"
        "[destinations.a]\nclient = 'notebok'\n"
        "[destinations.b]\nclient = 'notebook'\n",
        RELAY__LOG__LEVEL="loud",
    ).splitlines()
    assert said[0] == "The settings have 5 mistakes:"
    assert [line.split(": ")[:2] for line in said[1:]] == [
        ["- settings.toml", "destinations.a.client"],
        ["- settings.toml", "destinations.b.url"],
        ["- settings.toml", "server.port"],
        ["- settings.toml", "server.prot"],
        ["- RELAY__LOG__LEVEL", "log.level"],
    ]


def test_no_secret_and_no_word_of_the_validator_is_shown(refused: Refused) -> None:
    said = refused(
        f"""
        [cloudtalk]
        tokens = "{SECRET}"
        tokens_fil = "{SECRET}"
        [ledger]
        url = "mysql://me:{SECRET}@host/relay"
        [destinations.a]
        client = "notebook"
        url = "//me:{SECRET}@host"
        key = ["{SECRET}"]
        pins = ["{SECRET}", 3]
        kye = "{SECRET}"
        pages = "{SECRET}"
        """,
        RELAY__DESTINATIONS__B=SECRET,
        RELAY__LOG=f'["{SECRET}"]',
    )
    assert SECRET not in said
    assert len(said.splitlines()) == 11
    assert not re.search("pydantic|Input|Value error|Extra|type=|https://errors", said)


# --- the environment ---------------------------------------------------------------------------


def test_the_environment_speaks_over_the_file(read: Read) -> None:
    settings = read(
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
    ("name", "value", "said"),
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
def test_a_mistake_in_the_environment_names_the_variable(
    refused: Refused, name: str, value: str, said: str
) -> None:
    told = refused("[destinations.known]\nclient = 'notebook'\nurl = 'x://'", **{name: value})
    assert told.startswith(f"The settings have a mistake:\n- {name}: {said}")


def test_destinations_are_named_in_the_environment_in_either_case(read: Read) -> None:
    settings = read(
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
def test_whatever_is_set_comes_to_settings_or_to_a_settings_error(
    tmp_path_factory: pytest.TempPathFactory, table: dict[str, Any], env: Mapping[str, str]
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("relay.settings.loader.written", lambda _: table)
        patch.setattr(plugins, "entry_points", entries(notebook=f"{__name__}:NotebookClient").select)
        try:
            assert load(file, env).folder == file.parent
        except SettingsError as error:
            assert str(error).startswith("The settings have ")  # noqa: PT017 - either is right


# --- secrets in files --------------------------------------------------------------------------


def test_secrets_are_read_from_files_beside_the_settings(read: Read, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("one\ntwo\n")
    (tmp_path / "key").write_bytes(b" spaced key \r\n")
    (tmp_path / "pins").write_text("1\n2")
    settings = read(
        "cloudtalk.tokens_file = 'tokens'\n"
        "[destinations.a]\nclient='notebook'\nurl='x://'\nkey_file='key'\npins_file='pins'\n"
    )
    assert settings.cloudtalk.tokens == (SecretStr("one"), SecretStr("two"))
    notebook = settings.destinations["a"]
    assert isinstance(notebook, NotebookSettings)
    assert notebook.key == SecretStr(" spaced key ")
    assert notebook.pins == (SecretStr("1"), SecretStr("2"))


def test_a_secret_and_its_file_speak_over_one_another_between_layers(read: Read, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("filed")
    toml, file = "cloudtalk.tokens = ['written']", str(tmp_path / "tokens")
    assert read(toml, RELAY__CLOUDTALK__TOKENS_FILE=file).cloudtalk.tokens == (SecretStr("filed"),)
    toml = "cloudtalk.tokens_file = 'none'"
    assert read(toml, RELAY__CLOUDTALK__TOKENS='["said"]').cloudtalk.tokens == (SecretStr("said"),)


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("tokens_file = 'none'", "none cannot be read (No such file or directory)"),
        ("tokens_file = 'latin'", "latin cannot be read (not UTF-8)"),
        ("tokens_file = 'empty'", "empty is empty"),
        ("tokens_file = 3", "expected the path of a file that holds it"),
        ("tokens_file = 'empty'\ntokens = []", "says the same as tokens; keep one of them"),
    ],
)
def test_a_secret_file_that_cannot_serve_is_told(
    refused: Refused, tmp_path: Path, toml: str, said: str
) -> None:
    (tmp_path / "latin").write_bytes(b"\xe9")
    (tmp_path / "empty").write_text("\n")
    assert refused(f"[cloudtalk]\n{toml}").splitlines()[1:] == [
        f"- settings.toml: cloudtalk.tokens_file: {said}"
    ]


def test_a_secret_that_is_needed_and_cannot_be_read_is_told_once(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NeedsKey(NotebookSettings):
        key: SecretStr

    monkeypatch.setattr(NotebookClient, "Settings", NeedsKey)
    said = refused(
        "[destinations.a]\nclient='notebook'\nurl='x://'", RELAY__DESTINATIONS__A__KEY_FILE="/none"
    )
    cause = "/none cannot be read (No such file or directory)"
    assert said.splitlines()[1:] == [f"- RELAY__DESTINATIONS__A__KEY_FILE: destinations.a.key_file: {cause}"]


def test_an_override_does_not_hide_a_table_with_a_like_name() -> None:
    assert overlay({"a_file": {"x": 1}}, {"a": {"y": 2}}) == {"a_file": {"x": 1}, "a": {"y": 2}}


# --- destinations ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("", "client: missing, and needed: one of broken, notebook, stranger"),
        ("client = 'notebok'", 'one of broken, notebook, stranger, found "notebok"; did you mean notebook?'),
        ("client = 'broken'", "client: no.such.module:Client cannot be loaded (ModuleNotFoundError"),
        ("client = 'stranger'", "NotAClient is no CRM client: it does not derive from CrmClient"),
        ("client = 'notebook'", "url: missing, and needed. Where the notebook lies."),
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
        ("client = 'notebook'\nurl = 'x://'\npages = [1]", "pages[0]: expected text, found 1"),
        ("client = 'notebook'\nurl = 'x://'\ncopy = [1.5]", "copy[0]: expected a whole number, found 1.5"),
        ("client = 'notebook'\nurl = 'x://'\nto = []", "to: unknown key"),
        ("client = 'notebook'\nurl = 'x://'\ncolour = 'x'", "expected text, matching `^(red|blue)$`, found"),
        ("client = 'notebook'\nurl = 'x://'\nink = 'white'", 'ink: cannot be read on paper, found "white"'),
    ],
)
def test_a_mistake_in_a_destination_is_told(refused: Refused, toml: str, said: str) -> None:
    told = refused(f"[destinations.a]\n{toml}")
    assert told.startswith("The settings have a mistake:\n- settings.toml: destinations.a.")
    assert said in told


@pytest.mark.parametrize("name", ["CRM", "a b", "-a", "a__b", "ñ", '""'])
def test_a_destination_has_a_plain_name(refused: Refused, name: str) -> None:
    quoted = name if name.startswith('"') else f'"{name}"'
    assert "expected a name of lower-case letters and digits" in refused(
        f"[destinations.{quoted}]\nclient = 'notebook'\nurl = 'x://'"
    )


@pytest.mark.usefixtures("installed_plugins")
def test_the_class_of_a_client_is_found_by_its_name() -> None:
    assert load_client_class("notebook") is NotebookClient
    with pytest.raises(ClientLoadError, match="did you mean notebook"):
        load_client_class("notebooks")


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
def test_without_a_token_others_are_kept_out(refused: Refused, read: Read, toml: str, key: str) -> None:
    said = refused(f"[server]\n{toml}").splitlines()[1:]
    assert [line.split(" ")[2] for line in said] == [f"server.{key}:"]
    assert "RELAY__CLOUDTALK__TOKENS_FILE" in said[0]
    assert key in read(f"[server]\n{toml}\n[cloudtalk]\ntokens = ['x']").server.model_fields_set


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_machine_needs_no_token(read: Read, host: str) -> None:
    settings = read(f"[server]\nhost = '{host}'\npublic_url = 'http://localhost:80/relay'")
    assert settings.server.host == host


# --- the documentation -------------------------------------------------------------------------


def models() -> list[type[BaseModel]]:
    sections = [field.annotation for field in Settings.model_fields.values()]
    return [
        DestinationSettings,
        *(s for s in sections if isinstance(s, type) and issubclass(s, BaseModel)),
        *(load_client_class(name).Settings for name in ("hubspot", "local", "supabase", "webhook")),
    ]


def test_the_documentation_is_made_of_the_settings() -> None:
    written = (ROOT / "docs/settings.md").read_text("utf-8")
    assert written == markdown(), "run: python -m relay.settings > docs/settings.md"


def test_every_key_is_documented_with_its_meaning_and_no_other() -> None:
    fields = {key: field for model in models() for key, field in keys_of(model).items()}
    del fields["when"]  # a table of its own
    fields |= {f"when.{key}": field for key, field in keys_of(DeliveryFilter).items()}
    rows = re.findall(r"^\| `([\w.]+)` \|", (ROOT / "docs/settings.md").read_text("utf-8"), re.MULTILINE)
    assert set(rows) == set(fields)
    assert [key for key, field in fields.items() if not (field.description or "").endswith(".")] == []


def test_the_package_names_what_it_offers() -> None:
    assert all(hasattr(package, name) for name in package.__all__)


def test_what_only_overrides_need_is_not_loaded_without_them() -> None:
    script = "import sys, pathlib, relay.settings as s; s.load(pathlib.Path('settings.toml'), {})"
    script += "; sys.exit('pydantic_settings' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0  # noqa: S603 - ours


def test_a_path_that_stands_for_no_known_event_is_a_mistake(read: Read) -> None:
    with pytest.raises(SettingsError, match=r"cloudtalk\.paths.*did you mean call\.ended\?"):
        read('[cloudtalk.paths]\n"/cloudtalk/webhook/fin" = "call.endd"')


def test_a_ledger_that_is_no_file_is_in_no_crms_way(read: Read) -> None:
    """What a destination leaves unsaid, as its rate, is None as that ledger's file is."""
    crm = '[destinations.crm]\nclient = "notebook"\nurl = "https://u"\npath = "x.db"'
    assert read(f'[ledger]\nurl = "postgresql://h/db"\n{crm}').ledger.path is None


def test_the_ledger_and_the_crms_have_files_of_their_own(read: Read) -> None:
    crm = '[destinations.crm]\nclient = "notebook"\nurl = "https://u"\npath = "x.db"'
    with pytest.raises(SettingsError, match=r"destinations\.crm\.path: .*x\.db is the ledger's"):
        read(f'[ledger]\nurl = "sqlite:///x.db"\n{crm}')
