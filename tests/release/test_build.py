"""The packages have the same bytes whenever and wherever they are built, and what they install runs."""

import os
import sys
import tarfile
from pathlib import Path

import pytest

from release.build import ROOT, build, find_epoch, git
from release.check import PackageError, copy_tracked, find_packages, install_and_run, run
from release.version import read_version

EPOCH = 1_700_000_000


def build_elsewhere(target: Path, *options: str, umask: int, mtime: int) -> list[Path]:
    """Build from a copy whose files have another age and other modes."""
    source = copy_tracked(ROOT, target / "source")
    for file in source.rglob("*"):
        os.utime(file, (mtime, mtime))
    before = os.umask(umask)
    try:
        return build(source, target / "packages", epoch=EPOCH, only=options)
    finally:
        os.umask(before)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return build_elsewhere(tmp_path_factory.mktemp("first"), umask=0o022, mtime=1_600_000_000)


def test_a_second_build_has_the_same_bytes(first: list[Path], tmp_path: Path) -> None:
    second = build_elsewhere(tmp_path / "another name", umask=0o077, mtime=1_750_000_000)
    assert [file.suffix for file in first] == [".whl", ".gz"]
    assert [file.name for file in second] == [file.name for file in first]
    assert [file.read_bytes() for file in second] == [file.read_bytes() for file in first]
    with tarfile.open(first[1]) as archive:
        assert {(entry.mtime, entry.uid, entry.mode) for entry in archive if entry.isfile()} == {
            (EPOCH, 0, 0o644),
            (EPOCH, 0, 0o755),
        }


def test_the_wheel_of_the_tree_is_that_of_the_source_package(first: list[Path], tmp_path: Path) -> None:
    (wheel,) = build_elsewhere(tmp_path, "--wheel", umask=0o022, mtime=1_750_000_000)
    assert wheel.read_bytes() == first[0].read_bytes()


def test_another_time_of_the_packages_is_another_package(first: list[Path], tmp_path: Path) -> None:
    """The comparison above can fail: the time is in the bytes."""
    source = copy_tracked(ROOT, tmp_path / "source")
    (sdist,) = build(source, tmp_path / "packages", epoch=EPOCH + 60, only=["--sdist"])
    assert sdist.read_bytes() != first[1].read_bytes()


def test_the_time_is_that_of_the_commit_unless_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert find_epoch(ROOT) == int(git(ROOT, "log", "-1", "--format=%ct"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "17")
    assert find_epoch(ROOT) == 17


@pytest.mark.timeout(600)  # it installs all dependencies, from the cache of uv or the network
def test_the_installed_wheel_makes_and_runs_a_relay(first: list[Path], tmp_path: Path) -> None:
    sdist, wheel = find_packages(first[0].parent, read_version(ROOT))
    assert [wheel, sdist] == first
    install_and_run(wheel, tmp_path)
    settings = (tmp_path / "anywhere/mine/settings.toml").read_text()
    assert 'client = "local"' in settings


FAILS = "import sys; print('out'); print('wrong', file=sys.stderr); sys.exit(3)"


def test_a_program_that_fails_is_an_error_with_its_output(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"ended with 3\nout\nwrong"):
        run([sys.executable, "-c", FAILS], tmp_path)
    with pytest.raises(PackageError, match=r"ended with 0\nout\nwrong"):
        run([sys.executable, "-c", FAILS.replace("exit(3)", "exit(0)")], tmp_path)


def test_missing_packages_are_named(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"cloudtalk_relay-1\.2\.3\.tar\.gz is missing: make build"):
        find_packages(tmp_path, "1.2.3")
