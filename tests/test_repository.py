"""The files of a user in a checkout: Git ignores them."""

import shutil
import subprocess
from pathlib import Path

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
