from pathlib import Path
from types import SimpleNamespace

import psutil  # type: ignore[import-untyped]  # it has no types, and little of it is used
import pytest

from bench.machine import file_system, fsyncs_per_second, machine_facts


def test_the_facts_say_what_makes_a_commit_durable(tmp_path: Path) -> None:
    facts = machine_facts(tmp_path)
    assert "synchronous = FULL" in facts["SQLite"]
    assert "journal_mode = wal" in facts["SQLite"]
    assert "fsyncs/s" in facts["disk"]


def test_the_file_system_is_that_of_the_innermost_mount(monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = {"/": "ext4", "/dev": "devtmpfs", "/data": "xfs", "/data/fast": "tmpfs"}
    visible = [*mounts.items(), ("/data", "zfs")]  # of two mounts at one place the later one
    parts = [SimpleNamespace(mountpoint=mount, fstype=kind) for mount, kind in visible]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: parts)
    assert file_system(Path("/data/fast/x")) == "tmpfs"
    assert file_system(Path("/data/other")) == "zfs"
    assert file_system(Path("/database")) == "ext4"


def test_fsyncs_are_counted(tmp_path: Path) -> None:
    assert fsyncs_per_second(tmp_path) > 0
