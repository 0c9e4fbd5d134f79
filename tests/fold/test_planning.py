"""The plan of the fold: whose an event is, what it makes of its call, and what breaks nothing."""

from typing import Any

from relay.call import DELIVERED_FIELDS, CallEvent, Kind, Status
from relay.fold import Snapshot, plan_changes
from relay.ledger.calls import CallRow
from relay.ledger.journal import Unfolded

T0 = 1_732_789_800_000_000


def said(kind: Kind, name: str = "1", occurred_at: int | None = T0, **facts: Any) -> CallEvent:
    return CallEvent(
        kind, "mission", name, (f"other:{name}",), occurred_at, facts, {"id": name}, single_id=True
    )


def unfolded(*readings: CallEvent, first: int = 1) -> list[Unfolded]:
    return [Unfolded(seq, T0 + seq, reading) for seq, reading in enumerate(readings, first)]


def test_events_of_a_call_make_one_record_in_one_version() -> None:
    found = plan_changes(unfolded(said(Kind.STARTED), said(Kind.ENDED, status="missed")), Snapshot({}, {}))
    (row,) = found.new
    assert (row.id, row.version, row.record.status) == ("cloudtalk-1", 1, Status.MISSED)
    assert [(alias.alias, alias.call) for alias in found.aliases] == [("other:1", "cloudtalk-1")]
    assert found.folded == [(1, "cloudtalk-1"), (2, "cloudtalk-1")]
    assert found.updated == [row.record]


def known_after(*readings: CallEvent) -> CallRow:
    (row,) = plan_changes(unfolded(*readings), Snapshot({}, {})).new
    return row


def test_an_event_that_changes_nothing_makes_no_version_and_no_mark() -> None:
    row = known_after(said(Kind.STARTED, contact_name="Ana"))
    again = unfolded(said(Kind.STARTED, contact_name="Ana"), first=1)
    found = plan_changes(again, Snapshot({"other:1": row.id}, {row.id: row}))
    assert (found.new, found.known, found.updated) == ([], [], [])
    assert found.folded == [(1, row.id)]


def test_what_only_the_join_needs_to_know_makes_no_version() -> None:
    row = known_after(said(Kind.STARTED, contact_name="Ana"))
    again = unfolded(said(Kind.STARTED, contact_name="Ana"), first=2)
    found = plan_changes(again, Snapshot({"other:1": row.id}, {row.id: row}))
    (newer,) = found.known
    assert newer.version == row.version
    assert newer.state != row.state
    assert found.updated == []


def test_each_field_knows_the_version_in_which_it_changed_last() -> None:
    row = known_after(said(Kind.STARTED, contact_name="A"))
    owners = {"other:1": row.id}
    for version, name in ((2, "B"), (3, "A")):
        events = unfolded(said(Kind.STARTED, occurred_at=T0 + version, contact_name=name), first=version)
        (row,) = plan_changes(events, Snapshot(owners, {row.id: row})).known
    assert row.version == 3
    assert row.changed == {"contact_name": 3}
    assert set(row.changed) <= set(DELIVERED_FIELDS)


def test_an_event_that_breaks_the_fold_is_set_aside_and_the_rest_goes_on() -> None:
    bad = said(Kind.STARTED, "2", started_at="no instant")
    found = plan_changes(unfolded(said(Kind.STARTED), bad, said(Kind.ENDED)), Snapshot({}, {}))
    assert [seq for seq, _ in found.failed] == [2]
    assert [seq for seq, _ in found.folded] == [1, 3]
    assert [row.id for row in found.new] == ["cloudtalk-1"]


def test_an_alias_that_is_known_decides_whose_an_event_is() -> None:
    event = CallEvent(Kind.STARTED, "workflow", "ABC", ("uuid:abc",), T0, {}, {})
    (row,) = plan_changes(unfolded(event), Snapshot({}, {})).new
    again = CallEvent(Kind.ENDED, "workflow", "abc", ("uuid:abc",), T0, {}, {})
    found = plan_changes(unfolded(again, first=2), Snapshot({"uuid:abc": row.id}, {row.id: row}))
    assert found.folded == [(2, "cloudtalk-ABC")]
    assert found.new == []
