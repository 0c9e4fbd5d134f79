"""Every code block in the documents is run: settings are loaded, commands are parsed, requests are sent."""

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import click
import pytest

from crm_clients.supabase import SupabaseClient, SupabaseSettings
from crm_clients.supabase.settings import KV_TABLE
from crm_clients.supabase.sql import kv_sql
from relay.cli.main import cli
from relay.settings import Settings, load, review
from tests.support.clients import make_context
from tests.support.documents import DOCUMENTS, ROOT, Block, blocks, prose
from tests.support.in_process import in_process_relay, settings_in
from tests.support.postgres import Databases

SECRETS: Final = {
    "tokens": "0123456789abcdef0123456789abcdef",
    "key": "sb_secret_0123456789",
    "token": "pat-eu1-0123456789",
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "url": "postgresql://relay:secret@db.example.com/relay",
    "key_secret": "0123456789abcdef",
    "signing_keys": "key-of-the-links-0123456789",
    "keep_key": "key-of-the-archive-0123456789",
    "secret_access_key": "0123456789abcdef",
}
"""What each `…_file` of an example contains, by its key."""

CLIENTS: Final[dict[str, dict[str, str]]] = {
    "hubspot": {"client": "hubspot", "token": SECRETS["token"]},
    "hook": {"client": "webhook", "url": "https://example.com/calls", "secret": SECRETS["secret"]},
}
"""The rest of a destination of which an example shows only a part."""

FILE_PROGRAMS: Final = {"echo", "openssl", "touch"}
"""Programs whose examples create a file: a test runs them."""

SERVER_PROGRAMS: Final = {"apt-get", "cd", "cp", "docker", "install", "kubectl", "python3", "runuser"} | {
    "systemctl",
    "useradd",
    "tailscale",
    "cloudflared",
}
"""Programs in docs/hosting.md. Tests of `deploy/` check the files that they use."""

INSTALLED: Final = "/opt/cloudtalk-relay/bin/relay"
"""The program as docs/hosting.md installs it."""

PROGRAMS: Final = (
    {"chmod", "curl", "export", "gh", "git", "kill", "python", "pip", "sha256sum", "sqlite3"}
    | FILE_PROGRAMS
    | SERVER_PROGRAMS
)
"""Other programs in the examples; a reader has them, or installs them as the text says."""

PLUG_IN: Final = "docs/write-a-client.md"
"""Its blocks are one package, which tests/plugins installs and runs."""


def here(*languages: str) -> list[Any]:
    found = [block for block in blocks(*languages) if not block.location.startswith(PLUG_IN)]
    assert found
    return [pytest.param(block, id=block.location) for block in found]


# --- settings -------------------------------------------------------------------------------------


def with_secret_files(table: dict[str, Any], folder: Path) -> None:
    """Create the files that the example names, in folders that the repository has."""
    for key, file in secret_files_of(table):
        (folder / file.parent).mkdir(exist_ok=(ROOT / file.parent).is_dir())
        (folder / file).write_text(SECRETS[key.removesuffix("_file")])


def secret_files_of(table: dict[str, Any]) -> Iterator[tuple[str, Path]]:
    """Yield each `…_file` key in a table, at any depth, with its value."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from secret_files_of(value)
        elif key.endswith("_file"):
            yield key, Path(value)


@pytest.mark.parametrize("block", here("toml"))
def test_settings_in_the_documents_are_valid(block: Block, tmp_path: Path) -> None:
    table = tomllib.loads(block.text)
    with_secret_files(table, tmp_path)
    (tmp_path / "settings.toml").write_text(block.text)
    assert isinstance(load(tmp_path / "settings.toml", missing_keys(table)), Settings)


def missing_keys(table: dict[str, Any]) -> dict[str, str]:
    """Return environment variables that complete the destinations of which an example shows only a part."""
    return {
        f"RELAY__DESTINATIONS__{name.upper()}__{key.upper()}": value
        for name, destination in table.get("destinations", {}).items()
        if "client" not in destination
        for key, value in CLIENTS[name].items()
    }


def creating_commands(document: str) -> list[str]:
    """Return the lines in the shell blocks of a document that create files."""
    lines = [line for block in blocks("sh", of=document) for line in block.text.splitlines()]
    return [line for line in lines if line.split(" ")[0] in FILE_PROGRAMS]


@pytest.mark.parametrize("document", ["README.md", "docs/supabase.md", "docs/hubspot.md", "docs/webhook.md"])
def test_secret_files_in_the_documents_are_created_as_shown(document: str, tmp_path: Path) -> None:
    """A reader who copies the commands has every file that the settings name, and `check` warns of none."""
    (tmp_path / "secrets").mkdir()
    script = "\n".join(["set -e", "umask 022", *creating_commands(document)])
    subprocess.run(["/bin/bash", "-c", script], cwd=tmp_path, check=True, timeout=20)  # noqa: S603 - of the documents
    (tmp_path / "settings.toml").touch()
    for block in blocks("toml", of=document):
        table = tomllib.loads(block.text)
        for key, name in secret_files_of(table):
            file = tmp_path / name
            if not file.read_text():  # the reader pastes the vendor's key into it
                file.write_text(SECRETS[key.removesuffix("_file")])
        (tmp_path / "settings.local.toml").write_text(block.text)
        found = {finding.code for finding in review(load(tmp_path / "settings.toml", missing_keys(table)))}
        assert found <= {"no_destination"}
    assert not [file for file in (tmp_path / "secrets").iterdir() if file.stat().st_mode & 0o077]


# --- commands -------------------------------------------------------------------------------------


def commands(block: Block) -> list[list[str]]:
    """Split a shell block into commands, without prompts, comments and output."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    found: list[list[str]] = []
    pending = ""
    for line in lines:
        pending += line + "\n"
        try:
            words = shlex.split(pending, comments=True)
        except ValueError:  # a quoted text that goes on in the next line
            continue
        pending = ""
        found += [
            list(part)
            for is_operator, part in groupby(words, {"|", "&&", ";"}.__contains__)
            if not is_operator
        ]
    assert not pending
    return found


