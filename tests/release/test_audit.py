"""The audit says what is vulnerable, and never that nothing is if the database gave no answer."""

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.patience import PATIENCE

ROOT = Path(__file__).parents[2]
LOCK = "idna==3.6 --hash=sha256:c05567e9c24a6b9faaa835c4821bad0590fbb9d5779e7caa6e1cc4978e7eb24f\n"
VULNERABILITY = {
    "id": "GHSA-jjg7-2v4v-x38h",
    "summary": "denial of service",
    "aliases": ["CVE-2024-3651"],
    "modified": "2024-04-11T00:00:00Z",
    "published": "2024-04-11T00:00:00Z",
    "affected": [
        {
            "package": {"name": "idna", "ecosystem": "PyPI", "purl": "pkg:pypi/idna"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.7"}]}],
            "versions": ["3.6"],
        }
    ],
}


@contextmanager
def database(status: int, answer: dict[str, Any]) -> Iterator[str]:
    """An OSV database that gives this answer to every query."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        server.server_close()


def audit(lock: Path, url: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "release.audit", "--osv-url", url, str(lock)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)  # noqa: S603 - a command of the project


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    file = tmp_path / "requirements.lock"
    file.write_text(LOCK)
    return file


def test_a_known_vulnerability_is_named_with_the_version_that_repairs_it(lock: Path) -> None:
    with database(200, {"vulns": [VULNERABILITY]}) as url:
        done = audit(lock, url)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == f"{lock}: idna 3.6 has CVE-2024-3651; repaired in 3.7\n"


def test_packages_without_a_known_vulnerability_are_good(lock: Path) -> None:
    with database(200, {}) as url:
        done = audit(lock, url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{lock}: 1 packages, no known vulnerability\n"


@pytest.mark.parametrize("status", [None, 503])
def test_a_database_that_gives_no_answer_proves_nothing(lock: Path, status: int | None) -> None:
    with database(status or 200, {}) as url:
        if status is not None:
            done = audit(lock, url)
    if status is None:  # nothing listens there any more
        done = audit(lock, url)
    assert (done.returncode, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{lock}: NOT audited, {url} gave no answer: ")
