"""The client in docs/write-a-client.md works when it is installed as a package of its own."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from crm_clients.conformance import HttpCrm
from tests.support.relay import RelayProcess, eventually, running_relay

ROOT: Final = Path(__file__).parents[2]
TOKEN: Final = "an-acme-token"
SETTINGS: Final = """
[server]
port = 0
[ledger]
url = "sqlite:///relay.db"
[destinations.crm]
client = "acme"
base_url = "{url}"
token = "an-acme-token"
[destinations.crm.fields]
contact_name = "customer"
[destinations.crm.constants]
source = "CloudTalk"
"""


def files_of(document: Path) -> dict[str, str]:
    """Return the code blocks of a document that follow a line with a file name."""
    blocks = re.findall(r"^`([\w.-]+)`\n\n```\w+\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)
    return dict(blocks)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the document's files."""
    folder = tmp_path_factory.mktemp("acme")
    for name, text in files_of(ROOT / "docs/write-a-client.md").items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def installed(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package is installed into."""
    target = tmp_path_factory.mktemp("site-packages")
    command = ["-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation"]
    options = ["--python", sys.executable, "--target", str(target)]
    subprocess.run([sys.executable, *command, *options, str(package)], check=True, timeout=60)  # noqa: S603 - our own
    return target


@pytest.fixture
def environment(installed: Path) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)])}


@pytest.fixture
def acme(package: Path, installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The document's fake CRM, running."""
    monkeypatch.syspath_prepend(str(installed))
    with closing(load_module(package / "test_acme_crm.py").AcmeCrm()) as crm:
        assert isinstance(crm, HttpCrm)
        yield crm
    sys.modules.pop("acme_crm")


def load_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("test_acme_crm", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_document_has_all_files_of_a_package() -> None:
    files = files_of(ROOT / "docs/write-a-client.md")
    assert list(files) == ["pyproject.toml", "acme_crm.py", "test_acme_crm.py"]


def test_the_client_is_short() -> None:
    client = files_of(ROOT / "docs/write-a-client.md")["acme_crm.py"]
    _, _, body = client.partition("class AcmeClient")
    assert len([line for line in body.splitlines() if line.strip()]) < 90


def test_the_client_passes_the_conformance_kit(package: Path, environment: dict[str, str]) -> None:
    line = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:asyncio", "test_acme_crm.py"]
    ended = subprocess.run(  # noqa: S603 - our own
        line,
        cwd=package,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=80,
    )
    assert ended.returncode == 0, ended.stdout
    assert re.search(r"\b[89]\d passed, \d skipped", ended.stdout), ended.stdout


def test_a_relay_finds_the_client_and_its_check_is_ok(
    tmp_path: Path, environment: dict[str, str], acme: Any
) -> None:
    relay = RelayProcess(tmp_path, SETTINGS.format(url=acme.url), **environment)
    ended = relay.command("check")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "crm" in ended.stdout
    assert acme.calls == {}


def test_a_relay_delivers_a_simulated_call_to_it(
    tmp_path: Path, environment: dict[str, str], acme: Any
) -> None:
    with running_relay(tmp_path, SETTINGS.format(url=acme.url), **environment) as relay:
        sent = relay.command("simulate", "--url", relay.url, "--calls", "1", "--seed", "1", "--json")
        assert sent.returncode == 0, sent.stderr
        [call] = eventually(lambda: list(acme.calls.values()), has_ended_call)
    assert call["id"].startswith("cloudtalk-")
    assert call["status"] in {"Completada", "Perdida"}
    assert call["source"] == "CloudTalk"
    assert "customer" in call
    assert "contact_name" not in call


def has_ended_call(calls: list[dict[str, Any]]) -> bool:
    return any(call.get("ended_at") for call in calls)


def test_without_the_package_the_error_names_the_known_clients(tmp_path: Path) -> None:
    ended = RelayProcess(tmp_path, SETTINGS.format(url="http://127.0.0.1:1")).command("check")
    assert ended.returncode == 2
    assert 'found "acme"' in ended.stderr
