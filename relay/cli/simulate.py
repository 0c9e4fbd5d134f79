"""`relay simulate`: a simulated CloudTalk calls a relay."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click
import httpx
from pydantic import SecretStr

from relay.cli.main import Context
from relay.cli.output import as_json, print_json, print_table
from relay.cli.progress import progress_bar
from relay.settings import CloudTalk, Settings
from relay.settings.models import local_url
from relay.simulator import DIALECTS, Report, simulate
from relay.standards.webhooks import decode_secret

_COLUMNS = ("id", "direction", "status", "external_number", "contact_name", "duration_seconds", "follow_up")


def _address(url: str) -> None:
    """Refuse what no request can be sent to: else every one of them would be counted as unanswered."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{url!r} is no URL: {error}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ValueError(f"{url!r} does not begin like http://127.0.0.1:8080")


def _if_it_is(reading: Callable[[str], object]) -> Callable[..., str | None]:
    """An option's value where it can be read; else the command ends with 2 and says why."""

    def checked(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
        try:
            if value is not None:
                reading(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error
        return value

    return checked


@click.command("simulate")
@click.option("--url", callback=_if_it_is(_address), help="The relay or its hook; else that of the settings.")
@click.option("--token", help="What opens the hook; without --url the first token of the settings.")
@click.option(
    "--signing-secret",
    callback=_if_it_is(decode_secret),
    help="What signs native webhooks (whsec_…); without --url the first of the settings.",
)
@click.option("--calls", default=10, show_default=True, type=click.IntRange(1), help="How many calls.")
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), help="Events per second; else as fast as it goes."
)
@click.option(
    "--dialect",
    default="mission",
    show_default=True,
    type=click.Choice(DIALECTS),
    help="In which of CloudTalk's shapes events come; mixed: one call in several.",
)
@click.option("--chaos", is_flag=True, help="Events come doubled and in any order.")
@click.option("--seed", type=int, help="The same seed makes the same calls.")
@as_json
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
    wants_json: bool,
) -> None:
    """Call a relay as CloudTalk would.

    Sends the events of made-up calls over HTTP, and says what each call must end as in the CRM.

    Events come in the order that they have in real life, and their time is squeezed: what takes
    minutes there goes out at once. Ends with 1 unless every request was answered 2xx.
    """
    if url is not None and httpx.URL(url).path == "/":
        url = url.rstrip("/") + CloudTalk().webhook_path
    if url is None:
        settings = context.settings()
        url, token = hook_of(settings), token or _first(settings.cloudtalk.tokens)
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
    if wants_json:
        print_json(report)
    else:
        _print(report, url)
    sys.exit(0 if report.acknowledged == report.sent else 1)


def hook_of(settings: Settings) -> str:
    """Where the relay of these settings takes events, as this machine reaches it."""
    server = settings.server
    if not server.port:
        raise click.UsageError("server.port is 0, any free one: say which by --url (the relay logs its own)")
    return local_url(server.host, server.port) + settings.cloudtalk.webhook_path


def _first(listed: Sequence[SecretStr]) -> str | None:
    return listed[0].get_secret_value() if listed else None


def _print(report: Report, url: str) -> None:
    print_table(_COLUMNS, map(_line, report.expected))
    click.echo(
        f"\n{report.sent} events of {len(report.expected)} calls sent to {url} in {report.seconds:.1f} s,"
        f" {report.acknowledged} acknowledged (seed {report.seed})"
    )
    if report.p50_ms is not None:
        click.echo(f"an answer took {report.p50_ms} ms (median), {report.p95_ms} ms (95 %)")
    for status, count in report.refused.items():
        click.echo(f"{count} refused with {status}", err=True)
    if report.unanswered:
        click.echo(f"{report.unanswered} without an answer: does a relay listen there?", err=True)


def _line(call: dict[str, Any]) -> list[Any]:
    """Under chaos some records have no id that could be foretold: then CloudTalk's own stands for it."""
    return [call.get("id", call.get("call_uuid")), *(call.get(column) for column in _COLUMNS[1:])]
