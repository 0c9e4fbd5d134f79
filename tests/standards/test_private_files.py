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
    find_writable_folders,
    is_readable_by_others,
    is_writable_by_others,
    review_database,
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


@pytest.mark.parametrize("rights", [0o644, 0o604, 0o666, 0o602])
def test_each_open_file_of_a_database_is_found(tmp_path: Path, rights: int) -> None:
    names = ["relay.db", "relay.db-wal", "relay.db-shm", "relay.db-journal"]
    for name in [*names, "other.db"]:
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o600)
    assert list(review_database(tmp_path / "relay.db")) == []
    for name in names:
        (tmp_path / name).chmod(rights)
        (warning,) = review_database(tmp_path / "relay.db")
        assert warning["code"] == "readable_data"
        assert warning["hint"] == f"chmod 600 {tmp_path / name}, as the user that runs the relay"
        (tmp_path / name).chmod(0o600)


def test_a_missing_file_of_a_database_is_not_open(tmp_path: Path) -> None:
    assert list(review_database(tmp_path / "relay.db")) == []


def test_a_warning_names_the_open_files_and_the_command_that_closes_them(tmp_path: Path) -> None:
    files = [tmp_path / "a.db", tmp_path / "a.db-wal"]
    for file in files:
        file.touch()
        file.chmod(0o606)
    assert list(review_database(tmp_path / "a.db")) == [
        {
            "code": "readable_data",
            "problem": f"other users of this machine may read or write {files[0]}, {files[1]}, with personal"
            " data in it",
            "hint": f"chmod 600 {files[0]} {files[1]}, as the user that runs the relay",
        }
    ]


def test_a_folder_in_which_others_can_replace_a_database_is_found(tmp_path: Path) -> None:
    create_private_folder(tmp_path / "a" / "b")
    create_private_file(tmp_path / "a" / "b" / "relay.db")
    (tmp_path / "a").chmod(0o703)
    (warning,) = review_database(tmp_path / "a" / "b" / "relay.db")
    assert warning == {
        "code": "writable_path",
        "problem": f"other users of this machine can write {tmp_path / 'a'}, and so replace what the relay"
        " reads there",
        "hint": f"chmod go-w {tmp_path / 'a'}, as its owner",
    }


@pytest.mark.parametrize(
    ("rights", "is_found"), [(0o777, True), (0o702, True), (0o770, False), (0o755, False), (0o1777, False)]
)
def test_folders_above_a_file_and_above_the_file_that_it_links_to_are_checked(
    tmp_path: Path, rights: int, *, is_found: bool
) -> None:
    linked, linking = tmp_path / "linked", tmp_path / "linking"
    for folder in (linked, linking):
        folder.mkdir(0o700)
    (linked / "file").touch()
    (linking / "link").symlink_to(linked / "file")
    for folder in (linked, linking):
        folder.chmod(rights)
        assert find_writable_folders([linking / "link", linking / "link"]) == [folder] * is_found
        folder.chmod(0o700)


@pytest.mark.parametrize(
    ("members", "accounts", "is_open"),
    [
        ([], [], False),
        (["colleague"], [], True),
        ([], ["colleague"], True),
        (["owner", "root"], ["owner"], False),
        (["owner", "colleague"], [], True),
        (["daemon"], [], True),
    ],
)
def test_a_group_counts_if_another_user_is_in_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    members: list[str],
    accounts: list[str],
    *,
    is_open: bool,
) -> None:
    file = tmp_path / "secret"
    file.touch()
    owner, group = file.stat().st_uid, file.stat().st_gid
    uids = {"root": 0, "daemon": 1, "owner": owner, "colleague": owner + 4_000}
    entries = [
        SimpleNamespace(pw_name=name, pw_uid=uid, pw_gid=group if name in accounts else group + 1)
        for name, uid in uids.items()
    ]
    monkeypatch.setattr(pwd, "getpwall", lambda: entries)
    monkeypatch.setattr(grp, "getgrgid", lambda _: SimpleNamespace(gr_mem=members))
    assert rights_of_others(file, 0o640) == (is_open, False)
    assert rights_of_others(file, 0o620) == (False, is_open)
    assert rights_of_others(file, 0o604) == (True, False)
    assert rights_of_others(file, 0o602) == (False, True)


def rights_of_others(file: Path, rights: int) -> tuple[bool, bool]:
    file.chmod(rights)
    return is_readable_by_others(file), is_writable_by_others(file)


def test_a_missing_file_is_not_open(tmp_path: Path) -> None:
    assert is_readable_by_others(tmp_path / "missing") is False
    assert is_writable_by_others(tmp_path / "missing") is False
    assert find_writable_folders([tmp_path / "missing" / "file"]) == []
