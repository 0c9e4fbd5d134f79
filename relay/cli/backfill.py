"""`relay backfill`: import the calls of CloudTalk's history."""

import asyncio
import sys
from typing import Final
from zoneinfo import ZoneInfo

import click
import msgspec

from relay import logs
from relay.app import hide_secrets
from relay.cli.backfill_progress import BackfillProgress, show_backfill
from relay.cli.ledger_session import read_with_ledger, with_ledger
from relay.cli.main import BadSettings, Context
from relay.cli.option_values import parse_time
from relay.cli.output import echo, json_option, print_json
from relay.cloudtalk.api import ApiAccess
from relay.history.api import HistoryApi
from relay.history.backfill import Backfill
from relay.history.counts import Counts
from relay.history.errors import ApiFailure
from relay.history.folding import folding, wait_until_folded
from relay.ingest.parsers import build_parser
from relay.instants import SECOND, Instant, duration, iso
from relay.ledger import Ledger, relays
from relay.ledger.clocks import wall_clock
from relay.ledger.request_limit import SharedRequestLimit
from relay.settings import Settings

_NO_KEY: Final = (
    "the settings have no API key: write cloudtalk.api.key_id and key_secret (CloudTalk → Account → Settings "
    "→ API keys)"
)
_EARLIEST: Final = Instant(946_684_800 * SECOND)
"""2000-01-01: older than any call, and each month of a range costs a request."""

_DAY: Final = duration(86_400)
_CONTINUE: Final = "Run the same command again: it continues where it stopped."


class Result(msgspec.Struct, frozen=True):
    """What `--json` prints. `continued`: an interrupted import was continued, whose counts are included."""

    since: str | None
    until: str | None
    dry_run: bool
    continued: bool
    calls: int
    known: int
    new: int
    filled: int
    ambiguous: int
    asked: int
    postponed: int
    unreadable: int
    requests: int


@click.command("backfill")
@click.option("--since", metavar="TIME", required=True, help="Calls that started at or after this time.")
@click.option("--until", metavar="TIME", help="Calls that started before this time. Default: now.")
@click.option("--dry-run", is_flag=True, help="Only read and count: import nothing.")
@json_option
@click.pass_obj
def command(context: Context, since: str, until: str | None, *, dry_run: bool, as_json: bool) -> None:
    """Import the calls of CloudTalk's history.

    A call that the relay knows from CloudTalk's events stays one record, and gets what it lacks. Run it after
    the set-up for the calls of the past, and after a time without a relay. To run it again is safe.

    It needs an API key. Together with the relay it sends at most cloudtalk.api.requests_per_minute requests.
    After Ctrl-C or a crash the same command continues where it stopped.

    TIME is a date (its midnight) or ISO 8601. Without an offset it is in cloudtalk.timezone. A relay may
    serve meanwhile; without one this command updates the calls itself, and the next `relay serve` delivers
    them.
    """
    settings = context.settings()
    access = settings.cloudtalk.api.access()
    if access is None:
        raise BadSettings(_NO_KEY)
    zone = ZoneInfo(settings.cloudtalk.timezone)
    start, end = parse_time(since, zone, "since"), parse_time(until, zone, "until")
    assert start is not None  # noqa: S101 - the option is required
    now = wall_clock()
    if not _EARLIEST <= start < now:
        raise click.BadParameter("expected a time of the past, after the year 2000", param_hint="'--since'")
    if end is not None and end <= start:
        raise click.BadParameter("expected a time after --since", param_hint="'--until'")
    if end is not None and end > now + _DAY:
        end = None  # each month of the future would cost a request
    logs.configure("console", "warning", settings.log.personal_data, sys.stderr)
    hide_secrets(settings)
    _run(_Command(settings, access, start, end, dry_run=dry_run, as_json=as_json))


def _run(backfill: "_Command") -> None:
    open_ledger = read_with_ledger if backfill.is_dry else with_ledger
    try:
        open_ledger(backfill.settings, backfill.run)
    except ApiFailure as error:
        advice = "" if backfill.is_dry else f"\n{_CONTINUE}"
        raise click.ClickException(f"{error}{advice}") from error
    except (KeyboardInterrupt, asyncio.CancelledError):
        if not backfill.is_dry:
            echo(f"interrupted. {_CONTINUE}", err=True)
        raise


class _Command:
    """One run of the command."""

    def __init__(
        self,
        settings: Settings,
        access: ApiAccess,
        since: Instant,
        until: Instant | None,
        *,
        dry_run: bool,
        as_json: bool,
    ) -> None:
        self.settings = settings
        self.is_dry = dry_run
        self._access = access
        self._since = since
        self._until = until
        self._as_json = as_json

    async def run(self, ledger: Ledger) -> None:
        """Import, wait until all is folded, and print the result."""
        per_minute = self.settings.cloudtalk.api.requests_per_minute
        api = HistoryApi(self._access, SharedRequestLimit(ledger, per_minute=per_minute))
        parser = build_parser(self.settings.cloudtalk)
        backfill = Backfill(ledger, api, parser, self._since, self._until, is_dry=self.is_dry)
        try:
            with show_backfill(per_minute) as progress:
                api.on_wait = progress.on_wait
                if self.is_dry:
                    await self._read(backfill, progress)
                else:
                    async with folding(self.settings, ledger):
                        await self._read(backfill, progress)
                        await wait_until_folded(ledger, backfill.last_seq)
        finally:
            await api.aclose()
        await self._print(ledger, backfill)

    async def _read(self, backfill: Backfill, progress: BackfillProgress) -> None:
        await backfill.start()
        if backfill.is_continued:
            progress.say("continuing an import that was interrupted")
        progress.show(backfill.progress)
        await backfill.run(lambda: progress.show(backfill.progress))

    async def _print(self, ledger: Ledger, backfill: Backfill) -> None:
        counts = backfill.progress.counts
        if self._as_json:
            print_json(
                Result(
                    iso(backfill.range.since),
                    iso(backfill.range.until),
                    self.is_dry,
                    backfill.is_continued,
                    **msgspec.structs.asdict(counts),
                )
            )
            return
        for line in _describe(counts, is_dry=self.is_dry):
            echo(line)
        if not self.is_dry and self.settings.destinations and counts.new + counts.filled:
            runs = await ledger.read(lambda c: relays.list_running(c, now=ledger.now()))
            echo("the running relay delivers them" if runs else "the next `relay serve` delivers them")


def _describe(counts: Counts, *, is_dry: bool) -> list[str]:
    """Return for example "5000 calls at CloudTalk: 3000 were new, 2000 known, of which 1200 were filled"."""
    were = "would be" if is_dry else "were"
    known = f"{counts.known} are known, of which {counts.filled} {were} filled"
    lines = [f"{counts.calls} calls at CloudTalk: {counts.new} {were} new, {known}"]
    if counts.ambiguous:
        lines.append(
            f"{counts.ambiguous} fit several calls: the analytics API would be asked, one request for each"
        )
    if counts.postponed:
        lines.append(
            f"{counts.postponed} ended a short time ago and fit several calls; CloudTalk does not know yet "
            "which one. Run the command again in an hour"
        )
    if counts.unreadable:
        lines.append(f"{counts.unreadable} rows have no id and were left out; the log above says why")
    return lines
