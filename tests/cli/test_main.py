"""`relay` as a process: help, version and exit codes."""

import gc
import os
import shlex
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest

import relay.__main__
from relay.cli.main import BadSettings, Context, LazyGroup, cli, main
from relay.settings import Settings
from tests.support.documents import ROOT
from tests.support.home import Home
from tests.support.patience import PATIENCE

COMMANDS = [
    "audit",
    "backfill",
    "calls",
    "check",
    "cloudtalk-setup",
    "dead",
    "demo",
    "destinations",
    "forget",
    "init",
    "ledger",
    "quarantine",
    "rebuild",
]
COMMANDS += ["replay", "serve", "setup", "simulate", "status"]


def shell(folder: Path, *arguments: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """Run the program in this folder."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RELAY_")}
    return subprocess.run(  # noqa: S603 - a fixed command
        [sys.executable, "-m", "relay", *arguments],
        cwd=folder,
        env=environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_help_lists_every_command_with_one_whole_sentence(home: Home) -> None:
    result = home.run("--help")
    assert result.exit_code == 0
    lines = result.stdout.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == COMMANDS
    assert_whole_sentences(lines)


@pytest.mark.parametrize("group", ["calls", "dead", "destinations", "quarantine"])
def test_help_of_a_group_lists_every_command_with_one_whole_sentence(home: Home, group: str) -> None:
    assert_whole_sentences(home.run(group, "--help").stdout.partition("Commands:\n")[2].splitlines())


def assert_whole_sentences(lines: list[str]) -> None:
    assert lines
    for line in lines:
        assert line.endswith(".")
        assert not line.endswith("...")  # truncated
        assert len(line) < 80


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(home: Home, command: str) -> None:
    for option in ("--help", "-h"):
        result = home.run(command, option)
        assert (result.exit_code, f"relay {command}" in result.stdout.replace("cli", "relay")) == (0, True)


def test_the_version_is_printed(home: Home) -> None:
    assert home.run("--version").stdout == "relay, version 0.1.0\n"


def test_a_good_result_exits_with_0(home: Home) -> None:
    result = shell(home.folder, "calls", "list", "--json")
    assert (result.returncode, result.stdout, result.stderr) == (0, "[]\n", "")


def test_a_bad_result_exits_with_1(home: Home) -> None:
    result = shell(home.folder, "calls", "show", "nobody")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: no call has the id nobody")
    assert "Traceback" not in result.stderr


def test_an_error_is_wrapped_and_shows_no_unprintable_character(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    for arguments in (
        ("calls", "show", "\x9b2J\u202e7"),
        ("calls", "show", "\udc9b2J"),  # a byte that is no UTF-8
        ("calls", "\x1b[31m"),
        ("check", "--\u2066x"),
    ):
        result = shell(home.folder, *arguments)
        assert result.returncode in {1, 2}
        assert result.stderr.replace("\n", "").isprintable()
        assert "\\" in result.stderr
        assert max(map(len, result.stderr.splitlines())) <= 60


def test_a_missing_settings_file_exits_with_2_and_says_how_to_name_one(tmp_path: Path) -> None:
    result = shell(tmp_path, "status")
    assert (result.returncode, result.stdout) == (2, "")
    said, _, command = result.stderr.partition("`")
    assert said == (
        "Error: There is no settings file settings.toml. Name one with --settings PATH or RELAY_SETTINGS,"
        " or write one with "
    )
    assert command.endswith("relay init`.\n")


def test_a_closed_output_pipe_causes_no_traceback(home: Home) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        result = shell(home.folder, "status", stdout=writing)
    finally:
        os.close(writing)
    assert (result.returncode, result.stderr) == (1, "")


@pytest.mark.parametrize(
    "command", [("check",), ("status",), ("calls", "list"), ("setup", "crm"), ("serve",)]
)
def test_wrong_settings_exit_with_2_and_name_the_key(home: Home, command: tuple[str, ...]) -> None:
    home.write_settings("[server]\nprot = 1\n")
    result = home.run(*command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "server.port" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["--nonsense"], ["calls"], ["calls", "nonsense"]])
def test_wrong_usage_exits_with_2_and_prints_the_usage(home: Home, arguments: list[str]) -> None:
    result = home.run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage:" in result.stderr


def test_settings_are_loaded_only_when_a_command_asks(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    context = Context(missing)
    with pytest.raises(BadSettings, match=r"missing\.toml"):
        context.settings()
    missing.write_text("")
    assert isinstance(context.settings(), Settings)


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, EOFError])
def test_an_interrupted_command_exits_with_130(
    monkeypatch: pytest.MonkeyPatch, interrupt: type[BaseException]
) -> None:
    def interrupted(_: Context) -> Settings:
        raise interrupt

    monkeypatch.setattr(Context, "settings", interrupted)
    monkeypatch.setattr(sys, "argv", ["relay", "status"])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 130


@pytest.mark.parametrize("module", ["relay.cli.main", "relay.settings", "click"])
def test_a_command_that_is_interrupted_during_an_import_exits_with_130(module: str) -> None:
    script = f"""
import runpy, sys
class Interrupting:
    def find_spec(self, name, *_):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
sys.argv = ["relay", "rebuild"]
runpy.run_module("relay", run_name="__main__")
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)  # noqa: S603 - our own interpreter
    assert (result.returncode, result.stderr) == (130, "")


