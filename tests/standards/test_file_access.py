"""Who owns a file that this process may not use."""

import os
import pwd
from pathlib import Path

import pytest

from relay.standards.file_access import explain_denied, explain_uncreatable, is_missing
from tests.support.foreign_files import Foreign, without_rights_of_root


def denied(path: Path, **how: bool) -> str | None:
    with without_rights_of_root():
        return explain_denied(path, **how)


def uncreatable(path: Path) -> str | None:
    with without_rights_of_root():
        return explain_uncreatable(path)


def missing(path: Path) -> bool:
    with without_rights_of_root():
        return is_missing(path)


def test_a_usable_file_and_one_that_can_be_created_are_not_explained(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    assert denied(tmp_path / "there") is None
    assert denied(tmp_path / "new") is None
    assert denied(tmp_path / "no-folder" / "new") is None


@pytest.mark.parametrize("name", ["file", "missing", "folder/missing"])
@pytest.mark.parametrize("writes", [True, False])
def test_of_a_folder_of_another_user_the_owner_is_named(
    foreign_folder: Foreign, name: str, *, writes: bool
) -> None:
    found = denied(foreign_folder.path / name, writes=writes)
    assert found is not None
    assert found.startswith(
        f"{foreign_folder.path} belongs to {foreign_folder.owner}, and you are {_own_name()}; "
    )
    assert found.endswith(f"; run the command as {foreign_folder.owner}")


def test_a_file_of_another_user_may_be_read_and_not_written(foreign_folder: Foreign) -> None:
    del foreign_folder
    file = Path("/etc/passwd")
    assert denied(file, writes=False) is None
    if os.geteuid() != 0:  # it is not the owner's
        found = denied(file)
        assert found is not None
        assert found.startswith("/etc/passwd belongs to the user root, and you are the user ")


@pytest.mark.parametrize(("mode", "path"), [(0o000, "file"), (0o200, "file"), (0o400, ""), (0o000, "")])
@pytest.mark.parametrize("writes", [True, False])
def test_of_an_own_file_that_may_not_be_read_the_mode_is_named(
    tmp_path: Path, mode: int, path: str, *, writes: bool
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").touch()
    changed = folder / path
    changed.chmod(mode)
    found = denied(folder / "file", writes=writes)
    folder.chmod(0o700)
    assert found == f"{changed} is yours and has the mode {mode:03o}; run `chmod u+rwX {changed}`"


@pytest.mark.parametrize(("mode", "path", "name"), [(0o400, "file", "file"), (0o500, "", "missing")])
def test_a_file_that_may_not_be_written_or_created_is_denied_to_a_writer_only(
    tmp_path: Path, mode: int, path: str, name: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").touch()
    changed = folder / path
    changed.chmod(mode)
    assert denied(folder / name, writes=False) is None
    assert (
        denied(folder / name)
        == f"{changed} is yours and has the mode {mode:03o}; run `chmod u+rwX {changed}`"
    )
    folder.chmod(0o700)


def test_below_a_file_nothing_is_denied(tmp_path: Path) -> None:
    (tmp_path / "file").touch(0o600)
    assert denied(tmp_path / "file" / "x") is None


def test_a_file_below_new_folders_can_be_created_and_none_below_a_file(tmp_path: Path) -> None:
    assert uncreatable(tmp_path / "new" / "folder" / "file") is None
    (tmp_path / "file").touch()
    assert uncreatable(tmp_path / "file" / "folder" / "new") == f"{tmp_path}/file is no folder"


@pytest.mark.parametrize("mode", [0o500, 0o600])
def test_of_a_folder_in_which_nothing_can_be_created_the_mode_is_named(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode)
    assert (
        uncreatable(folder / "new")
        == f"{folder} is yours and has the mode {mode:03o}; run `chmod u+rwX {folder}`"
    )


def _own_name() -> str:
    return f"the user {pwd.getpwuid(os.geteuid()).pw_name}"


def test_behind_a_denied_folder_each_file_counts_as_existing(foreign_folder: Foreign, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert missing(foreign_folder.path / "missing") is False
    assert missing(tmp_path / "file") is False
    assert missing(tmp_path / "missing") is True
    assert missing(tmp_path / "file" / "below") is True
