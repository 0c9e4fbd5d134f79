"""`relay` as a shell sees it: help, version, and the exit codes of the contract."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from relay.cli.main import BadSettings, Context, cli, main
from relay.settings import Settings
from tests.support.home import Home

COMMANDS = ["calls", "check", "cloudtalk-setup", "dead", "demo", "destinations", "quarantine", "rebuild"]
COMMANDS += ["replay", "serve", "setup", "simulate", "status"]


def shell(folder: Path, *arguments: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """The real program, in this folder."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RELAY_")}
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "relay", *arguments],
        cwd=folder,
        env=environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=20,
        check=False,
    )


def test_help_lists_every_command_with_its_purpose_on_one_line(home: Home) -> None:
    done = home.run("--help")
    assert done.exit_code == 0
    lines = done.stdout.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == COMMANDS
    for line in lines:
        assert line.endswith(".")
        assert not line.endswith("...")  # cut off
        assert len(line) < 80


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_of_its_own(home: Home, command: str) -> None:
    for option in ("--help", "-h"):
        done = home.run(command, option)
        assert (done.exit_code, f"relay {command}" in done.stdout.replace("cli", "relay")) == (0, True)


def test_the_version_is_said(home: Home) -> None:
    assert home.run("--version").stdout == "relay, version 0.1.0\n"


def test_an_answer_that_is_good_ends_with_0(home: Home) -> None:
    done = shell(home.folder, "calls", "list", "--json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_an_answer_that_is_bad_ends_with_1(home: Home) -> None:
    done = shell(home.folder, "calls", "show", "nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: no call nobody")
    assert "Traceback" not in done.stderr


def test_a_missing_settings_file_ends_with_2_and_says_how_to_name_one(tmp_path: Path) -> None:
    done = shell(tmp_path, "status")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "Error: There is no settings file settings.toml. Name one with --settings PATH or RELAY_SETTINGS.\n"
    )


def test_a_reader_that_has_seen_enough_is_spared_a_traceback(home: Home) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = shell(home.folder, "status", stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    "command", [("check",), ("status",), ("calls", "list"), ("setup", "crm"), ("serve",)]
)
def test_mistaken_settings_end_with_2_and_name_the_key(home: Home, command: tuple[str, ...]) -> None:
    home.write("[server]\nprot = 1\n")
    done = home.run(*command)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "server.port" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["--nonsense"], ["calls"], ["calls", "nonsense"]])
def test_wrong_usage_ends_with_2_and_says_what_there_is(home: Home, arguments: list[str]) -> None:
    done = home.run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Usage:" in done.stderr


def test_settings_are_read_only_when_a_command_asks(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    context = Context(missing)
    with pytest.raises(BadSettings, match=r"missing\.toml"):
        context.settings()
    missing.write_text("")
    assert isinstance(context.settings(), Settings)


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, EOFError])
def test_an_interrupted_command_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, interrupt: type[BaseException]
) -> None:
    def interrupted(_: Context) -> Settings:
        raise interrupt

    monkeypatch.setattr(Context, "settings", interrupted)
    monkeypatch.setattr(sys, "argv", ["relay", "status"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130


def test_serve_pays_for_no_table() -> None:
    script = (
        "import sys; from relay.cli.main import cli; cli.get_command(None, 'serve');"
        "print('rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603 - our own interpreter
    assert done.stdout == "False\n"


def test_each_command_is_named_in_its_module() -> None:
    with cli.make_context("relay", ["status"]) as context:
        assert cli.list_commands(context) == COMMANDS
        for name in COMMANDS:
            found = cli.get_command(context, name)
            assert found is not None
            assert found.name == name