def test_the_console_script_guards_its_imports() -> None:
    (script,) = entry_points(group="console_scripts", name="relay")
    assert (script.module, script.attr) == ("relay.__main__", "main")


def test_serve_does_not_import_the_library_for_tables() -> None:
    script = (
        "import sys; from relay.cli.main import cli; cli.get_command(None, 'serve');"
        "print('rich' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603 - our own interpreter
    assert result.stdout == "False\n"


def test_each_command_has_the_name_in_its_module() -> None:
    with cli.make_context("relay", ["status"]) as context:
        assert cli.list_commands(context) == COMMANDS
        for name in COMMANDS:
            command = cli.get_command(context, name)
            assert command is not None
            assert command.name == name


SHOW_STREAMS = """
import os, sys, uvloop
from relay.cli.main import open_missing_streams
open_missing_streams()
print("message", flush=True)
print("error", file=sys.stderr, flush=True)
uvloop.new_event_loop().close()
for number in range(3):
    with open(sys.argv[1], "a") as seen:
        print(os.readlink(f"/proc/self/fd/{number}"), os.get_inheritable(number), file=seen)
"""


@pytest.mark.parametrize("closed", [(0, 1, 2), (1,), (0, 2)])
def test_streams_that_the_parent_closed_lead_nowhere(tmp_path: Path, closed: tuple[int, ...]) -> None:
    command = shlex.join([sys.executable, "-c", SHOW_STREAMS, str(tmp_path / "seen")])
    closing = " ".join(("<&-", ">&-", "2>&-")[number] for number in closed)
    result = subprocess.run(  # noqa: S603 - a fixed command
        ["/bin/sh", "-c", f"{command} {closing}"],
        stdin=subprocess.PIPE,
        capture_output=True,
        cwd=ROOT,
        check=False,
    )
    assert result.returncode == 0
    seen = [line.split() for line in (tmp_path / "seen").read_text().splitlines()]
    assert [link == "/dev/null" for link, _ in seen] == [number in closed for number in range(3)]
    assert all(inheritable == "True" for _, inheritable in seen)
    assert result.stdout == (b"" if 1 in closed else b"message\n")


@pytest.mark.parametrize(("arguments", "code"), [(("--help",), 0), (("no-command",), 2)])
def test_a_command_without_standard_streams_ends_as_usual(arguments: tuple[str, ...], code: int) -> None:
    command = shlex.join([sys.executable, "-m", "relay", *arguments])
    result = subprocess.run(  # noqa: S603 - a fixed command
        ["/bin/sh", "-c", f"{command} <&- >&- 2>&-"], cwd=ROOT, check=False
    )
    assert result.returncode == code


def test_the_garbage_collector_rests_only_during_the_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[bool]()
    monkeypatch.setattr("relay.cli.main.main", lambda: seen.append(gc.isenabled()))
    try:
        relay.__main__.main()
        LazyGroup().get_command(click.Context(cli), "status")
        assert (seen, gc.isenabled()) == ([False], True)
        assert gc.get_freeze_count() > 1_000
    finally:
        gc.enable()
        gc.unfreeze()
