"""Commands in messages, as a person has to type them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from relay.cli import program as module
from relay.cli.program import Program, find_name
from tests.support.patience import PATIENCE


def test_the_program_is_named_as_a_person_calls_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "relay"
    program.parent.mkdir()
    program.touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_name() == "bin/relay"
    monkeypatch.setenv("PATH", str(program.parent))
    assert find_name() == "relay"
    monkeypatch.chdir(program.parent)
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_name() == "./relay"
    monkeypatch.chdir("/usr")
    assert find_name() == str(program)


def test_a_module_is_named_with_its_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "with space" / "python3"
    python.parent.mkdir()
    python.touch(0o755)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "relay" / "__main__.py")])
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_name() == f"'{python}' -m relay"
    monkeypatch.setenv("PATH", str(python.parent))
    assert find_name() == "python3 -m relay"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`relay check` and `relay dead list`", "`bin/relay -s check` and `bin/relay -s dead list`"),
        ("`relay init` writes one", "`bin/relay init` writes one"),
        ("a relay runs, `relay.db` and `relay`", "a relay runs, `relay.db` and `relay`"),
        ("(`relay check --send`)", "(`bin/relay -s check --send`)"),
    ],
)
def test_commands_in_backticks_are_named_as_they_are_typed(text: str, expected: str) -> None:
    program = Program()
    program.use_settings(Path("my relay/settings.toml"))
    assert program.name_in(text) == text  # called by another program
    program.call_as("bin/relay")
    assert program.name_in(text) == expected.replace(" -s ", " --settings 'my relay/settings.toml' ")
    program.use_settings(None)
    assert program.name_in(text) == expected.replace(" -s ", " ")


def test_a_line_is_complete() -> None:
    program = Program()
    assert program.line("serve") == "relay serve"
    program.call_as("bin/relay")
    program.use_settings(Path("a.toml"))
    assert program.line("serve") == "bin/relay --settings a.toml serve"
    assert module.program.line("serve") == "relay serve"


def test_hints_of_commands_can_be_typed_as_they_are(tmp_path: Path) -> None:
    relay = shutil.copy(Path(sys.executable).parent / "relay", tmp_path / "relay")
    (tmp_path / "my settings.toml").write_text('[ledger]\nurl = "sqlite:///relay.db"\n')

    def run(*arguments: str) -> str:
        done = subprocess.run(  # noqa: S603 - a command of the project
            [relay, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False,
            env={"PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        return " ".join((done.stdout + done.stderr).split())

    settings = ("--settings", "my settings.toml")
    assert "`./relay --settings 'my settings.toml' dead list` lists the dead letters" in run(
        *settings, "dead", "drop", "x"
    )
    assert "write one with `./relay init`" in run("--settings", "absent.toml", "status")
    status = run(*settings, "status")
    assert "`./relay --settings 'my settings.toml' serve` starts one" in status
    (tmp_path / "relay.db").unlink()
    assert "`relay serve` creates" in run(*settings, "check", "--json")  # for scripts it is always the same
