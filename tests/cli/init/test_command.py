"""`relay init` by options and variables, without a terminal: what it writes, and what it refuses."""

import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from relay.cli.main import cli
from relay.settings import load

KEY = "sb_secret_0123456789"
SUPABASE = ("--client", "supabase", "--url", "http://127.0.0.1:9")


def init(folder: Path, *arguments: str, **environment: str) -> Result:
    """Run the command without a test call. The time zone of the machine is that of Madrid."""
    fixed = {"TZ": "Europe/Madrid", "LANG": "C.UTF-8", "LC_ALL": ""} | environment
    return CliRunner().invoke(cli, ["init", str(folder), "--no-test-call", *arguments], env=fixed)


def settings_of(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "settings.toml").read_text())


def test_it_writes_private_files_that_a_relay_can_use(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "relay"
    result = init(folder, "--client", "local")
    assert (result.exit_code, result.stderr) == (0, "")
    modes = {
        path.relative_to(folder).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in (folder, *folder.rglob("*"))
    }
    assert modes == {".": 0o700, "secrets": 0o700, "secrets/tokens": 0o600, "settings.toml": 0o600}
    settings = load(folder / "settings.toml", {})
    (token,) = settings.cloudtalk.tokens
    assert len(token.get_secret_value()) == 64
    assert settings.cloudtalk.timezone == "Europe/Madrid"
    assert settings.cloudtalk.default_region == "ES"
    assert token.get_secret_value() not in result.stdout


def test_each_answer_can_be_an_option_or_a_variable(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(f"{KEY}\n")
    options: tuple[str, ...] = (
        "--key-file",
        str(key_file),
        "--public-url",
        "https://calls.example.com/",
        "--region",
        "pt",
    )
    options += ("--port", "9123", "--timezone", "Europe/Lisbon", "--table", "call_log")
    variables = {
        f"RELAY_INIT_{option.removeprefix('--').replace('-', '_').upper()}": value
        for option, value in zip((*SUPABASE, *options)[::2], (*SUPABASE, *options)[1::2], strict=True)
    }
    by_options, by_variables = tmp_path / "options", tmp_path / "variables"
    # No project listens at this address, so the check fails.
    assert init(by_options, *SUPABASE, *options).exit_code == 1
    assert init(by_variables, **variables).exit_code == 1
    for folder in (by_options, by_variables):
        assert (folder / "secrets/supabase-key").read_text() == f"{KEY}\n"
        assert settings_of(folder) == {
            "server": {"port": 9123, "public_url": "https://calls.example.com"},
            "cloudtalk": {
                "tokens_file": "secrets/tokens",
                "timezone": "Europe/Lisbon",
                "default_region": "PT",
            },
            "console": {"tokens_file": "secrets/console-tokens"},
            "ledger": {"url": "sqlite:///var/relay.db"},
            "destinations": {
                "supabase": {
                    "client": "supabase",
                    "url": "http://127.0.0.1:9",
                    "table": "call_log",
                    "key_file": "secrets/supabase-key",
                }
            },
        }
        assert len(load(folder / "settings.toml", {}).console.tokens) == 1


@pytest.mark.parametrize(
    ("arguments", "destination"),
    [
        (
            ("--client", "supabase-kv", *SUPABASE[2:]),
            {"client": "supabase", "layout": "kv", "url": SUPABASE[3], "key_file": "secrets/supabase-key"},
        ),
        (
            ("--client", "hubspot", "--url", "http://127.0.0.1:9"),
            {
                "client": "hubspot",
                "base_url": "http://127.0.0.1:9",
                "token_file": "secrets/hubspot-token",
                "language": "es",
            },
        ),
        (
            ("--client", "webhook", "--url", "http://127.0.0.1:9/calls"),
            {
                "client": "webhook",
                "url": "http://127.0.0.1:9/calls",
                "allow_private": True,
                "secret_file": "secrets/webhook-secret",
            },
        ),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_each_crm_gets_its_destination(
    tmp_path: Path, arguments: tuple[str, ...], destination: dict[str, Any]
) -> None:
    key = "" if "webhook" in arguments else "pat-eu1-0123456789"
    assert init(tmp_path, *arguments, "--language", "es", RELAY_INIT_KEY=key).exit_code == 1
    (found,) = settings_of(tmp_path)["destinations"].values()
    assert found == destination
    (name,) = load(tmp_path / "settings.toml", {}).destinations
    assert name == destination["client"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "give --client"),
        (("--client", "salesforce"), "--client: expected a number of the list, or one of local, supabase"),
        (("--client", "supabase"), "give --url"),
        (("--client", "supabase", "--url", "abc"), "--url: expected the project's address"),
        (SUPABASE, "give --key-file (RELAY_INIT_KEY)"),
        (("--client", "hubspot"), "give --key-file (RELAY_INIT_KEY)"),
        (("--client", "webhook", "--yes"), "give --url"),
        (("--client", "local", "--public-url", "calls.example.com"), "--public-url: expected an address"),
        (("--client", "local", "--timezone", "Madrid"), "--timezone: expected the name of a time zone"),
        (("--client", "local", "--region", "Spain"), "--region: expected a country code"),
        (("--client", "local", "--language", "fr"), "'--language'"),
        (("--client", "local", "--port", "0"), "'--port'"),
        ((*SUPABASE, "--key-file", "/nowhere"), "'--key-file'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_missing_or_wrong_answer_names_its_option_and_writes_nothing(
    tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    folder = tmp_path / "new"
    result = init(folder, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert expected in result.stderr
    assert not folder.exists()


def test_yes_takes_the_embedded_crm(tmp_path: Path) -> None:
    assert init(tmp_path, "--yes").exit_code == 0
    assert settings_of(tmp_path)["destinations"] == {"crm": {"client": "local", "path": "var/crm.db"}}


def test_an_existing_file_is_replaced_only_by_force_and_its_tokens_stay(tmp_path: Path) -> None:
    init(tmp_path, "--yes", "--port", "9123")
    before = {path: path.read_bytes() for path in (tmp_path / "settings.toml", tmp_path / "secrets/tokens")}
    result = init(tmp_path, "--yes", "--timezone", "Europe/Lisbon")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "settings.toml exists; --force replaces it" in result.stderr
    assert {path: path.read_bytes() for path in before} == before
    result = init(tmp_path, "--yes", "--timezone", "Europe/Lisbon", "--force")
    assert result.exit_code == 0
    assert f"{tmp_path}/secrets/tokens stays as it is" in result.stdout
    assert (tmp_path / "secrets/tokens").read_bytes() == before[tmp_path / "secrets/tokens"]
    settings = load(tmp_path / "settings.toml", {})
    assert (settings.server.port, settings.cloudtalk.default_region) == (9123, "PT")


def test_a_settings_file_on_the_command_line_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["--settings", str(tmp_path / "other.toml"), "init", "--yes"])
    assert result.exit_code == 2
    assert "name its folder" in result.stderr


def test_settings_beside_it_are_mentioned(tmp_path: Path) -> None:
    (tmp_path / "settings.local.toml").write_text("[server]\nport = 9123\n")
    result = init(tmp_path, "--yes", "--language", "es")
    assert f"{tmp_path}/settings.local.toml prevalece" in result.stdout


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = init(tmp_path / "file" / "relay", "--yes")
    assert result.exit_code == 1
    assert "the files cannot be written" in result.stderr
    assert str(tmp_path / "file") in result.stderr


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_write_leaves_no_part_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    written: list[int] = []

    def sync(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) == 2:
            raise error

    monkeypatch.setattr(os, "fsync", sync)
    assert init(tmp_path, "--yes").exit_code != 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_findings_are_in_the_language_of_the_person(tmp_path: Path) -> None:
    result = init(tmp_path, *SUPABASE, "--language", "es", RELAY_INIT_KEY=KEY)
    assert result.exit_code == 1
    assert re.search(r"^ +nombre +código +problema$", result.stdout, re.MULTILINE)
    assert re.search(r"^fallo +supabase +unreachable +No hay conexión con http", result.stdout, re.MULTILINE)


def test_a_public_url_prints_the_guide_without_the_token(tmp_path: Path) -> None:
    result = init(tmp_path, "--yes", "--public-url", "https://calls.example.com")
    token = load(tmp_path / "settings.toml", {}).cloudtalk.tokens[0].get_secret_value()
    assert "POST https://calls.example.com/cloudtalk/webhook/call.started" in result.stdout
    assert token not in result.stdout
    assert f"Sign in to the console with the token in {tmp_path}/secrets/console-tokens" in result.stdout
    assert "cloudtalk-setup` prints again what to enter in CloudTalk." in result.stdout


def test_text_with_quotes_stays_one_value(tmp_path: Path) -> None:
    url = 'https://example.com/a"b\\c'
    arguments = ("--client", "webhook", "--url", url)
    init(tmp_path, *arguments)
    assert settings_of(tmp_path)["destinations"]["webhook"]["url"] == url


def test_the_folder_may_be_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(cli, ["init", "--yes", "--no-test-call"]).exit_code == 0
    assert sorted(os.listdir()) == ["secrets", "settings.toml"]  # noqa: PTH208 - the names are enough


def test_findings_name_files_without_steps_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    result = init(Path("../relay"), "--yes")
    assert f"`relay serve` creates {tmp_path}/relay/var/relay.db" in result.stdout
