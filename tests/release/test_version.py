"""The version is in one place, and a release has a section in the changelog."""

import re
from pathlib import Path

import pytest

from release.build import ROOT, git
from release.version import VersionError, read_notes, read_version

CHANGELOG = """# Changelog

## [Unreleased]

### Added

- not yet

## [1.2.3] - 2026-11-27

### Added

- **This**
  and that

## [1.2.2] - 2026-10-01

### Fixed

- old
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    return tmp_path


def test_the_notes_are_the_section_of_the_version(root: Path) -> None:
    assert read_notes(root, "v1.2.3") == "### Added\n\n- **This**\n  and that\n"


def test_the_last_section_ends_with_the_file(root: Path) -> None:
    (root / "pyproject.toml").write_text('[project]\nversion = "1.2.2"\n')
    assert read_notes(root, "v1.2.2") == "### Fixed\n\n- old\n"


@pytest.mark.parametrize("tag", ["1.2.3", "v1.2.4", "v1.2.3rc1"])
def test_a_tag_of_another_version_is_an_error(root: Path, tag: str) -> None:
    with pytest.raises(VersionError, match=rf"the tag is {tag}, .* the version 1\.2\.3: expected v1\.2\.3"):
        read_notes(root, tag)


@pytest.mark.parametrize(
    ("old", "new"),
    [("[1.2.3] - 2026-11-27", "[1.2.3]"), ("- 2026-11-27", "- soon"), ("- **This**\n  and that\n", "")],
)
def test_a_version_without_a_dated_section_is_an_error(root: Path, old: str, new: str) -> None:
    text = CHANGELOG.replace(old, new).replace("### Added\n\n\n", "\n")
    (root / "CHANGELOG.md").write_text(text)
    with pytest.raises(VersionError, match=r"says nothing about 1\.2\.3: rename \[Unreleased\] to"):
        read_notes(root, "v1.2.3")


def test_the_version_is_in_one_place() -> None:
    """Everything else asks the installed package. Only the manifests name an image, which has the version as
    its tag: if the version changes, this fails until they name the new one.
    """
    version = re.escape(read_version(ROOT))
    stated = re.compile(rf"(?:version\W{{1,5}}|cloudtalk[-_]relay\W{{1,3}}v?){version}\b", re.IGNORECASE)
    files = [name for name in git(ROOT, "ls-files").splitlines() if not name.startswith("tests/")]
    found = [name for name in files if stated.search((ROOT / name).read_bytes().decode(errors="replace"))]
    assert found == ["deploy/kubernetes/relay.yaml", "pyproject.toml"]
