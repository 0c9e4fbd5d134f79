"""The checkout: Git ignores the files of its user, and packages are installed by their hashes."""

import ast
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_git_ignores_secrets_and_local_settings(tmp_path: Path) -> None:
    kept = [".gitignore", "secrets/.gitignore", "settings.toml"]
    (tmp_path / "secrets").mkdir()
    for name in kept:
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("secrets/tokens", "secrets/hubspot-token", "settings.local.toml"):
        (tmp_path / name).write_text("of the user")
    for arguments in ("init --quiet", "add --all"):
        subprocess.run(["git", *arguments.split()], cwd=tmp_path, check=True)  # noqa: S603, S607 - a fixed command
    listed = subprocess.run(["git", "ls-files"], cwd=tmp_path, check=True, capture_output=True, text=True)  # noqa: S607
    assert listed.stdout.split() == kept


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-build.lock", "requirements-dev.lock"])
def test_each_dependency_is_pinned_by_version_and_hash(name: str) -> None:
    text = re.sub(r"^ *#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE).replace("\\\n", "")
    packages = text.splitlines()
    assert packages
    pinned = re.compile(r"[\w.-]+(?:\[[\w,-]+\])?==\S+(?: ; [^-]\S.*?)?(?: +--hash=sha256:[0-9a-f]{64})+")
    assert [line for line in packages if not pinned.fullmatch(line.strip())] == []


def test_no_package_is_installed_without_its_hash() -> None:
    makefile = (ROOT / "Makefile").read_text()
    installs = [line for line in makefile.splitlines() if re.match(r"\t@.*pip install", line)]
    unchecked = [line for line in installs if "--require-hashes -r" not in line]
    assert len(installs) == 4
    assert len(unchecked) == 1
    assert unchecked[0].endswith("--no-deps --no-build-isolation -e .")  # the relay itself


def test_all_rules_of_the_linter_are_on() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert tools["ruff"]["lint"]["select"] == ["ALL"]
    ignored = {rule[0] for rule in tools["ruff"]["lint"]["ignore"] if rule[1:].isdigit() or len(rule) == 1}
    assert "S" not in ignored  # the rules of bandit
    assert tools["mypy"]["strict"] is True


def test_no_module_runs_commands_or_reads_dangerous_formats() -> None:
    dangerous = {"subprocess", "pickle", "marshal", "shelve", "xml", "lxml", "yaml", "ctypes"}
    found = {
        (file.relative_to(ROOT).as_posix(), name)
        for folder in ("relay", "crm_clients")
        for file in (ROOT / folder).rglob("*.py")
        for name in imported_by(file) & dangerous
    }
    assert found == {("relay/simulator/relay_process.py", "subprocess"), ("relay/server/memory.py", "ctypes")}


def imported_by(file: Path) -> set[str]:
    """Return the top-level modules that a file imports."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.partition(".")[0] for name in names}
