"""`relay check`: test whether calls could be delivered, and say how to fix what is wrong."""

import asyncio
import sys

import click

from relay.app import hide_secrets
from relay.cli.main import Context
from relay.cli.output import echo, json_option, print_json, print_table
from relay.operations.check import Finding, is_good, run_checks


@click.command("check")
@json_option
@click.pass_obj
def command(context: Context, *, as_json: bool) -> None:
    """Test the settings, the ledger and every CRM.

    No call is written, and nothing is created. Exit code 1 if a test failed, or if a CRM is paused or has
    dead letters. Warnings about the settings do not change the exit code. The output says how to fix each.
    """
    settings = context.settings()
    hide_secrets(settings)
    findings = asyncio.run(run_checks(settings))
    if as_json:
        print_json(findings)
    else:
        print_findings(findings)
    sys.exit(0 if is_good(findings) else 1)


def print_findings(findings: list[Finding]) -> None:
    """Print a line for each finding, and below them how to fix what is wrong."""
    print_table(("", "name", "code", "problem"), map(_row, findings), wrap="problem")
    for finding in findings:
        if finding.hint:
            echo(f"\n{finding.name}, {finding.code}: {finding.hint}")


def _row(finding: Finding) -> tuple[str | None, ...]:
    result = "failed" if not finding.ok else "warning" if finding.problem else "ok"
    return result, finding.name, finding.code, finding.problem
