"""The bill of materials is valid, and has each locked dependency with its digests."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from release.build import ROOT
from release.version import read_version

LOCKED = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[\w,-]+\])?==([^ \\;]+)", re.MULTILINE)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `make sbom` writes, with the recipe of the Makefile."""
    recipe = subprocess.run(
        ["make", "--dry-run", "--silent", "sbom"],  # noqa: S607 - that of the person
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = [line for line in recipe.stdout.splitlines() if "cyclonedx-py" in line]
    target: Path = tmp_path_factory.mktemp("sbom") / "bom.json"
    command = line.lstrip("@").replace("dist/cloudtalk-relay.cdx.json", str(target))
    done = subprocess.run(["/bin/sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - a recipe of the project
    assert (done.returncode, done.stderr) == (0, "")
    return target.read_text()


def test_it_is_valid(text: str) -> None:
    version = SchemaVersion.from_version(json.loads(text)["specVersion"])
    assert JsonStrictValidator(version).validate_str(text) is None
    damaged = json.dumps(json.loads(text) | {"components": [{"name": "without a type"}]})
    assert JsonStrictValidator(version).validate_str(damaged) is not None


def test_it_names_the_relay_and_each_locked_dependency(text: str) -> None:
    bom = json.loads(text)
    relay = bom["metadata"]["component"]
    assert (relay["name"], relay["version"]) == ("cloudtalk-relay", read_version(ROOT))
    locked = set(LOCKED.findall((ROOT / "requirements.lock").read_text()))
    assert {(each["name"], each["version"]) for each in bom["components"]} == locked
    assert len(locked) > 30
    for each in bom["components"]:
        assert each["purl"].startswith("pkg:pypi/")
        assert "--hash=sha256:" in json.dumps(each) or "SHA-256" in json.dumps(each)


def test_it_says_nothing_of_the_machine(text: str) -> None:
    assert str(ROOT) not in text
    assert "timestamp" not in json.loads(text)["metadata"]
    assert "serialNumber" not in json.loads(text)
