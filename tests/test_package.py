"""The installed package: what the wheel contains, and commands beside a foreign `app.py`."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import click
import pytest

from relay.cli.main import LazyGroup, cli
from release.build import build, find_epoch
from tests.support.patience import PATIENCE

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source package, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("packages")
    wheel, source = build(ROOT, folder, epoch=find_epoch(ROOT))
    return source, wheel


def test_the_wheel_contains_the_program_and_nothing_else(packages: tuple[Path, Path]) -> None:
    names = zipfile.ZipFile(packages[1]).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {
        "relay",
        "crm_clients",
        "cloudtalk_relay",
    }
    assert {"crm_clients/conformance/__init__.py", "relay/py.typed", "crm_clients/py.typed"} <= set(names)
    assets = [f for f in (ROOT / "relay/console").rglob("*") if f.suffix in {".html", ".css", ".js", ".svg"}]
    assert len(assets) > 8
    assert {file.relative_to(ROOT).as_posix() for file in assets} <= set(names)


def test_the_source_package_contains_no_secrets(packages: tuple[Path, Path]) -> None:
    with tarfile.open(packages[0]) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert "relay/py.typed" in names
    assert not [name for name in names if name.startswith(("secrets/", "settings.local", "var/"))]


@pytest.fixture(scope="module")
def foreign_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with settings, a ledger, and an `app.py` of the user that must not be imported."""
    tmp_path = tmp_path_factory.mktemp("foreign")
    (tmp_path / "app.py").write_text('raise SystemExit("the foreign app.py was imported")')
    (tmp_path / "settings.toml").write_text("""
        [server]
        port = 0
        [ledger]
        url = "sqlite:///relay.db"
        [destinations.crm]
        client = "local"
        path = "crm.db"
    """)
    started = subprocess.Popen(
        [sys.executable, "-m", "relay", "serve"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    with started as serve:
        assert serve.stdout is not None
        assert any('"server.ready"' in line for line in serve.stdout)
        serve.terminate()
        serve.communicate(timeout=PATIENCE)
    return tmp_path


def relay(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # `-m` puts the working folder first on sys.path, so an import of `app` would find the foreign one.
    command = [sys.executable, "-m", "relay", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)  # noqa: S603 - a command of the project


HELP_OF_EACH = """
import sys
from relay.cli.main import main
for command in sys.argv[1:]:
    sys.argv[1:] = [command, "--help"]
    try:
        main()
    except SystemExit as end:
        assert not end.code, command
"""


def test_each_command_can_be_imported_beside_a_foreign_app_module(foreign_folder: Path) -> None:
    commands = LazyGroup().list_commands(click.Context(cli))
    # Like `-m`, `-c` puts the working folder first on sys.path. One process imports them all.
    line = [sys.executable, "-c", HELP_OF_EACH, *commands]
    done = subprocess.run(  # noqa: S603 - a command of the project
        line, cwd=foreign_folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("Usage: ") == len(commands) > 10


@pytest.mark.parametrize(
    "arguments",
    [
        ["setup", "crm"],
        ["check"],
        ["status"],
        ["calls", "list"],
        ["dead", "list"],
        ["destinations", "list"],
        ["quarantine", "retry", "--all"],
        ["rebuild"],
        ["replay"],
        ["cloudtalk-setup"],
        ["demo", "--once"],
    ],
    ids=" ".join,
)
def test_commands_work_beside_a_foreign_app_module(foreign_folder: Path, arguments: list[str]) -> None:
    done = relay(foreign_folder, *arguments)
    assert "the foreign app.py" not in done.stdout + done.stderr
    assert done.returncode == 0, done.stderr
