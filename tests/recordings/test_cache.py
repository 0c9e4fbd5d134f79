"""The cache on the disk."""

import os
import time
from pathlib import Path

import pytest

from relay.recordings.cache import Cache


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "a/cache", max_mb=0.001, max_days=7)


def put(cache: Cache, key: str, size: int = 400) -> Path:
    part = cache.create_part()
    part.write_bytes(b"x" * size)
    return cache.commit(part, key)


def set_times(path: Path, *, used: float, fetched: float) -> None:
    """Set the times of a file, in seconds from now."""
    os.utime(path, (time.time() + used, time.time() + fetched))


def keys(cache: Cache) -> set[str]:
    return {path.stem for path in cache.folder.iterdir()}


def test_files_and_folders_are_for_their_owner_alone(cache: Cache) -> None:
    path = put(cache, "a")
    assert [p.stat().st_mode & 0o777 for p in (path, path.parent, path.parent.parent)] == [
        0o600,
        0o700,
        0o700,
    ]


def test_a_part_is_not_found_until_it_is_complete(cache: Cache) -> None:
    part = cache.create_part()
    part.write_bytes(b"half")
    assert cache.find("a") is None
    cache.commit(part, "a")
    found = cache.find("a")
    assert found is not None
    assert found.read_bytes() == b"half"
    assert not part.exists()


def test_the_recordings_that_were_used_longest_ago_are_removed(cache: Cache) -> None:
    for number, key in enumerate("ab"):
        set_times(put(cache, key), used=number - 100, fetched=-100)
    assert cache.find("a") is not None  # used now
    put(cache, "c")
    assert keys(cache) == {"a", "c"}


def test_the_use_of_a_recording_does_not_make_it_younger(cache: Cache) -> None:
    set_times(put(cache, "a"), used=0, fetched=-7 * 86_400 + 5)
    path = cache.find("a")
    assert path is not None
    assert path.stat().st_mtime < time.time() - 6 * 86_400
    set_times(path, used=0, fetched=-7 * 86_400 - 5)
    assert cache.find("a") is None
    cache.remove_excess()
    assert keys(cache) == set()


def test_parts_of_killed_processes_are_removed_and_others_are_not(cache: Cache) -> None:
    old, new = cache.create_part(), cache.create_part()
    set_times(old, used=-3_700, fetched=-3_700)
    assert cache.remove_excess() == 0
    assert (old.exists(), new.exists()) == (False, True)


def test_two_processes_may_complete_the_same_recording(cache: Cache) -> None:
    put(cache, "a", 100)
    other = Cache(cache.folder, max_mb=0.001, max_days=7)
    put(other, "a", 200)
    path = cache.find("a")
    assert path is not None
    assert path.stat().st_size == 200
    cache.remove("a")
    other.remove("a")
    assert other.find("a") is None


def test_a_missing_folder_is_an_empty_cache(cache: Cache) -> None:
    assert cache.find("a") is None
    assert cache.remove_excess() == 0
    assert not cache.folder.exists()
