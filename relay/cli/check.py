"""`relay check`: test whether calls could be delivered, and say how to fix what is wrong."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Final

import click

from relay.app import hide_secrets
from relay.cli.main import Context
from relay.cli.output import echo, json_option, print_json, print_table
from relay.cli.step_lines import RESULTS, show_steps
from relay.operations.check import Finding, is_good, run_checks
from relay.operations.languages import Language, Text
from relay.operations.test_call import CallTest, State
from relay.operations.translation import translate
from relay.settings import Settings

_HEADING: Final = (
    Text("", ""),
    Text("name", "nombre"),
    Text("code", "código"),
    Text("problem", "problema"),
)


@click.command("check")
@click.option(
    "--send",
    is_flag=True,
    help="Also post a test call through server.public_url, follow it into each CRM, and remove it again.",
)
@json_option
@click.pass_obj
def command(context: Context, *, send: bool, as_json: bool) -> None:
    """Test the settings, the ledger and every CRM.

    Without --send no call is written, and nothing is created. Exit code 1 if a test failed, or if a CRM is
    paused or has dead letters. Warnings about the settings do not change the exit code. The output says how
    to fix each.

    The test call of --send has no customer's number and the name TEST. A destination whose filter excludes
    it, or that is disabled, is a warning. If the command is killed before it has removed the call, the next
    `relay check --send` removes it.
    """
    settings = context.settings()
    hide_secrets(settings)
    findings = asyncio.run(run_checks(settings))
    if not as_json:
        print_findings(findings)
    if send:
        findings += _send(settings, is_shown=not as_json)
    if as_json:
        print_json(findings)
    sys.exit(0 if is_good(findings) else 1)


def _send(settings: Settings, *, is_shown: bool) -> list[Finding]:
    """Send the test call; return its steps as findings. Ctrl-C ends it, and it is removed first."""
    if is_shown:
        echo("\ntest call")
    with show_steps(is_shown=is_shown) as on_step:
        test = CallTest(settings, on_step=on_step)
        asyncio.run(test.run())
    return [step.to_finding() for step in test.steps]


def print_findings(findings: Sequence[Finding], language: Language = Language.EN) -> None:
    """Print a line for each finding, and below them how to fix what is wrong."""
    heading = (name.read(language) for name in _HEADING)
    print_table(tuple(heading), (_row(each, language) for each in findings), wrap=_HEADING[-1].read(language))
    for finding in findings:
        if finding.hint:
            echo(f"\n{finding.name}, {finding.code}: {translate(finding.hint).read(language)}")


def _row(finding: Finding, language: Language) -> tuple[str | None, ...]:
    state = State.FAILED if not finding.ok else State.WARNING if finding.problem else State.GOOD
    problem = translate(finding.problem).read(language) if finding.problem else None
    return RESULTS[state].read(language), finding.name, finding.code, problem
