"""The commands of the documents run in order in a folder like a checkout, beside a real relay with real CRMs.

Blocks of docs/es are the same as the English ones, as tests/docs/test_translations.py requires, so a Spanish
page is run only where its commands differ. tests/docs/test_examples.py parses the commands of all pages.
"""

import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.fakes.cloudtalk_history import FakeHistory, threaded_history
from tests.support.debian import require_program
from tests.support.documents import ROOT, blocks
from tests.support.forked import run_forked
from tests.support.history_calls import past_calls
from tests.support.patience import PATIENCE
from tests.support.receiver import SECRET, Receiver
from tests.support.relay import WEBHOOK_PATH, RelayProcess, eventually, running_relay
from tests.support.servers import free_port
from tests.support.supabase import Supabase

NOT_RUN: Final = {
    "make demo": "runs `relay demo`, which tests/cli/test_demo.py runs",
    "make run": "runs `relay serve`, as each test here does",
    "make docs": "tests/website builds the site",
    "make check": "the checks of a developer",
    "make test": "the tests themselves",
    "make bench": "takes minutes; tests/bench runs its parts",
    "make capacity": "needs the figures of a benchmark; tests/bench runs it",
    "make profile": "needs py-spy",
    "make chaos": "takes minutes; tests/chaos runs its parts",
    "make mutants": "takes an hour; tests/mutants runs its parts",
    "make format": "changes the source code",
    "apt-get": "changes the machine",
    "python3 -m venv": "tests/test_package.py installs the wheel into an environment",
    "/opt/cloudtalk-relay": "tests/test_package.py installs the wheel into an environment",
    "useradd": "changes the machine",
    "install": "changes the machine",
    "runuser": "needs the user of the service; tests/cli/init and test_check_send.py run the same commands",
    "cp deploy/": "changes the machine; tests/deploy checks these files",
    "systemctl": "needs systemd as the first process; tests/deploy checks the units",
    "export": "is for the command after it",
    "cd deploy/docker": "is for the commands after it",
    "docker": "the machines of the tests have no Docker; tests/deploy checks these files",
    "kubectl": "needs a cluster; tests/deploy checks the file with the schemas",
    "tailscale": "needs an account, and opens the machine to the internet",
    "cloudflared": "needs an account, and opens the machine to the internet",
    "gh attestation": "needs a published release",
    "git checkout": "needs a published release; tests/release builds the packages twice",
    "pip install . pytest": "tests/plugins installs and runs this package",
    "pytest test_acme_crm.py": "tests/plugins installs and runs this package",
}
"""Beginnings of commands that no test can run here, with the reason."""

ADDED: Final = {
    "relay forget": ("--yes", "without a terminal the command needs it"),
    "relay init": ("--client local --yes", "without a terminal the command asks nothing"),
}
"""What a command gets in addition, because a test has no terminal."""

MAY_BE_NEGATIVE: Final = {
    "relay check": "the installation has a dead letter and warns of it",
    "relay audit": "the installation has a dead letter",
    "relay quarantine retry": "the bodies stay unreadable",
    "relay forget": "the webhook receiver refuses one record, which the receipt names",
}
"""Commands that may end with 1, a negative result."""

LAST: Final = "docs/privacy.md"
"""The page whose commands erase what other pages show."""

PROGRAM: Final = ".venv/bin/relay"
SPANISH_README: Final = "docs/es/README.md"

INDEPENDENT_BLOCKS: Final = {"docs/operations.md"}
"""Pages whose blocks do not need those before them."""

CALLS: Final = ("abc123", "def456", "7", "1002402487")
BAD_BODIES: Final = 7
NEWEST: Final = datetime.now(UTC) - timedelta(days=1)
RECENT: Final = [(NEWEST + timedelta(days=days)).date().isoformat() for days in (-2, 2)]

TOKEN: Final = "0123456789abcdef0123456789abcdef"
SETTINGS: Final = f"""
[server]
port = 0
[cloudtalk]
tokens = ["{TOKEN}"]
[cloudtalk.api]
key_id = "id"
key_secret = "key-of-the-api"
base_url = "{{history}}/api"
analytics_url = "{{history}}/analytics"
[destinations.crm]
client = "local"
path = "var/crm.db"
[destinations.crm2]
client = "local"
path = "var/crm2.db"
[destinations.hook]
client = "webhook"
url = "{{receiver}}"
secret = "{SECRET}"
allow_private = true
"""