def parse_relay(arguments: list[str]) -> None:
    """Parse the command line of `relay` without running it. Raises `click.UsageError`."""
    context = cli.make_context("relay", list(arguments))
    command: click.Command = cli
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        assert name is not None
        context = found.make_context(name, list(rest), parent=context)
        command = found


def check_command(words: list[str]) -> None:
    """Fail unless the program, its command and its options exist."""
    if words[0] == "runuser":
        words = words[words.index("--") + 1 :]
    program = Path(words[0]).name
    if program == "relay":
        assert words[0] in {".venv/bin/relay", INSTALLED}, "make does not put `relay` on the PATH"
        parse_relay(words[1:])
    elif program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert words[1] in targets
    else:
        assert program in PROGRAMS
        if program == "docker" and "relay" in words:  # the service of the compose file, and its command
            parse_relay(words[words.index("relay") + 1 :])
        for name in words[1:]:
            if name.startswith("deploy/"):
                assert list(ROOT.glob(name)), f"{name}: there is no such file"


@pytest.mark.parametrize("block", here("sh", "bash", "console"))
def test_commands_in_the_documents_exist(block: Block) -> None:
    for words in commands(block):
        check_command(words)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_in_numbered_steps_have_the_path_of_the_program(document: Path) -> None:
    steps = re.findall(r"^ *\d+\. .*(?:\n +\S.*)*", prose(document), re.MULTILINE)
    assert not [step for step in steps if "`relay " in step]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_in_the_text_exist(document: Path) -> None:
    context = click.Context(cli)
    for mention in re.findall(r"`(?:\.venv/bin/)?relay ([a-z][^`]*)`", prose(document)):
        for name in mention.split()[0].split("|"):
            command = cli.get_command(context, name)
            assert command is not None, f"`relay {mention}`: there is no such command"
            check_options(command, mention)


def check_options(command: click.Command, mention: str) -> None:
    """Fail unless each option and subcommand in this inline mention exists."""
    words = re.findall(r"(?<!\S)--?[a-z][a-z-]*", mention)
    if isinstance(command, click.Group):
        subcommands = mention.split()[1:2]
        for name in (n for word in subcommands for n in re.split(r"\\?\|", word)):
            found = command.get_command(click.Context(command), name)
            assert found is not None, f"`relay {mention}`: there is no such subcommand"
            check_options(found, mention.partition(name)[2] if words else "")
        return
    known = {option for parameter in command.params for option in parameter.opts}
    assert set(words) <= known | {"--help"}, f"`relay {mention}`: unknown option"


# --- data -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", here("json"))
def test_json_in_the_documents_is_valid(block: Block) -> None:
    for document in re.split(r"\n(?=\{)", block.text.strip()):
        assert json.loads(document)


async def test_the_first_call_of_the_readme_is_answered_as_shown(tmp_path: Path) -> None:
    curl = next(
        words
        for block in blocks("sh")
        if block.location.startswith("README.md")
        for words in commands(block)
        if words[0] == "curl"
    )
    body, header = curl[curl.index("-d") + 1], curl[curl.index("-H") + 1].split(": ")
    shown = next(block for block in blocks("json") if block.location.startswith("README.md"))
    async with in_process_relay(settings_in(tmp_path)) as (_, client):
        answer = await client.post(curl[1], content=body, headers=dict([header]))
    assert answer.status_code == 200
    assert answer.json() == json.loads(shown.text)


@pytest.mark.parametrize("block", here("sql"))
def test_sql_in_the_documents_runs(block: Block, databases: Databases) -> None:
    """The database has the role and the tables of a Supabase project."""
    databases.execute("CREATE ROLE service_role")
    databases.execute(kv_sql(KV_TABLE, "public"))
    project = {"client": "supabase", "url": "https://x.supabase.co", "key": "sb_secret_of_the_tests"}
    client = SupabaseClient("crm", SupabaseSettings.model_validate(project), make_context())
    databases.execute(client.setup_text())
    try:
        for statement in block.text.strip().split(";\n"):
            databases.execute(statement.strip().removesuffix(";"))
    finally:
        databases.execute("DROP DATABASE IF EXISTS relay")
        databases.execute("DROP ROLE IF EXISTS relay")
        databases.execute(f"DROP TABLE IF EXISTS {KV_TABLE}, kv_before_the_relay, calls CASCADE")
        databases.execute("DROP OWNED BY service_role")
        databases.execute("DROP ROLE service_role")


def test_every_language_of_a_block_is_tested() -> None:
    # An HTTP message and a drawing are compared with nothing; they need no language of their own.
    tested = {"toml", "sh", "bash", "console", "json", "sql", "python", "http", ""}
    opened = [line.strip().removeprefix("```") for file in DOCUMENTS for line in fences(file)]
    assert set(opened) <= tested


def fences(file: Path) -> list[str]:
    return re.findall(r"^ *```\w*$", file.read_text(), re.MULTILINE)
