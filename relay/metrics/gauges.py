"""The gauges of the ledger, read at a scrape, and the facts of the program."""

import platform
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from relay import __version__
from relay.delivery.pauses import PauseReason
from relay.instants import SECOND, Instant
from relay.ledger import HEAD, Ledger, LedgerError
from relay.ledger.backlog import Backlog, DestinationBacklog, read_backlog
from relay.ledger.destinations import BY_OPERATOR
from relay.ledger.warnings import PAUSED_APIS
from relay.logs import get_logger
from relay.measurements.catalogue import LAST_EVENT
from relay.measurements.instruments import Definition, Kind, Labels
from relay.operations.unanswered import FollowUps, count_follow_ups
from relay.standards.office_hours import ALWAYS_OPEN, OfficeHours
from relay.standards.shared_result import SharedResult

log = get_logger("relay.metrics")

_INTERVAL_SECONDS: Final = 1.0
_TIMEOUT_SECONDS: Final = 2.0

_REASONS: Final = (*PauseReason, BY_OPERATOR)


def _gauge(name: str, meaning: str, *labels: str) -> Definition:
    return Definition(name, Kind.GAUGE, meaning, labels)


PENDING: Final = _gauge(
    "relay_deliveries_pending", "Deliveries that wait for their push or for a retry.", "destination"
)
OLDEST_PENDING: Final = _gauge(
    "relay_oldest_pending_seconds",
    "Seconds for which the oldest pending delivery has been pending; 0 if none is.",
    "destination",
)
DEAD: Final = _gauge("relay_deliveries_dead", "Dead letters: deliveries that need a person.", "destination")
PAUSED: Final = _gauge(
    "relay_destination_paused",
    "1 for the reason for which the destination is paused, 0 for each other reason. `paused`: by a person.",
    "destination",
    "reason",
)
UNFOLDED: Final = _gauge(
    "relay_events_unfolded", "Stored events that are not folded yet, with those that wait for their call."
)
SET_ASIDE: Final = _gauge("relay_events_set_aside", "Events on which the fold failed.")
QUARANTINED: Final = _gauge("relay_quarantined_bodies", "Bodies in quarantine.")
RECORDINGS_PENDING: Final = _gauge(
    "relay_recordings_pending", "Recordings that are to be archived, with those that wait for a retry."
)
OLDEST_RECORDING: Final = _gauge(
    "relay_oldest_pending_recording_seconds",
    "Seconds for which the oldest recording has been waiting for the archive; 0 if none is.",
)
ENRICHMENTS_PENDING: Final = _gauge(
    "relay_enrichments_pending", "Questions about single calls that CloudTalk has not answered yet."
)
ENRICHMENT_PAUSED: Final = _gauge(
    "relay_enrichment_paused",
    "1 if CloudTalk's API (`analytics` or `ai`) is not asked for a while: it refused or did not answer.",
    "api",
)
UNANSWERED: Final = _gauge(
    "relay_unanswered_customers",
    "Customers who were missed in the last seven days, and whom nobody has talked to since.",
)
LONGEST_WAIT: Final = _gauge(
    "relay_longest_unanswered_seconds",
    "How long the customer has waited who waits longest, in office hours; absent if nobody waits.",
)
CALL_BACK: Final = _gauge(
    "relay_call_back_seconds",
    "Median time, in office hours, from a missed call of the last seven days to the conversation after it; "
    "absent without one.",
)
LEDGER_UP: Final = _gauge(
    "relay_ledger_up", "1 if the ledger answered this scrape, else 0 and its gauges are absent."
)
LEDGER_BYTES: Final = _gauge("relay_ledger_bytes", "Size of an SQLite ledger with its WAL.")
DISK_FREE: Final = _gauge(
    "relay_ledger_disk_free_bytes", "Free space on the disk of an SQLite ledger, for the relay's user."
)
CACHE_BYTES: Final = _gauge(
    "relay_recordings_cache_bytes", "Size of the recordings in the cache, which all processes share."
)
BUILD: Final = _gauge("relay_build_info", "1, with the versions as labels.", "version", "schema", "python")

GAUGES: Final = (
    *(PENDING, OLDEST_PENDING, DEAD, PAUSED, UNFOLDED, SET_ASIDE, QUARANTINED),
    *(RECORDINGS_PENDING, OLDEST_RECORDING, ENRICHMENTS_PENDING, ENRICHMENT_PAUSED),
    *(UNANSWERED, LONGEST_WAIT, CALL_BACK),
    *(LEDGER_UP, LEDGER_BYTES, DISK_FREE, CACHE_BYTES, BUILD),
)


class GaugeValue(msgspec.Struct, frozen=True):
    """The value of one series of a gauge."""

    definition: Definition
    value: float
    labels: Labels = ()