class Installation:
    """A folder like a checkout, with `secrets`, `settings.toml` and the program `.venv/bin/relay`.

    The pages share it, as those of one reader.
    """

    def __init__(self, folder: Path, process: RelayProcess) -> None:
        self.folder = folder
        self.process = process
        program = folder / ".venv/bin/relay"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m relay "$@"\n')
        program.chmod(0o755)
        (folder / "secrets").mkdir()
        (folder / "backup").mkdir()

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run one command of a page as a reader would paste it. One of the relay needs no shell."""
        line = command.replace("http://127.0.0.1:8080", self.process.url)
        line = line.replace("https://relay.example.com", self.process.url)
        line = line.replace("/backup/", f"{self.folder}/backup/")
        if is_of(
            command, ("relay backfill", "relay audit")
        ):  # two years take minutes: 20 requests in a minute
            line = line.replace("2024-11-01", RECENT[0]).replace("2024-12-01", RECENT[1])
        for beginning, (options, _) in ADDED.items():
            if is_of(command, beginning) and options not in line:
                line += f" {options}"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RELAY_")}
        if " init " in command:
            environment["RELAY_INIT_PORT"] = str(free_port())
        if line.startswith(PROGRAM):
            return run_forked(
                shlex.split(line)[1:],
                self.folder,
                environment | {"PYTHONPATH": str(ROOT)},
                seconds=4 * PATIENCE,
            )
        return subprocess.run(  # noqa: S603 - of the documents
            ["/bin/bash", "-c", line],
            cwd=self.folder,
            env=environment | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=4 * PATIENCE,
            check=False,
        )

    def serve(self, command: str) -> int:
        """Run a command that serves until it is ready, and end it. Returns the exit code."""
        environment = os.environ | {"PYTHONPATH": str(ROOT), "RELAY__LOG__FORMAT": "json"}
        with subprocess.Popen(  # noqa: S603 - of the documents
            ["/bin/bash", "-c", f"exec {command}"],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout
            assert any("server.ready" in line for line in process.stdout)
            process.send_signal(signal.SIGTERM)
            process.stdout.read()
            return process.wait(PATIENCE)

    def settle(self) -> None:
        """Wait until every event is folded and every delivery has been tried."""
        eventually(
            lambda: self._count("events", "new") + self._count("deliveries", "pending"), lambda n: n == 0
        )

    def _count(self, table: str, state: str) -> int:
        with closing(sqlite3.connect(f"file:{self.folder}/var/relay.db?mode=ro", uri=True)) as connection:
            sql = f"SELECT count(*) FROM {table} WHERE state = ?"  # noqa: S608 - tables of the ledger
            count: int = connection.execute(sql, [state]).fetchone()[0]
            return count


def is_of(command: str, beginning: str | tuple[str, ...]) -> bool:
    return command.removeprefix(PROGRAM.removesuffix("relay")).startswith(beginning)


def commands_of(document: str) -> list[str]:
    """Return the commands in the shell blocks of a document, one text for each, as a reader pastes them."""
    return [command for commands in commands_by_block(document) for command in commands]


def commands_by_block(document: str) -> Iterator[list[str]]:
    for block in blocks("sh", "bash", "console", of=document):
        found = []
        lines = block.text.splitlines()
        if block.language == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        pending = ""
        for line in lines:
            pending += re.sub(r"(^|\s+)# .*$", "", line) + "\n"
            if not line.endswith("\\") and pending.count("'") % 2 == 0:
                found.append(pending.strip())
                pending = ""
        assert not pending
        yield [command for command in found if command]


def pages() -> list[str]:
    """List the documents with commands; a Spanish one if its commands differ from the English one."""
    names = ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md"))]
    found = []
    for name in names:
        english = name.replace("docs/es/README.md", "README.md").replace("docs/es/", "docs/")
        commands = commands_of(name)
        if commands and (name == english or not set(commands) <= set(commands_of(english))):
            found.append(name)
    return sorted(found, key=lambda name: name == LAST)


def reason_not_to_run(command: str) -> str | None:
    return next((reason for beginning, reason in NOT_RUN.items() if command.startswith(beginning)), None)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A relay with a call that a CRM refused, calls of each id in the pages, and bodies in quarantine."""
    folder = tmp_path_factory.mktemp("reader") / "checkout"
    folder.mkdir()
    history = FakeHistory(call.row() for call in past_calls(20, NEWEST, seconds_apart=600, people=5))
    receiver = Receiver()
    receiver.rejected.add("cloudtalk-7")
    with threaded_history(history):
        settings = SETTINGS.format(history=history.url, receiver=receiver.settings()["url"])
        with running_relay(folder, settings) as process:
            found = Installation(folder, process)
            send_calls(process)
            found.settle()
            yield found
    receiver.close()


