"""The stages of a profile, and a py-spy that takes no samples."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import profile
from bench.profile import Sampler, count_stages, stage_of
from bench.result import BenchError
from bench.server import Server

WRITER = "Thread._bootstrap (threading.py:1002);Executor._try (relay/ledger/executor.py:112)"


@pytest.mark.parametrize(
    ("stack", "stage"),
    [
        (
            "run (relay/app.py:9);_handle (relay/ingest/endpoint.py:1);parse (relay/cloudtalk/parser.py:3)",
            "parse",
        ),
        ("run (relay/app.py:9);WebhookEndpoint (relay/ingest/endpoint.py:1)", "authenticate, limit, respond"),
        (f"{WRITER};_apply (relay/fold/worker.py:5);write (relay/ledger/calls.py:8)", "fold: read and write"),
        (
            f"{WRITER};_write (relay/delivery/settle.py:5);bound (relay/ledger/json_rows.py:8)",
            "deliver: take and settle",
        ),
        (f"{WRITER};commit (relay/ledger/connection.py:8)", "other transactions"),
        ("Thread._bootstrap (threading.py:1002)", "event loop and threads"),
    ],
)
def test_the_innermost_function_of_a_stage_decides(stack: str, stage: str) -> None:
    assert stage_of(stack) == stage


def test_samples_are_counted_by_stage() -> None:
    stacks = (
        "run (relay/logs/output.py:1) 3\nmain (uvicorn/server.py:2);send (relay/logs/setup.py:7) 4\nx 5\n"
    )
    assert count_stages(stacks) == {"log": 7, "event loop and threads": 5}


# --- py-spy ---------------------------------------------------------------------------------------

REFUSED = "echo 'Permission Denied: try running again with elevated permissions' >&2; exit 1"
SAMPLES = """
while [ "$1" != --output ]; do shift; done
trap 'echo "parse (relay/cloudtalk/parser.py:3) 4" > "$2"; exit 0' INT
while :; do sleep 0.05; done
"""
ENDS_WITHOUT_A_FILE = "trap 'exit 0' INT; while :; do sleep 0.05; done"
FAILS_AT_THE_END = SAMPLES.replace("exit 0", "exit 3")


@pytest.fixture
def server() -> Iterator[Server]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield Server(process, "http://127.0.0.1:1", 0)
        process.kill()


def fake_py_spy(folder: Path, script: str) -> str:
    path = folder / "py-spy"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_samples_are_printed_by_stage(
    tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    with Sampler("Accept", fake_py_spy(tmp_path, SAMPLES), tmp_path).sampling(server, 1_000, "event"):
        pass
    title, parse = capsys.readouterr().out.split("\n")[1:3]
    assert title.startswith("Accept: ")
    assert parse.split() == ["parse", "100%"]


def test_a_py_spy_that_may_not_trace_ends_the_profile_before_the_load(tmp_path: Path, server: Server) -> None:
    loaded: list[bool] = []
    sampler = Sampler("Accept", fake_py_spy(tmp_path, REFUSED), tmp_path)
    with (
        pytest.raises(BenchError, match=r"exit code 1, its message: Permission Denied.*ptrace_scope"),
        sampler.sampling(server, 1, "event"),
    ):
        loaded.append(True)
    assert loaded == []


@pytest.mark.parametrize(
    ("script", "exit_code"), [(ENDS_WITHOUT_A_FILE, 0), (FAILS_AT_THE_END, 3)], ids=["no file", "failed"]
)
def test_samples_of_the_load_before_are_never_printed(
    tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str], script: str, exit_code: int
) -> None:
    (tmp_path / "stacks.txt").write_text("parse (relay/cloudtalk/parser.py:3) 4\n")
    sampler = Sampler("Accept", fake_py_spy(tmp_path, script), tmp_path)
    with (
        pytest.raises(BenchError, match=f"exit code {exit_code}, its message: none"),
        sampler.sampling(server, 1, "event"),
    ):
        pass
    assert capsys.readouterr().out == ""


def test_a_profile_without_samples_ends_with_1_and_one_line(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(_: object, sampler: Sampler) -> None:
        with sampler.sampling(server, 1, "event"):
            pass

    fake_py_spy(tmp_path, REFUSED)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(profile, "_LOADS", {"accept": load})
    assert profile.main(["accept"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("accept: py-spy took no samples (exit code 1, its message: Permission Denied")
