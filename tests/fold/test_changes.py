"""What a batch of events changes: records, versions, aliases."""

from typing import Any

import pytest

from relay.call import DELIVERED_FIELDS, CallEvent, Kind, Status
from relay.fold import Changes, Snapshot, plan_changes
from relay.instants import Instant
from relay.ledger.calls import CallRow
from relay.ledger.journal import UnfoldedEvent
from relay.ledger.tombstones import Tombstone
from tests.support.samples import T0, make_event

EMPTY = Snapshot({}, {})


def batch(*events: CallEvent, first: int = 1) -> list[UnfoldedEvent]:
    return [UnfoldedEvent(seq, Instant(T0 + seq), event) for seq, event in enumerate(events, first)]


def row_after(*events: CallEvent) -> CallRow:
    (row,) = plan_changes(batch(*events), EMPTY).new_rows
    return row


def plan_next(row: CallRow, event: CallEvent, *, seq: int) -> Changes:
    """Fold one more event into this call, which owns the alias `id:1`."""
    return plan_changes(batch(event, first=seq), Snapshot({"id:1": row.id}, {row.id: row}))


def test_the_events_of_a_call_make_one_record_in_one_version() -> None:
    changes = plan_changes(batch(make_event(Kind.STARTED), make_event(Kind.ENDED, status="missed")), EMPTY)
    (row,) = changes.new_rows
    assert (row.id, row.version, row.record.status) == ("cloudtalk-1", 1, Status.MISSED)
    assert [(alias.alias, alias.call) for alias in changes.aliases] == [("id:1", "cloudtalk-1")]
    assert changes.folded == [(1, "cloudtalk-1"), (2, "cloudtalk-1")]
    assert changes.updated == [row.record]


def test_an_event_that_changes_nothing_makes_no_version_and_no_delivery() -> None:
    row = row_after(make_event(Kind.STARTED, contact_name="Ana"))
    changes = plan_next(row, make_event(Kind.STARTED, contact_name="Ana"), seq=1)
    assert (changes.new_rows, changes.changed_rows, changes.updated) == ([], [], [])
    assert changes.folded == [(1, row.id)]


def test_a_change_of_the_join_state_alone_makes_no_version() -> None:
    row = row_after(make_event(Kind.STARTED, contact_name="Ana"))
    changes = plan_next(row, make_event(Kind.STARTED, contact_name="Ana"), seq=2)
    (changed,) = changes.changed_rows
    assert changed.version == row.version
    assert changed.state != row.state
    assert changes.updated == []


def test_each_field_has_the_version_in_which_it_changed_last() -> None:
    row = row_after(make_event(Kind.STARTED, contact_name="A"))
    for version, name in ((2, "B"), (3, "A")):
        later = make_event(Kind.STARTED, occurred_at=T0 + version, contact_name=name)
        (row,) = plan_next(row, later, seq=version).changed_rows
    assert row.version == 3
    assert row.field_versions == {"contact_name": 3}
    assert set(row.field_versions) <= set(DELIVERED_FIELDS)


def test_an_event_that_breaks_the_fold_fails_alone() -> None:
    broken = make_event(Kind.STARTED, name="2", started_at="no instant")
    changes = plan_changes(batch(make_event(Kind.STARTED), broken, make_event(Kind.ENDED)), EMPTY)
    assert [seq for seq, _ in changes.failed] == [2]
    assert [seq for seq, _ in changes.folded] == [1, 3]
    assert [row.id for row in changes.new_rows] == ["cloudtalk-1"]


def test_a_known_alias_decides_the_call_of_an_event() -> None:
    first = CallEvent(Kind.STARTED, "workflow", "ABC", ("uuid:abc",), T0, {}, {})
    row = row_after(first)
    second = CallEvent(Kind.ENDED, "workflow", "abc", ("uuid:abc",), T0, {}, {})
    snapshot = Snapshot({"uuid:abc": row.id}, {row.id: row})
    changes = plan_changes(batch(second, first=2), snapshot)
    assert changes.folded == [(2, "cloudtalk-ABC")]
    assert changes.new_rows == []


# --- linking by number and time after the wait ------------------------------------------------------

PARTIES: dict[str, Any] = {
    "from": "+34600111222",
    "to": "+34910000001",
    "direction": "inbound",
    "started_at": T0,
}


def waited(seq: int, **changes: Any) -> UnfoldedEvent:
    """An event without an id of a known call, whose wait for one is over."""
    event = CallEvent(Kind.ENDED, "workflow", "x", ("other:x",), T0, PARTIES | changes, {})
    return UnfoldedEvent(seq, Instant(T0 + seq), event, waited=True)


def test_an_event_that_waited_belongs_to_the_call_with_its_number() -> None:
    row = row_after(make_event(Kind.STARTED, **PARTIES))
    other = row_after(make_event(Kind.STARTED, name="2", **PARTIES | {"from": "+34600111333"}))
    snapshot = Snapshot({"id:1": row.id, "id:2": other.id}, {row.id: row, other.id: other})
    for event, call in (
        (waited(9), "cloudtalk-1"),
        (waited(9, **{"from": "+34600111333"}), "cloudtalk-2"),
        (waited(9, **{"from": "+34600111444"}), "cloudtalk-x"),
        (waited(9, **{"from": None}), "cloudtalk-x"),
    ):
        assert plan_changes([event], snapshot).folded == [(9, call)]