class LedgerReader:
    """Reads the gauges of a ledger. All scrapes within a second share one read.

    A ledger that does not answer within `timeout_seconds` is down. `measure_cache`: returns the bytes of the
    recordings' cache; raises `OSError`. `hours`: waits for a call back are counted in them.
    """

    def __init__(
        self,
        ledger: Ledger,
        measure_cache: Callable[[], int] | None = None,
        *,
        hours: OfficeHours = ALWAYS_OPEN,
        timeout_seconds: float = _TIMEOUT_SECONDS,
    ) -> None:
        self._ledger = ledger
        self._measure_cache = measure_cache
        # The thread that reads also asks for the files: on a disk that hangs this takes as long.
        self._found = SharedResult(
            lambda: ledger.read(
                lambda connection: (
                    read_backlog(connection),
                    count_follow_ups(connection, ledger.now(), hours),
                    self._measure_files(),
                )
            ),
            interval_seconds=_INTERVAL_SECONDS,
            timeout_seconds=timeout_seconds,
        )

    async def read(self) -> list[GaugeValue]:
        """Return the gauges. A ledger that does not answer has `relay_ledger_up` 0 and no others."""
        try:
            backlog, follow_ups, of_files = await self._found.get()
        except (LedgerError, TimeoutError) as error:
            log.warning("metrics.ledger_unavailable", error=str(error) or "no answer")
            return [_build_info(), GaugeValue(LEDGER_UP, 0)]
        values = list_gauges(backlog, self._ledger.now()) + _of_follow_ups(follow_ups)
        return [_build_info(), GaugeValue(LEDGER_UP, 1), *values, *of_files]

    def _measure_files(self) -> list[GaugeValue]:
        return [*_measure_ledger(self._ledger.path), *_measure_cache(self._measure_cache)]


def list_gauges(backlog: Backlog, now: Instant) -> list[GaugeValue]:
    """Return the gauges of a backlog."""
    values = [
        GaugeValue(UNFOLDED, backlog.unfolded),
        GaugeValue(SET_ASIDE, backlog.set_aside),
        GaugeValue(QUARANTINED, backlog.quarantined),
        GaugeValue(RECORDINGS_PENDING, backlog.recordings_pending),
        GaugeValue(OLDEST_RECORDING, _age(backlog.oldest_recording_since, now)),
        GaugeValue(ENRICHMENTS_PENDING, backlog.enrichments_pending),
        *(GaugeValue(ENRICHMENT_PAUSED, api in backlog.paused_apis, (api,)) for api in PAUSED_APIS),
        *(value for each in backlog.destinations for value in _of_destination(each, now)),
    ]
    if backlog.last_event_at is not None:
        values.append(GaugeValue(LAST_EVENT.definition, backlog.last_event_at / SECOND))
    return values


def _of_follow_ups(follow_ups: FollowUps) -> list[GaugeValue]:
    optional = ((LONGEST_WAIT, follow_ups.longest_seconds), (CALL_BACK, follow_ups.median_seconds))
    return [
        GaugeValue(UNANSWERED, follow_ups.customers),
        *(GaugeValue(gauge, seconds) for gauge, seconds in optional if seconds is not None),
    ]


def _age(since: Instant | None, now: Instant) -> float:
    """The seconds since then. A clock that was set back must not give a negative age."""
    return 0 if since is None else max(now - since, 0) / SECOND


def _of_destination(backlog: DestinationBacklog, now: Instant) -> Iterator[GaugeValue]:
    name, counts = backlog.row.name, backlog.counts
    yield GaugeValue(PENDING, counts.pending, (name,))
    yield GaugeValue(OLDEST_PENDING, _age(counts.oldest_pending_since, now), (name,))
    yield GaugeValue(DEAD, counts.dead, (name,))
    reason = backlog.row.paused_reason
    for each in dict.fromkeys((*_REASONS, *([reason] if reason else []))):
        yield GaugeValue(PAUSED, each == reason, (name, each))


def _build_info() -> GaugeValue:
    return GaugeValue(BUILD, 1, (__version__, HEAD, platform.python_version()))


def _measure_cache(measure: Callable[[], int] | None) -> list[GaugeValue]:
    if measure is None:
        return []
    try:
        return [GaugeValue(CACHE_BYTES, measure())]
    except OSError:  # the gauge is absent; the log says why when a recording is played
        return []


def _measure_ledger(path: str | None) -> list[GaugeValue]:
    if path is None:
        return []
    files = [Path(path + suffix) for suffix in ("", "-wal")]
    size = sum(file.stat().st_size for file in files if file.exists())
    return [
        GaugeValue(LEDGER_BYTES, size),
        GaugeValue(DISK_FREE, shutil.disk_usage(files[0].parent).free),
    ]
