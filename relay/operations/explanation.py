"""One sentence that explains a delivery or a destination: why the call is not in the CRM yet, until when, and
what to do. Pure.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, time, tzinfo
from zoneinfo import ZoneInfo

import msgspec

from crm_clients.base import Rejected, Throttled
from crm_clients.settings import DestinationSettings
from relay.call import Call, RecordingLinks
from relay.delivery.choose_action import is_wanted, may_have_record
from relay.delivery.completeness import NEVER_ENDED_HOURS, ONGOING
from relay.delivery.pauses import PauseReason
from relay.instants import SECOND, Duration, Instant, duration, iso, local_iso
from relay.ledger.deliveries import DeliveryCounts, DeliveryRow
from relay.ledger.destinations import BY_OPERATOR, DestinationRow
from relay.ledger.states import DeliveryState
from relay.operations import explanation_texts as texts
from relay.operations.explanation_texts import Cause
from relay.operations.languages import Language, Text
from relay.operations.translation import translate
from relay.settings import Settings
from relay.standards.office_hours import ALWAYS_OPEN, OfficeHours

_MAX_ANSWER = 200
"""Characters of a CRM's message that a sentence quotes."""

_REMOVED = {DeliveryState.FILTERED, DeliveryState.RETRACTED}


class Situation(msgspec.Struct, frozen=True):
    """The settings and the time that a view depends on.

    `zone`: in which it shows times; None: UTC that ends in Z, for programs. `day_zone`: of the days that it
    counts by. `language`: of the views that have only one. `recording_links` and `office_hours`: those of the
    settings. `reconcile_period`: how often the reconciler searches CloudTalk's history; None if it does not.
    """

    destinations: Mapping[str, DestinationSettings]
    now: Instant
    forward_internal: bool = False
    zone: tzinfo | None = None
    day_zone: tzinfo = UTC
    language: Language = Language.EN
    recording_links: RecordingLinks | None = None
    reconcile_period: Duration | None = None
    office_hours: OfficeHours = ALWAYS_OPEN

    @property
    def midnight(self) -> Instant:
        """When the present day began."""
        day = datetime.fromtimestamp(self.now // SECOND, self.day_zone).date()
        return Instant(int(datetime.combine(day, time(), self.day_zone).timestamp()) * SECOND)

    def time(self, instant: Instant | None) -> str | None:
        """Return a time as it is shown; None if there is none."""
        return iso(instant) if instant is None or self.zone is None else local_iso(instant, self.zone)

    def show_time(self, instant: Instant | None) -> str:
        """Return a time as a sentence shows it; no text if there is none."""
        return self.time(instant) or ""


def situation_of(
    settings: Settings, now: Instant, *, for_people: bool = False, language: Language = Language.EN
) -> Situation:
    """Return the situation at `now`. `for_people`: whether times are shown in the zone of the settings."""
    zone = ZoneInfo(settings.cloudtalk.timezone)
    return Situation(
        settings.destinations,
        now,
        settings.cloudtalk.forward_internal,
        zone if for_people else None,
        zone,
        language,
        settings.recording_links,
        _reconcile_period(settings),
        settings.office_hours,
    )


def _reconcile_period(settings: Settings) -> Duration | None:
    """The condition under which the relay runs the reconciler."""
    minutes = settings.reconcile.every_minutes
    return duration(minutes * 60) if minutes and settings.cloudtalk.api.access() is not None else None


class Explanation(msgspec.Struct, frozen=True):
    """A sentence in each language, and a code that does not change with its words."""

    code: Cause
    text: Text


def explain_delivery(
    delivery: DeliveryRow, record: Call, destination: DestinationRow, situation: Situation, *, is_served: bool
) -> Explanation:
    """Explain why the call is in this CRM, or is not. `record`: its newest version. `is_served`: whether a
    relay delivers to the destination.
    """
    settings = situation.destinations.get(delivery.destination)
    cause, again = (
        _why_pending(delivery, record, destination, settings, situation, is_served=is_served)
        if delivery.state is DeliveryState.PENDING
        else (_why_settled(delivery, record, settings, situation), None)
    )
    return Explanation(
        cause,
        texts.DELIVERY[cause].fill(
            head=_head(delivery, record, situation),
            destination=delivery.destination,
            call=delivery.call,
            version=delivery.version,
            survivor=record.merged_into,
            attempts=delivery.attempts,
            at=situation.show_time(delivery.attempted_at),
            answer=_answer_to(delivery, destination, cause),
            condition=_condition(record, settings),
            has=delivery.delivered_version,
            missing=_missing(delivery, record, situation),
            again=again,
        ),
    )


def explain_destination(
    destination: DestinationRow, counts: DeliveryCounts, situation: Situation, *, is_served: bool
) -> Explanation:
    """Explain what a destination does at present, with these numbers of deliveries."""
    settings = situation.destinations.get(destination.name)
    cause = _why_nothing_is_sent(destination, settings) or _why_idle(
        counts, situation.now, is_served=is_served
    )
    return Explanation(
        cause,
        texts.DESTINATION[cause].fill(
            head=texts.NOTHING_SENT.fill(destination=destination.name, pending=counts.pending),
            destination=destination.name,
            pending=counts.pending,
            answer=_answer(destination.paused_code, destination.paused_message),
            again=_again(destination.paused_until, situation, is_served=is_served),
            dead=counts.dead,
            delivered=counts.delivered,
        ),
    )


def _why_idle(counts: DeliveryCounts, now: Instant, *, is_served: bool) -> Cause:
    if not is_served:
        return Cause.NO_RELAY
    if counts.dead:
        return Cause.DEAD_LETTERS
    if counts.pending:
        since = counts.oldest_pending_since
        all_wait = counts.pending == counts.held and since is not None and since > now
        return Cause.INCOMPLETE if all_wait else Cause.BEING_DELIVERED
    return Cause.UP_TO_DATE if counts.delivered else Cause.NOTHING_YET


# --- causes ---------------------------------------------------------------------------------------


def _why_pending(
    delivery: DeliveryRow,
    record: Call,
    destination: DestinationRow,
    settings: DestinationSettings | None,
    situation: Situation,
    *,
    is_served: bool,
) -> tuple[Cause, Text]:
    """Return the cause, and when the relay tries again."""
    paused = _again(destination.paused_until, situation, is_served=is_served)
    if (cause := _why_nothing_is_sent(destination, settings)) is not None:
        return cause, paused
    again = _again(delivery.due_at, situation, is_served=is_served)
    if not may_have_record(delivery) and (unwanted := _why_unwanted(record, settings, situation)):
        return unwanted, again
    if not is_served:
        return Cause.NO_RELAY, texts.NO_RELAY
    if delivery.is_held and delivery.due_at > situation.now:
        return Cause.INCOMPLETE, again
    if delivery.due_at <= situation.now or not delivery.outcome:
        return Cause.BEING_DELIVERED, again
    is_throttled = delivery.outcome == Throttled.name
    return Cause.RATE_LIMITED if is_throttled else Cause.RETRY_SCHEDULED, again


def _why_nothing_is_sent(destination: DestinationRow, settings: DestinationSettings | None) -> Cause | None:
    if settings is None:
        return Cause.ORPHANED
    if not settings.enabled:
        return Cause.DISABLED
    match destination.paused_reason:
        case None:
            return None
        case reason if reason == BY_OPERATOR:
            return Cause.PAUSED
        case reason:
            return Cause(PauseReason(reason).value)


def _why_unwanted(record: Call, settings: DestinationSettings | None, situation: Situation) -> Cause | None:
    if record.merged_into:
        return Cause.MERGED
    if not is_wanted(record, forward_internal=situation.forward_internal):
        return Cause.INTERNAL
    if settings is not None and not settings.when.matches(record):
        return Cause.FILTERED
    return None


def _why_settled(
    delivery: DeliveryRow, record: Call, settings: DestinationSettings | None, situation: Situation
) -> Cause:
    match delivery.state:
        case DeliveryState.DELIVERED:
            return _why_delivered(delivery)
        case DeliveryState.DEAD:
            return Cause.REJECTED if delivery.outcome == Rejected.name else Cause.GAVE_UP
        case DeliveryState.DROPPED:
            return Cause.DROPPED
        case DeliveryState.RETRACTED:
            return Cause.MERGED if record.merged_into else Cause.RETRACTED
        case _:
            return _why_unwanted(record, settings, situation) or Cause.FILTER_CHANGED


def _why_delivered(delivery: DeliveryRow) -> Cause:
    if delivery.code:
        return Cause.DELIVERED_PARTLY
    return Cause.NOT_UPDATED if delivery.delivered_version < delivery.version else Cause.DELIVERED


# --- parts of sentences ---------------------------------------------------------------------------


def _head(delivery: DeliveryRow, record: Call, situation: Situation) -> Text:
    return _head_text(delivery, record, situation).fill(
        destination=delivery.destination, has=delivery.delivered_version, version=delivery.version
    )


def _head_text(delivery: DeliveryRow, record: Call, situation: Situation) -> Text:
    is_pending = delivery.state is DeliveryState.PENDING
    if may_have_record(delivery) and delivery.state not in _REMOVED:
        if not is_wanted(record, forward_internal=situation.forward_internal):
            return texts.STILL
        if is_pending and delivery.delivered_version == delivery.version:
            return texts.AGAIN
    if delivery.delivered_version:
        return texts.OLDER
    # The filter may include a call in progress once it is over.
    may_change = is_pending or (delivery.state is DeliveryState.FILTERED and record.status in ONGOING)
    return texts.NOT_YET if may_change else texts.NOT


def _again(due_at: Instant | None, situation: Situation, *, is_served: bool) -> Text:
    if not is_served:
        return texts.NO_RELAY
    if due_at is None or due_at <= situation.now:
        return texts.TRIED_NOW
    return texts.TRIED_AT.fill(until=situation.show_time(due_at))


def _answer_to(delivery: DeliveryRow, destination: DestinationRow, cause: Cause) -> Text:
    """Return the CRM's words: to the probe while the destination pauses, else to this call."""
    if cause in texts.WAITS:
        return _answer(destination.paused_code, destination.paused_message)
    return _answer(delivery.code, delivery.message or delivery.outcome)


def _answer(code: str | None, message: str | None) -> Text:
    words = translate(" ".join(": ".join(filter(None, (code, message))).split()))
    # CRMs write English: quotation marks show where the words of a CRM begin in a Spanish sentence.
    return Text(_shorten(words.en), f"«{_shorten(words.es)}»") if words.en else texts.NO_DETAILS


def _shorten(words: str) -> str:
    """Return the words for the middle of a sentence."""
    words = words.removesuffix(".")
    return words if len(words) <= _MAX_ANSWER else f"{words[: _MAX_ANSWER - 1]}…"


def _missing(delivery: DeliveryRow, record: Call, situation: Situation) -> Text:
    """Return what a call that is held waits for."""
    if record.status in ONGOING:
        return texts.NOT_OVER.fill(hours=NEVER_ENDED_HOURS)
    return texts.NOT_QUIET.fill(until=situation.show_time(delivery.due_at))


def _condition(record: Call, settings: DestinationSettings | None) -> Text | None:
    """Return the first condition of the filter that the call does not match."""
    name = None if settings is None else settings.when.first_mismatch(record)
    if settings is None or name is None:
        return None
    values = {
        "directions": record.direction,
        "statuses": record.status,
        "own_numbers": record.internal_number,
        "minimum_seconds": record.duration_seconds,
    }
    allowed = getattr(settings.when, name)
    return texts.CONDITIONS[name].fill(
        value=texts.UNKNOWN_VALUE if values[name] is None else values[name],
        allowed=", ".join(allowed) if isinstance(allowed, tuple) else allowed,
    )
