"""What `relay init` does with new settings: check them, set up the CRM, send a test call."""

import asyncio
import os
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import httpx

from crm_clients.base import CrmClient, Finding
from crm_clients.state import InMemoryClientState
from crm_clients.supabase.location import sql_editor_url
from relay.cli.check import print_findings
from relay.cli.cloudtalk_setup import print_guide
from relay.cli.init import texts
from relay.cli.init.answers import Answers, Asker
from relay.cli.init.files import is_public
from relay.cli.output import echo
from relay.cli.program import show_path
from relay.cli.step_lines import show_steps
from relay.delivery.clients import build_clients
from relay.logs import remove_secrets
from relay.operations.check import is_good, run_checks
from relay.operations.setup_guide import build_guide
from relay.operations.test_call import CallTest
from relay.settings import Settings
from relay.settings.models import local_url
from relay.simulator.relay_process import RelayProcess, RelayProcessError

_UNUSABLE = frozenset({"unauthorised", "unreachable"})
"""Codes of findings that no set-up removes."""


class FirstSteps:
    """The steps for one installation."""

    def __init__(self, asker: Asker, answers: Answers, settings: Settings) -> None:
        self._asker = asker
        self._answers = answers
        self._settings = settings
        self._name = answers.crm.destination

    def check(self) -> bool:
        """Print the findings of `relay check`; return whether all is good."""
        return is_good(self._check())

    def _check(self) -> list[Finding]:
        self._asker.say(texts.CHECKING)
        findings = asyncio.run(run_checks(self._settings))
        print_findings(findings, self._answers.language)
        echo()
        return findings

    def check_and_set_up(self, *, sets_up: bool) -> bool:
        """Check, and offer to set up the CRM if it lacks something; return whether all is good."""
        findings = self._check()
        if is_good(findings) or not self._is_settable(findings):
            return is_good(findings)
        if not (sets_up and self._asker.confirm(texts.ASK_SETUP, name=self._name)):
            self._asker.say(texts.SETUP_LATER, name=self._name)
            return False
        return self._show_sql() if self._answers.crm.runs_sql else self._set_up()

    def _is_settable(self, findings: Sequence[Finding]) -> bool:
        codes = {each.code for each in findings if each.name == self._name and not each.ok}
        return bool(codes) and not codes & _UNUSABLE

    def _set_up(self) -> bool:
        try:
            for line in asyncio.run(_run_setup(self._client())):
                echo(line)
        except Exception as error:  # noqa: BLE001 - a client may raise anything
            self._asker.say(texts.SETUP_FAILED, name=self._name, reason=remove_secrets(str(error)))
            return False
        return self.check()

    def _show_sql(self) -> bool:
        """Write the SQL to a file, and repeat the check until a person has run it or gives up."""
        file = self._settings.folder / f"{self._name}.sql"
        try:
            file.write_text(self._client().setup_text(), encoding="utf-8")
        except OSError as error:
            self._asker.say(texts.SQL_NOT_WRITTEN, file=file, reason=error.strerror, name=self._name)
        else:
            self._say_how_to_run_sql(file)
        while self._asker.confirm(texts.ASK_SQL_DONE, default=self._asker.is_interactive):
            if self.check():
                return True
        self._asker.say(texts.SETUP_LATER, name=self._name)
        return False

    def _say_how_to_run_sql(self, file: Path) -> None:
        path = show_path(file)
        self._asker.say(texts.RUN_SQL, file=path)
        if (editor := sql_editor_url(self._answers.url or "")) is not None:
            echo(f"  {editor}")
        self._asker.say(texts.SQL_BY_PSQL)
        click.echo(f"  psql 'postgresql://…' -f {shlex.quote(path)}\n")

    def _client(self) -> CrmClient[Any]:
        return build_clients(self._settings, lambda _: InMemoryClientState())[self._name]

    def show_cloudtalk(self, *, shows_token: bool) -> None:
        """Print what to enter in CloudTalk, once CloudTalk can reach the relay."""
        if not is_public(self._answers):
            url = self._settings.server.public_url
            self._asker.say(texts.CLOUDTALK_LATER, url=url)
            return
        self._asker.say(texts.CLOUDTALK)
        language = self._answers.language
        print_guide(build_guide(self._settings, language.value, shows_token=shows_token), language.value)

    def send_test_call(self) -> bool:
        """Send a test call through the relay of this machine; return whether it arrived and was removed."""
        self._asker.say(texts.TEST_CALL)
        server = self._settings.server
        here = server.model_copy(update={"public_url": local_url(server.host, server.port)})
        settings = self._settings.model_copy(update={"server": here})
        try:
            with (
                self._some_relay(here.public_url),
                show_steps(is_shown=True, language=self._answers.language) as on_step,
            ):
                test = CallTest(settings, on_step=on_step)
                asyncio.run(test.run())
        except RelayProcessError as error:
            self._asker.say(texts.RELAY_FAILED)
            echo(str(error).partition("\n")[2])
            return False
        return test.is_good

    @contextmanager
    def _some_relay(self, url: str) -> Iterator[None]:
        """Use the relay that runs at this URL, or start one for the duration of the block."""
        if _answers_as_relay(url):
            yield
            return
        self._asker.say(texts.STARTING)
        with tempfile.TemporaryDirectory(prefix="relay-init-") as folder:
            file = self._settings.folder / "settings.toml"
            process = RelayProcess(file, Path(folder) / "relay.log", os.environ)
            with process.running():
                yield


async def _run_setup(client: CrmClient[Any]) -> list[str]:
    try:
        return await client.setup()
    finally:
        await client.aclose()


def _answers_as_relay(url: str) -> bool:
    try:
        response = httpx.get(f"{url}/healthz", timeout=5, trust_env=False)
        return "schema_version" in response.json()
    except (httpx.HTTPError, ValueError):
        return False
