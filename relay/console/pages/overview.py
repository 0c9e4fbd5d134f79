"""The overview: what needs a person, what arrives, and what each CRM gets."""

from collections.abc import Iterator

import msgspec
from starlette.responses import Response

from relay.console.chart import draw_chart
from relay.console.visit import Visit
from relay.instants import iso
from relay.ledger.connection import Connection
from relay.operations.activity import Activity, get_activity
from relay.operations.status import DestinationState, Status, get_status
from relay.operations.unanswered import UnansweredCalls, get_unanswered

_WAITING: frozenset[DestinationState] = frozenset(
    {DestinationState.WAITING, DestinationState.PAUSED, DestinationState.DISABLED, DestinationState.ORPHANED}
)


class Attention(msgspec.Struct, frozen=True):
    """Something that needs a person. `page`: where they see it; empty if no page shows it. `part`: the id of
    an element of that page.
    """

    text: str
    page: str = ""
    part: str = ""
    is_urgent: bool = False


async def show(visit: Visit) -> Response:
    """Show the overview."""
    situation = visit.situation
    now = situation.now
    totals = await visit.console.totals.get()

    def read(connection: Connection) -> tuple[Status, Activity, UnansweredCalls]:
        unanswered = get_unanswered(connection, now, situation.office_hours)
        status = get_status(connection, situation, totals, unanswered.numbers)
        return status, get_activity(connection, now, visit.zone), unanswered

    status, activity, unanswered = await visit.console.ledger.view(read)
    return visit.render(
        "overview.html",
        status=status,
        attention=list(_attention(visit, status)),
        last_event_at=iso(activity.last_event_at),
        activity=activity,
        unanswered=unanswered,
        chart=draw_chart(activity.hours, visit.formats),
    )


def _attention(visit: Visit, status: Status) -> Iterator[Attention]:
    texts, number = visit.texts.overview, visit.formats.number
    if not visit.console.settings.destinations:
        yield Attention(texts.no_destination, is_urgent=True)
    for each in status.destinations:
        # The sentence of a destination that waits also says what to do about it.
        if each.state in _WAITING and (each.pending or each.state is not DestinationState.ORPHANED):
            yield Attention(
                each.explanation,
                "set-up",
                f"crm-{each.name}",
                is_urgent=each.state is DestinationState.WAITING,
            )
        if each.dead:
            text = texts.dead_one if each.dead == 1 else texts.dead_many
            yield Attention(
                text.format(destination=each.name, number=number(each.dead)), "dead-letters", is_urgent=True
            )
    for refused in status.refused:
        text = f"{visit.translate(refused.problem)}; {visit.translate(refused.hint)}"
        yield Attention(text[:1].upper() + text[1:], "set-up", "cloudtalk", is_urgent=refused.is_recent)
    yield from _attention_to_events(visit, status)
    if failing := status.history.failing:
        text = texts.history_failing.format(time=failing.since, reason=failing.message)
        yield Attention(text, is_urgent=True)
    if status.audit is not None and not status.audit.good:
        yield Attention(visit.texts.audit.attention.format(summary=status.audit.summary), "audit")
    if status.retention_refused:
        yield Attention(texts.retention.format(reason=status.retention_refused))
    for paused in status.enrichment.paused:
        text = texts.analytics_paused if paused.api == "analytics" else texts.ai_paused
        yield Attention(text.format(reason=paused.problem), is_urgent=True)


def _attention_to_events(visit: Visit, status: Status) -> Iterator[Attention]:
    texts, number, events = visit.texts.overview, visit.formats.number, status.events
    if events.quarantined:
        text = texts.quarantine_one if events.quarantined == 1 else texts.quarantine_many
        yield Attention(text.format(number=number(events.quarantined)), "quarantine")
    if events.aside:
        text = texts.aside_one if events.aside == 1 else texts.aside_many
        yield Attention(text.format(number=number(events.aside)), "quarantine", is_urgent=True)
    if events.unclear:
        yield Attention(texts.unclear.format(number=number(events.unclear)), "set-up", "try")