def send_calls(process: RelayProcess) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    data = {"direction": "inbound", "from": "+34612345678", "to": "+34910000000", "contact_name": "Ana"}
    times = {"started_at": f"{NEWEST:%Y-%m-%dT%H:%M:%SZ}", "ended_at": f"{NEWEST:%Y-%m-%dT%H:%M:%SZ}"}
    for id_ in CALLS:
        body: dict[str, Any] = {
            "event": "call.ended",
            "data": data | times | {"id": id_, "status": "completed"},
        }
        assert process.post(body, headers=headers).status_code == 200
    for number in range(BAD_BODIES):
        content = f"{{not JSON, number {number}"
        httpx.post(process.url + WEBHOOK_PATH, content=content, headers=headers, trust_env=False)


def walks() -> list[Any]:
    """List what one reader runs: the commands of a page, or of one block where blocks are independent."""
    found = []
    for page in pages():
        parts = [*commands_by_block(page)] if page in INDEPENDENT_BLOCKS else [commands_of(page)]
        for number, part in enumerate(parts):
            if commands := [command for command in part if reason_not_to_run(command) is None]:
                found.append(pytest.param(commands, id=f"{page}-{number}"))
    return found


@pytest.mark.parametrize("commands", walks())
def test_the_commands_of_a_page_succeed(commands: list[str], installation: Installation) -> None:
    for program in ("curl", "openssl", "sqlite3"):
        require_program(program, package=program)
    for written in commands:
        command = written.replace("YOUR_TOKEN", TOKEN).replace("SU_TOKEN", TOKEN)
        if command.startswith("curl") and "uthorization" not in command:
            command += f" -H 'Authorization: Bearer {TOKEN}'"
        if command.endswith(" serve"):
            assert installation.serve(command) == 0, command
            continue
        if is_of(command, "relay ledger restore"):
            installation.process.stop()
        result = installation.run(command)
        allowed = {0} | {1 for beginning in MAY_BE_NEGATIVE if is_of(command, beginning)}
        assert result.returncode in allowed, f"{command}\n{result.stdout}\n{result.stderr}"
        assert "Traceback" not in result.stderr, result.stderr
        if is_of(command, "relay ledger restore"):
            installation.process.start()
        if "pause" not in command:
            installation.settle()


def test_what_is_not_run_is_in_a_page() -> None:
    commands = [command for page in pages() for command in commands_of(page)]
    unused = {text for text in NOT_RUN if not any(command.startswith(text) for command in commands)}
    assert not unused
    assert sum(reason_not_to_run(command) is None for command in commands) > 40


# --- Supabase, as the README says ------------------------------------------------------------------


def supabase_settings(document: str) -> str:
    [found] = [block.text for block in blocks("toml", of=document) if "[destinations.supabase]" in block.text]
    return found


def supabase_commands(document: str) -> tuple[str, str]:
    """Return the command that creates the secret file, and the one that sends a call."""
    [create] = [command for command in commands_of(document) if "supabase-key" in command]
    [curl] = [command for command in commands_of(document) if command.startswith("curl")]
    return create, curl


def readmes() -> list[str]:
    """List the pages that the next test follows: the Spanish one if what it uses of them differs."""
    is_same = supabase_settings(SPANISH_README) == supabase_settings("README.md")
    is_same &= supabase_commands(SPANISH_README) == supabase_commands("README.md")
    return ["README.md"] if is_same else ["README.md", SPANISH_README]


@pytest.mark.parametrize("document", readmes())
def test_a_reader_of_the_readme_has_a_call_in_supabase(
    document: str, tmp_path: Path, supabase: Supabase
) -> None:
    """The settings, the secret file, the printed SQL, the check and the call, all as the page has them."""
    folder = tmp_path / "checkout"
    (folder / "secrets").mkdir(parents=True)
    settings = supabase_settings(document).replace("https://YOUR-PROJECT.supabase.co", supabase.url)
    (folder / "settings.local.toml").write_text(settings)
    supabase.execute("drop table calls")
    process = RelayProcess(folder, (ROOT / "settings.toml").read_text(), 1, RELAY__SERVER__PORT="0")
    create, curl = supabase_commands(document)
    subprocess.run(["/bin/bash", "-c", create], cwd=folder, check=True)  # noqa: S603 - of the document
    (folder / "secrets/supabase-key").write_text(supabase.key)
    assert process.command("check").returncode == 1
    supabase.execute(process.command("setup", "supabase", "--print").stdout)
    supabase.wait_for("calls")
    checked = process.command("check")
    assert checked.returncode == 0, checked.stdout
    process.start()
    try:
        sent = curl.replace("http://127.0.0.1:8080", process.url)
        subprocess.run(["/bin/bash", "-c", sent], cwd=folder, check=True, capture_output=True)  # noqa: S603 - the same
        [row] = eventually(supabase.rows, lambda rows: len(rows) == 1)
        assert (row["id"], row["status"]) == ("cloudtalk-abc123", "Completada")
    finally:
        process.stop()
    shutil.rmtree(folder)
