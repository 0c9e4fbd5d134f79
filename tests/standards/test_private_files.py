"""Files for their owner alone, and which files others can read."""

import grp
import os
import pwd
from pathlib import Path
from types import SimpleNamespace

import pytest

from relay.standards.private_files import (
    create_private_file,
    create_private_folder,
    explain_open_files,
    find_open_sqlite_files,
    is_readable_by_others,
)


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> object:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.usefixtures("umask")
def test_a_new_file_and_new_folders_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "c"
    create_private_folder(folder)
    create_private_file(folder / "file")
    assert [mode(path) for path in (folder, folder.parent, folder.parent.parent)] == [0o700] * 3
    assert mode(folder / "file") == 0o600


def test_what_exists_keeps_its_rights_and_content(tmp_path: Path) -> None:
    folder, file = tmp_path / "a", tmp_path / "a" / "file"
    folder.mkdir()
    folder.chmod(0o755)
    file.write_text("x")
    file.chmod(0o644)
    create_private_folder(folder)
    create_private_file(file)
    assert (mode(folder), mode(file), file.read_text()) == (0o755, 0o644, "x")


def test_a_link_to_a_missing_file_creates_the_file_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    create_private_file(tmp_path / "link")
    assert mode(tmp_path / "file") == 0o600


def test_a_file_in_the_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match="file"):
            create_private_folder(folder)


def test_a_file_that_cannot_be_created_is_left_to_the_next_open(tmp_path: Path) -> None:
    create_private_file(tmp_path / "missing" / "file")
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("rights", [0o644, 0o640, 0o660, 0o602])
def test_each_open_file_of_a_database_is_found(tmp_path: Path, rights: int) -> None:
    names = ["relay.db", "relay.db-wal", "relay.db-shm", "relay.db-journal"]
    for name in [*names, "other.db"]:
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o600)
    assert find_open_sqlite_files(tmp_path / "relay.db") == []
    for name in names:
        (tmp_path / name).chmod(rights)
        assert find_open_sqlite_files(tmp_path / "relay.db") == [tmp_path / name]
        (tmp_path / name).chmod(0o600)


def test_a_missing_file_of_a_database_is_not_open(tmp_path: Path) -> None:
    assert find_open_sqlite_files(tmp_path / "relay.db") == []


def test_a_warning_names_the_open_files_and_the_command_that_closes_them() -> None:
    assert explain_open_files([Path("/a.db"), Path("/a.db-wal")]) == {
        "problem": "other users of this machine may read or write /a.db, /a.db-wal, with personal data in it",
        "hint": "chmod 600 /a.db /a.db-wal, as the user that runs the relay",
    }


@pytest.mark.parametrize(
    ("members", "accounts", "is_readable"),
    [
        ([], [], False),
        (["colleague"], [], True),
        ([], ["colleague"], True),
        (["owner", "root"], ["owner"], False),
        (["owner", "colleague"], [], True),
    ],
)
def test_a_group_counts_if_another_user_is_in_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    members: list[str],
    accounts: list[str],
    *,
    is_readable: bool,
) -> None:
    file = tmp_path / "secret"
    file.touch()
    owner, group = file.stat().st_uid, file.stat().st_gid
    uids = {"root": 0, "owner": owner, "colleague": owner + 4_000}
    entries = [
        SimpleNamespace(pw_name=name, pw_uid=uid, pw_gid=group if name in accounts else group + 1)
        for name, uid in uids.items()
    ]
    monkeypatch.setattr(pwd, "getpwall", lambda: entries)
    monkeypatch.setattr(grp, "getgrgid", lambda _: SimpleNamespace(gr_mem=members))
    file.chmod(0o640)
    assert is_readable_by_others(file) is is_readable
    file.chmod(0o620)
    assert not is_readable_by_others(file)
    file.chmod(0o604)
    assert is_readable_by_others(file)


def test_a_missing_file_is_not_readable(tmp_path: Path) -> None:
    assert is_readable_by_others(tmp_path / "missing") is False
