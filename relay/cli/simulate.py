"""`relay simulate`: send the events of simulated calls to a relay."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import click
import httpx
from pydantic import SecretStr

from relay.cli.main import Context
from relay.cli.output import echo, json_option, print_json, print_table
from relay.cli.progress import progress_bar
from relay.settings import CloudTalk, Settings
from relay.settings.models import local_url
from relay.simulator import DIALECTS, Report, simulate
from relay.standards.webhooks import decode_secret

_COLUMNS: Final = (
    "id",
    "direction",
    "status",
    "external_number",
    "contact_name",
    "duration_seconds",
    "follow_up",
)


def _check_url(url: str) -> None:
    """Raises `ValueError`. Without this check every request to an invalid URL would count as unanswered."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{url!r} is not a URL: {error}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ValueError(f"expected a URL such as http://127.0.0.1:8080, not {url!r}")


def _validate(check: Callable[[str], object]) -> Callable[..., str | None]:
    """Make an option's callback of a function that raises `ValueError` for an invalid value."""

    def callback(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
        try:
            if value is not None:
                check(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error
        return value

    return callback


@click.command("simulate")
@click.option(
    "--url",
    callback=_validate(_check_url),
    help="URL of the relay or of its webhook. Default: as in the settings.",
)
@click.option("--token", help="Token for the webhook. Default without --url: the first one of the settings.")
@click.option(
    "--signing-secret",
    callback=_validate(decode_secret),
    help="Secret for signed webhooks (whsec_…). Default without --url: the first one of the settings.",
)
@click.option("--calls", default=10, show_default=True, type=click.IntRange(1), help="Number of calls.")
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    help="Events per second. Default: as fast as possible.",
)
@click.option(
    "--dialect",
    default="mission",
    show_default=True,
    type=click.Choice(DIALECTS),
    help="The format of the events; mixed: several formats in one call.",
)
@click.option("--chaos", is_flag=True, help="Shuffle the events and send some twice.")
@click.option("--seed", type=int, help="The same seed gives the same calls. Default: random.")
@json_option
@click.pass_obj
def command(
    context: Context,
    url: str | None,
    token: str | None,
    signing_secret: str | None,
    calls: int,
    rate: float | None,
    dialect: str,
    seed: int | None,
    *,
    chaos: bool,
    as_json: bool,
) -> None:
    """Send the events of simulated calls to a relay.

    Acts like CloudTalk over HTTP with made-up calls, and prints the record that each call must have in the
    CRM. The events of minutes are sent at once, in the order of real calls.

    Exit code 1 unless every request was answered with 2xx.
    """
    if url is not None and httpx.URL(url).path == "/":
        url = url.rstrip("/") + CloudTalk().webhook_path
    if url is None:
        settings = context.settings()
        url, token = webhook_url(settings), token or _first(settings.cloudtalk.tokens)
        signing_secret = signing_secret or _first(settings.cloudtalk.signing_secrets)
    with progress_bar("events") as on_progress:
        report = asyncio.run(
            simulate(
                url,
                token=token,
                signing_secret=signing_secret,
                calls=calls,
                rate=rate,
                dialect=dialect,
                chaos=chaos,
                seed=seed,
                on_progress=on_progress,
            )
        )
    if as_json:
        print_json(report)
    else:
        _print(report, url)
    sys.exit(0 if report.acknowledged == report.sent else 1)


def webhook_url(settings: Settings) -> str:
    """Return the URL at which this machine reaches the webhook of these settings."""
    server = settings.server
    if not server.port:
        raise click.UsageError(
            "server.port is 0, so the relay uses any free port; give its URL with --url (the log event"
            " server.ready contains it)"
        )
    return local_url(server.host, server.port) + settings.cloudtalk.webhook_path


def _first(secrets: Sequence[SecretStr]) -> str | None:
    return secrets[0].get_secret_value() if secrets else None


def _print(report: Report, url: str) -> None:
    print_table(_COLUMNS, map(_row, report.expected), crop="contact_name")
    echo(
        f"\n{report.sent} events of {len(report.expected)} calls sent to {url} in {report.seconds:.1f} s,"
        f" {report.acknowledged} acknowledged (seed {report.seed})"
    )
    if report.p50_ms is not None:
        echo(f"response time: {report.p50_ms} ms (median), {report.p95_ms} ms (95th percentile)")
    for status, count in report.refused.items():
        echo(f"{count} events were refused with status {status}", err=True)
    if report.unanswered:
        echo(f"{report.unanswered} events had no response: check that a relay listens at this URL", err=True)


def _row(call: dict[str, Any]) -> list[Any]:
    """With chaos a record may have no predictable id; CloudTalk's uuid is shown instead."""
    return [call.get("id", call.get("call_uuid")), *(call.get(column) for column in _COLUMNS[1:])]
