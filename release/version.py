"""The version, which is in `pyproject.toml` only, and its section of the changelog."""

import re
import tomllib
from pathlib import Path
from typing import Final

_SECTION: Final = r"^## \[{version}\] - (\d{{4}}-\d{{2}}-\d{{2}})\n(.*?)(?=^## \[|^\[|\Z)"


class VersionError(Exception):
    """The version, the tag and the changelog do not fit. The message says what to change."""


def read_version(root: Path) -> str:
    """Return the version of the package."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["version"])


def read_notes(root: Path, tag: str) -> str:
    """Return what the changelog says about the release of a tag such as `v0.1.0`. Raises `VersionError`."""
    version = read_version(root)
    if tag != f"v{version}":
        raise VersionError(
            f"the tag is {tag}, and pyproject.toml has the version {version}: expected v{version}"
        )
    changelog = (root / "CHANGELOG.md").read_text("utf-8")
    section = re.compile(_SECTION.format(version=re.escape(version)), re.MULTILINE | re.DOTALL)
    found = section.search(changelog)
    if found is None or not found[2].strip():
        raise VersionError(
            f"CHANGELOG.md says nothing about {version}: rename [Unreleased] to “## [{version}] - YYYY-MM-DD”"
            " and begin a new [Unreleased] above it"
        )
    return f"{found[2].strip()}\n"