def test_an_event_that_waited_belongs_to_the_call_that_the_same_batch_begins_or_completes() -> None:
    started = make_event(Kind.STARTED, **PARTIES)
    assert plan_changes([*batch(started), waited(9)], EMPTY).folded[1:] == [(9, "cloudtalk-1")]
    row = row_after(make_event(Kind.STARTED))
    snapshot = Snapshot({"id:1": row.id}, {row.id: row})
    changes = plan_changes([*batch(started, first=2), waited(9)], snapshot)
    assert changes.folded == [(2, "cloudtalk-1"), (9, "cloudtalk-1")]


def test_a_call_that_the_same_batch_merged_is_no_second_call_with_the_number() -> None:
    row = row_after(make_event(Kind.STARTED, **PARTIES))
    event = CallEvent(Kind.STARTED, "workflow", "b", ("uuid:b",), T0, PARTIES, {})
    other = row_after(event)
    snapshot = Snapshot({"id:1": row.id, "uuid:b": other.id}, {row.id: row, other.id: other})
    link = CallEvent(Kind.ENDED, "workflow", "b", ("uuid:b", "id:1"), T0, {}, {})
    changes = plan_changes([*batch(link, first=2), waited(9)], snapshot)
    ((merged, survivor),) = changes.merged.items()
    assert {merged, survivor} == {"cloudtalk-1", "cloudtalk-b"}
    assert changes.folded[1:] == [(9, survivor)]


# --- merging two calls ------------------------------------------------------------------------------

LINK = CallEvent(Kind.ENDED, "workflow", "b", ("uuid:b", "id:1"), T0, {}, {})
OTHER = CallEvent(Kind.STARTED, "workflow", "b", ("uuid:b",), T0, {"started_at": T0 - 1}, {})


def test_calls_that_one_batch_begins_and_links_are_one_call() -> None:
    again = CallEvent(
        Kind.MODIFIED, "workflow", "b", ("uuid:b",), Instant(T0 + 9), {"contact_name": "Ana"}, {}
    )
    changes = plan_changes(batch(make_event(Kind.STARTED, started_at=T0), OTHER, LINK, again), EMPTY)
    assert changes.folded == [(seq, "cloudtalk-1") for seq in (1, 2, 3, 4)]
    assert [(alias.alias, alias.call) for alias in changes.aliases] == [
        ("id:1", "cloudtalk-1"),
        ("uuid:b", "cloudtalk-1"),
    ]
    (row,) = [row for row in changes.new_rows if row.record.merged_into is None]
    assert (row.id, row.record.contact_name) == ("cloudtalk-1", "Ana")
    assert changes.merged == {}


@pytest.mark.parametrize(
    ("first_delivered", "survivor"),
    [
        ({}, "cloudtalk-b"),  # it began first
        ({"cloudtalk-1": T0}, "cloudtalk-1"),
        ({"cloudtalk-1": T0, "cloudtalk-b": T0 + 1}, "cloudtalk-1"),
        ({"cloudtalk-1": T0 + 1, "cloudtalk-b": T0}, "cloudtalk-b"),
    ],
)
def test_of_two_calls_the_one_that_a_crm_received_first_survives(
    first_delivered: dict[str, Instant], survivor: str
) -> None:
    rows = [row_after(make_event(Kind.STARTED, started_at=T0)), row_after(OTHER)]
    owners = {"id:1": "cloudtalk-1", "uuid:b": "cloudtalk-b"}
    snapshot = Snapshot(owners, {row.id: row for row in rows}, first_delivered=first_delivered)
    changes = plan_changes(batch(LINK, first=3), snapshot)
    (loser,) = {"cloudtalk-1", "cloudtalk-b"} - {survivor}
    assert (changes.merged, changes.folded) == ({loser: survivor}, [(3, survivor)])
    merged_into = {row.id: row.record.merged_into for row in changes.changed_rows}
    assert merged_into == {survivor: None, loser: survivor}


def test_a_deleted_call_survives_if_a_crm_received_it_first() -> None:
    row = row_after(OTHER)
    snapshot = Snapshot(
        {"id:1": "cloudtalk-1", "uuid:b": row.id},
        {row.id: row},
        first_delivered={row.id: Instant(T0), "cloudtalk-1": Instant(T0 - 1)},
        tombstones={"cloudtalk-1": Tombstone(4, ["id:1", "other:z"])},
    )
    changes = plan_changes(batch(LINK, first=3), snapshot)
    assert changes.merged == {"cloudtalk-b": "cloudtalk-1"}
    assert changes.continued == ["cloudtalk-1"]
    (new,) = changes.new_rows
    assert (new.id, new.state.aliases) == ("cloudtalk-1", ["id:1", "other:z", "uuid:b"])
