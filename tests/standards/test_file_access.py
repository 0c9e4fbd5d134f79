"""Who owns a file that this process may not use."""

import os
from pathlib import Path

import pytest

from relay.standards.file_access import explain_denied, explain_uncreatable
from tests.support.foreign_files import Foreign, run_without_rights_of_root

_PROGRAM = (
    "import sys; from pathlib import Path; from relay.standards.file_access import *;"
    " path = Path(sys.argv[1]); how = sys.argv[2]; print("
    "explain_uncreatable(path) if how == 'create' else explain_denied(path, writes=how == 'w'))"
)


def explain(path: Path, how: str = "w") -> str:
    return run_without_rights_of_root("-c", _PROGRAM, str(path), how).stdout.strip()


def test_a_usable_file_and_one_that_can_be_created_are_not_explained(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    assert explain_denied(tmp_path / "there") is None
    assert explain_denied(tmp_path / "new") is None
    assert explain_denied(tmp_path / "no-folder" / "new") is None


@pytest.mark.parametrize("name", ["file", "missing", "folder/missing"])
def test_of_a_folder_of_another_user_the_owner_is_named(foreign_folder: Foreign, name: str) -> None:
    found = explain(foreign_folder.path / name)
    assert found.startswith(f"{foreign_folder.path} belongs to {foreign_folder.owner}, and you are the user ")
    assert found.endswith(f"; run the command as {foreign_folder.owner}")


def test_a_file_that_may_be_read_is_denied_to_a_writer_only() -> None:
    assert explain(Path("/etc/passwd"), "r") == "None"
    writer = explain(Path("/etc/passwd"))
    if os.geteuid() == 0:  # it is the owner's
        assert writer == "None"
    else:
        assert writer.startswith("/etc/passwd belongs to the user root, and you are the user ")


@pytest.mark.parametrize(("mode", "path"), [(0o000, "file"), (0o400, "file"), (0o400, "")])
def test_of_an_own_file_the_mode_is_named(tmp_path: Path, mode: int, path: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").touch()
    changed = folder / path
    changed.chmod(mode)
    assert (
        explain(folder / "file")
        == f"{changed} is yours and has the mode {mode:03o}; run `chmod u+rwX {changed}`"
    )
    folder.chmod(0o700)


def test_a_file_below_new_folders_can_be_created_and_none_below_a_file(tmp_path: Path) -> None:
    assert explain_uncreatable(tmp_path / "new" / "folder" / "file") is None
    (tmp_path / "file").touch()
    assert explain_uncreatable(tmp_path / "file" / "folder" / "new") == f"{tmp_path}/file is no folder"


@pytest.mark.parametrize("mode", [0o500, 0o600])
def test_of_a_folder_in_which_nothing_can_be_created_the_mode_is_named(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode)
    assert (
        explain(folder / "new", "create")
        == f"{folder} is yours and has the mode {mode:03o}; run `chmod u+rwX {folder}`"
    )
