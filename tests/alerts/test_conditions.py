"""What is the case."""

import msgspec
import pytest

from crm_clients.local import LocalSettings
from relay.alerts.conditions import (
    Condition,
    Kind,
    of_audit,
    of_destinations,
    of_disk,
    of_events,
    of_history,
    of_ledger,
)
from relay.audit.report import CrmSide, Result, encode
from relay.instants import SECOND, Instant
from relay.ledger.audits import AuditRow
from relay.ledger.backlog import Backlog, DestinationBacklog
from relay.ledger.deliveries import DeliveryCounts
from relay.ledger.destinations import DestinationRow
from relay.operations.explanation import Situation
from relay.operations.history_status import FailingSearch
from tests.support.operations import NOW

SITUATION = Situation(
    {
        name: LocalSettings(client="local", path="x.db", enabled=name != "off")
        for name in ("crm", "far", "off")
    },
    NOW,
)
GIB = 1024**3


def destination(name: str, reason: str | None = None, *, dead: int = 0) -> DestinationBacklog:
    row = DestinationRow(name, "local", None, reason, None, None, "401", "bad key" if reason else None)
    return DestinationBacklog(row, DeliveryCounts(3, 0, dead, Instant(NOW - SECOND)))


def conditions(*destinations: DestinationBacklog) -> dict[tuple[str, str], Condition]:
    backlog = Backlog(list(destinations), unfolded=0, set_aside=0, quarantined=0, last_event_at=None)
    return {(each.kind.value, each.subject): each for each in of_destinations(backlog, SITUATION)}


def test_a_destination_is_paused_or_not_and_the_sentence_says_why() -> None:
    found = conditions(destination("crm", "unauthorised"))
    paused = found["destination_paused", "crm"]
    assert (paused.is_bad, paused.patience) == (True, 0)
    assert "crm refuses the credentials" in paused.text.en
    assert not conditions(destination("crm"))["destination_paused", "crm"].is_bad


@pytest.mark.parametrize(
    ("reason", "seconds"), [("failing", 30), ("throttled", 30), ("misconfigured", 0), ("paused", 0)]
)
def test_a_pause_that_often_ends_by_itself_is_given_time(reason: str, seconds: int) -> None:
    assert conditions(destination("crm", reason))["destination_paused", "crm"].patience == seconds * SECOND


def test_dead_letters_are_counted_also_while_the_destination_is_paused() -> None:
    found = conditions(destination("crm", "unauthorised", dead=4))["dead_letters", "crm"]
    assert (found.is_bad, found.count) == (True, 4)
    assert "4" in found.text.en
    assert conditions(destination("crm"))["dead_letters", "crm"].count == 0


def test_only_destinations_that_the_settings_enable_have_conditions() -> None:
    found = conditions(destination("off", "unauthorised"), destination("orphan", "unauthorised"))
    assert found == {}


def test_no_destination_delivers_if_each_of_several_is_paused() -> None:
    both = conditions(destination("crm", "failing"), destination("far", "paused"), destination("off"))
    assert both["nothing_delivered", "destinations"].is_bad
    assert "crm, far" in both["nothing_delivered", "destinations"].text.en
    one = conditions(destination("crm", "failing"), destination("far"))
    assert not one["nothing_delivered", "destinations"].is_bad
    assert ("nothing_delivered", "destinations") not in conditions(destination("crm", "failing"))


@pytest.mark.parametrize(
    ("free", "total", "is_bad"),
    [
        (1 * GIB, 10 * GIB, False),
        (GIB // 2 - 1, 10 * GIB, True),
        (3 * GIB, 1000 * GIB, False),
        (2 * GIB - 1, 1000 * GIB, True),
    ],
)
def test_a_disk_is_nearly_full_below_five_percent_but_not_above_two_gibibytes(
    free: int, total: int, is_bad: bool
) -> None:
    assert of_disk("host", free=free, total=total).is_bad is is_bad


def test_the_ledger_and_cloudtalk_have_a_sentence_in_both_languages() -> None:
    broken = of_ledger("host-1", "the disk is full {0}")
    assert broken.is_bad
    assert "the disk is full {0}" in broken.text.es
    assert not of_ledger("host-1", None).is_bad
    silent = of_events(is_unusual=True, at="2026-03-27 09:30", usual=6, url="https://relay.example.com")
    assert (silent.kind, silent.is_bad) == (Kind.NO_EVENTS, True)
    assert "2026-03-27 09:30" in silent.text.en
    assert "https://relay.example.com" in silent.text.es


def test_searches_of_the_history_that_fail_are_bad_at_once_only_if_the_key_is_refused() -> None:
    failing = FailingSearch("2026-03-27 09:30", "unauthorised", "CloudTalk answered 401")
    refused = of_history(failing)
    assert (refused.kind, refused.is_bad, refused.patience) == (Kind.HISTORY, True, 0)
    for text in (refused.text.en, refused.text.es):
        assert "2026-03-27 09:30" in text
        assert "CloudTalk answered 401" in text
    away = of_history(msgspec.structs.replace(failing, code="unavailable"))
    assert (away.is_bad, away.patience) == (True, 1_800 * SECOND)
    assert not of_history(None).is_bad


def test_an_audit_is_a_report_with_its_numbers() -> None:
    side = CrmSide(calls=3, records=4, right=2, doubled=1)
    result = Result(NOW, NOW, calls=3, crms={"crm": side})
    row = AuditRow(7, NOW, NOW, "nightly audit", encode(result).decode())
    bad = of_audit(row)
    assert (bad.kind, bad.is_bad, bad.report) == (Kind.AUDIT, True, 7)
    assert bad.text.en == "to look at: 1 (the ledger: 3, crm: 4)"
    assert bad.details is not None
    assert bad.details["crms"]["crm"]["doubled"] == 1
    good = msgspec.structs.replace(row, result=encode(Result(NOW, NOW, calls=3)).decode())
    assert not of_audit(good).is_bad
