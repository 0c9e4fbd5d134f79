"""What a batch of events changes: records, versions, aliases."""

from typing import Any
from unittest.mock import Mock

import msgspec
import pytest

from relay.call import DELIVERED_FIELDS, CallEvent, Kind, Status
from relay.fold import Changes, Snapshot, plan_changes
from relay.fold.conflicts import Conflict
from relay.instants import Instant
from relay.ledger.aliases import Alias, AliasReason
from relay.ledger.calls import CallRow
from relay.ledger.journal import UnfoldedEvent
from relay.ledger.tombstones import Tombstone
from tests.support.samples import T0, make_event, make_event_with_ids

EMPTY = Snapshot({}, {})


def batch(*events: CallEvent, first: int = 1) -> list[UnfoldedEvent]:
    return [
        UnfoldedEvent(seq, Instant(T0 + seq), event, waited=False) for seq, event in enumerate(events, first)
    ]


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


@pytest.mark.parametrize(
    ("facts", "same"),
    [({"notes": "n"}, {"cloudtalk-1"}), ({"contact_name": "Eva"}, set()), ({"started_at": T0 - 1}, set())],
)
def test_a_call_is_found_as_before_unless_a_name_or_its_start_changes(
    facts: dict[str, Any], same: set[str]
) -> None:
    row = row_after(make_event(Kind.STARTED, contact_name="Ana", started_at=T0))
    changes = plan_next(row, make_event(Kind.MODIFIED, **facts), seq=2)
    assert ([changed.id for changed in changes.changed_rows], changes.same_terms) == ([row.id], same)


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


def test_an_event_that_waits_in_any_case_is_compared_with_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.fold.match_event.customer_number", Mock(side_effect=AssertionError))
    recording = make_event_with_ids(Kind.RECORDING, "id:7", external_number="+34600111222")
    changes = plan_changes(batch(recording), EMPTY)
    assert (changes.waiting, changes.failed) == ([(1, "id:7")], [])


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


def test_an_event_that_waited_and_has_no_number_belongs_to_no_call_without_a_number() -> None:
    unknown = {"from": None}
    row = row_after(make_event(Kind.STARTED, **PARTIES | unknown))
    changes = plan_changes([waited(9, **unknown)], Snapshot({"id:1": row.id}, {row.id: row}))
    assert changes.folded == [(9, "cloudtalk-x")]


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
        tombstones={"cloudtalk-1": Tombstone(4, ["other:z", "other:y", "other:x", "id:1"])},
    )
    changes = plan_changes(batch(LINK, first=3), snapshot)
    assert changes.merged == {"cloudtalk-b": "cloudtalk-1"}
    assert changes.continued == ["cloudtalk-1"]
    (new,) = changes.new_rows
    assert (new.id, new.state.aliases) == (
        "cloudtalk-1",
        ["id:1", "other:x", "other:y", "other:z", "uuid:b"],
    )


def test_a_deleted_call_that_a_crm_received_later_is_merged_and_retracted() -> None:
    row = row_after(OTHER)
    snapshot = Snapshot(
        {"id:1": "cloudtalk-1", "uuid:b": row.id},
        {row.id: row},
        first_delivered={row.id: Instant(T0), "cloudtalk-1": Instant(T0 + 1)},
        tombstones={"cloudtalk-1": Tombstone(4, ["id:1"])},
    )
    changes = plan_changes(batch(LINK, first=3), snapshot)
    assert (changes.merged, changes.continued) == ({"cloudtalk-1": "cloudtalk-b"}, ["cloudtalk-1"])
    (new,) = changes.new_rows
    assert (new.id, new.version, new.record.merged_into) == ("cloudtalk-1", 6, "cloudtalk-b")
    assert [(record.id, record.version) for record in changes.updated] == [
        ("cloudtalk-b", 2),
        ("cloudtalk-1", 6),
    ]


@pytest.mark.parametrize("owns_other_ids", [False, True])
def test_a_deleted_call_that_no_crm_has_does_not_survive_and_gets_no_row(owns_other_ids: bool) -> None:
    row = row_after(OTHER)
    others = ["id:1", "other:z"] if owns_other_ids else ["id:1"]
    snapshot = Snapshot(
        {"id:1": "cloudtalk-1", "uuid:b": row.id},
        {row.id: row},
        tombstones={"cloudtalk-1": Tombstone(4, others)},
    )
    changes = plan_changes(batch(LINK, first=3), snapshot)
    assert (changes.merged, changes.continued) == ({"cloudtalk-1": "cloudtalk-b"}, [])
    assert (changes.new_rows, [row.id for row in changes.changed_rows]) == ([], ["cloudtalk-b"])
    assert [record.id for record in changes.updated] == ["cloudtalk-b"]


def test_a_deleted_call_that_no_crm_has_does_not_survive_a_call_that_the_same_batch_begins() -> None:
    snapshot = Snapshot({"id:1": "cloudtalk-1"}, {}, tombstones={"cloudtalk-1": Tombstone(4, ["id:1"])})
    changes = plan_changes(batch(OTHER, LINK, first=3), snapshot)
    assert changes.folded == [(3, "cloudtalk-b"), (4, "cloudtalk-b")]
    assert (changes.merged, changes.continued) == ({"cloudtalk-1": "cloudtalk-b"}, [])
    assert [(row.id, row.version) for row in changes.new_rows] == [("cloudtalk-b", 1)]


def test_of_two_calls_that_no_crm_has_the_one_with_a_row_survives() -> None:
    """It is the older one in the ledger, although the new one began before."""
    row = row_after(make_event(Kind.STARTED, started_at=T0))
    snapshot = Snapshot({"id:1": row.id}, {row.id: row})
    changes = plan_changes(batch(OTHER, LINK, first=3), snapshot)
    assert changes.folded == [(3, "cloudtalk-1"), (4, "cloudtalk-1")]
    assert (changes.merged, changes.new_rows) == ({}, [])
    assert [row.id for row in changes.changed_rows] == ["cloudtalk-1"]


@pytest.mark.parametrize(("name", "survivor"), [("a", "cloudtalk-1"), ("0", "cloudtalk-0")])
def test_of_two_calls_that_began_together_the_one_with_the_lower_id_survives(
    name: str, survivor: str
) -> None:
    other = CallEvent(Kind.STARTED, "workflow", name, (f"uuid:{name}",), T0, {"started_at": T0}, {})
    link = CallEvent(Kind.ENDED, "workflow", name, (f"uuid:{name}", "id:1"), T0, {}, {})
    rows = {row.id: row for row in (row_after(make_event(Kind.STARTED, started_at=T0)), row_after(other))}
    snapshot = Snapshot({"id:1": "cloudtalk-1", f"uuid:{name}": f"cloudtalk-{name}"}, rows)
    assert list(plan_changes(batch(link, first=3), snapshot).merged.values()) == [survivor]


def test_a_survivor_has_the_facts_of_both_calls_and_the_loser_only_its_survivor() -> None:
    rows = [row_after(make_event(Kind.STARTED, contact_name="Ana")), row_after(OTHER)]
    owners = {"id:1": "cloudtalk-1", "uuid:b": "cloudtalk-b"}
    snapshot = Snapshot(
        owners, {row.id: row for row in rows}, first_delivered={"cloudtalk-b": Instant(T0)}, version_floor=20
    )
    survivor, loser = plan_changes(batch(LINK, first=3), snapshot).changed_rows
    assert (survivor.id, survivor.version, survivor.record.contact_name) == ("cloudtalk-b", 21, "Ana")
    assert survivor.state.aliases == ["id:1", "uuid:b"]
    assert (loser.id, loser.version, loser.record.merged_into) == ("cloudtalk-1", 21, "cloudtalk-b")
    assert loser.state.facts == {}


def test_a_call_that_owns_two_ids_of_an_event_is_merged_once() -> None:
    first = row_after(CallEvent(Kind.STARTED, "workflow", "1", ("id:1", "id:2"), T0, {}, {}))
    row = row_after(OTHER)
    owners = {"id:1": first.id, "id:2": first.id, "uuid:b": row.id}
    snapshot = Snapshot(owners, {first.id: first, row.id: row}, first_delivered={first.id: Instant(T0)})
    link = CallEvent(Kind.ENDED, "workflow", "b", ("uuid:b", "id:1", "id:2"), T0, {"notes": "n"}, {})
    changes = plan_changes(batch(link, first=3), snapshot)
    assert (changes.merged, changes.folded) == ({"cloudtalk-b": "cloudtalk-1"}, [(3, "cloudtalk-1")])
    survivor = changes.changed_rows[0]
    assert (survivor.id, survivor.record.notes, survivor.state.aliases) == (
        "cloudtalk-1",
        "n",
        ["id:1", "id:2", "uuid:b"],
    )


def test_calls_that_are_merged_one_after_the_other_name_the_last_survivor() -> None:
    """The second event merges the survivor of the first merge into a third call."""
    third = CallEvent(Kind.STARTED, "workflow", "c", ("other:c",), T0, {"started_at": T0 - 9}, {})
    rows = [row_after(make_event(Kind.STARTED, started_at=T0)), row_after(OTHER), row_after(third)]
    owners = {"id:1": "cloudtalk-1", "uuid:b": "cloudtalk-b", "other:c": "cloudtalk-c"}
    snapshot = Snapshot(owners, {row.id: row for row in rows})
    link = CallEvent(Kind.ENDED, "workflow", "b", ("uuid:b", "other:c"), T0, {}, {})
    changes = plan_changes(batch(LINK, link, first=4), snapshot)
    assert changes.merged == {"cloudtalk-1": "cloudtalk-c", "cloudtalk-b": "cloudtalk-c"}
    assert changes.folded == [(4, "cloudtalk-c"), (5, "cloudtalk-c")]
    merged_into = {row.id: row.record.merged_into for row in changes.changed_rows}
    assert merged_into == {"cloudtalk-1": "cloudtalk-c", "cloudtalk-b": "cloudtalk-c", "cloudtalk-c": None}


# --- ids, aliases, versions -------------------------------------------------------------------------


def test_an_alias_is_chosen_if_another_one_of_its_event_was_dropped() -> None:
    stated = CallEvent(Kind.STARTED, "workflow", "a", ("uuid:a", "id:1"), T0, {}, {})
    constant = CallEvent(Kind.STARTED, "workflow", "b", ("uuid:b", "id:1"), T0, {"call_id": "1"}, {})
    changes = plan_changes(batch(stated, constant), EMPTY)
    assert changes.aliases == [
        Alias("uuid:a", "cloudtalk-a", AliasReason.STATED),
        Alias("id:1", "cloudtalk-a", AliasReason.STATED),
        Alias("uuid:b", "cloudtalk-b", AliasReason.CHOSEN),
    ]
    assert changes.conflicts == [Conflict(2, constant, ("id:1",))]
    assert [row.record.call_id for row in changes.new_rows] == [None, None]


def test_an_id_that_a_person_split_off_links_no_calls() -> None:
    rows = {row.id: row for row in (row_after(make_event(Kind.STARTED)), row_after(OTHER))}
    owners = {"id:1": "cloudtalk-1", "uuid:b": "cloudtalk-b"}
    changes = plan_changes(batch(LINK, first=3), Snapshot(owners, rows, pinned=frozenset({"id:1"})))
    assert (changes.merged, changes.folded) == ({}, [(3, "cloudtalk-b")])


def test_a_second_call_with_the_same_text_as_its_id_has_the_namespace_in_its_id() -> None:
    row = row_after(make_event(Kind.STARTED))
    other = CallEvent(Kind.STARTED, "workflow", "1", ("other:1",), T0, {}, {})
    for events, snapshot in (
        (batch(other, first=2), Snapshot({"id:1": row.id}, {row.id: row})),
        (batch(make_event(Kind.STARTED), other), EMPTY),
    ):
        changes = plan_changes(events, snapshot)
        assert changes.folded[-1] == (2, "cloudtalk-other:1")
        assert changes.new_rows[-1].id == "cloudtalk-other:1"


def test_an_event_of_a_deleted_call_continues_it_with_all_its_ids_above_the_floor() -> None:
    snapshot = Snapshot(
        {"id:1": "cloudtalk-1"},
        {},
        tombstones={"cloudtalk-1": Tombstone(4, ["id:1", "uuid:b"])},
        version_floor=20,
    )
    changes = plan_changes(batch(make_event(Kind.MODIFIED, notes="late"), first=3), snapshot)
    (row,) = changes.new_rows
    assert (row.id, row.version, row.state.aliases) == ("cloudtalk-1", 21, ["id:1", "uuid:b"])
    assert changes.continued == ["cloudtalk-1"]
    assert row.field_versions == {"notes": 21, "cloudtalk_data": 21, "status": 0, "follow_up": 0}


def test_the_ids_of_a_deleted_call_still_contradict_an_event() -> None:
    snapshot = Snapshot(
        {"id:1": "cloudtalk-9"}, {}, tombstones={"cloudtalk-9": Tombstone(4, ["id:1", "uuid:a"])}
    )
    changes = plan_changes(batch(LINK, first=3), snapshot)
    assert changes.folded == [(3, "cloudtalk-b")]
    assert [conflict.dropped for conflict in changes.conflicts] == [("id:1",)]
    assert changes.continued == []


def test_an_id_of_a_call_of_which_nothing_is_left_begins_its_record_again() -> None:
    changes = plan_changes(batch(LINK), Snapshot({"id:1": "cloudtalk-9"}, {}))
    assert (changes.folded, changes.failed, changes.conflicts) == ([(1, "cloudtalk-9")], [], [])
    assert [(row.id, row.version, row.state.aliases) for row in changes.new_rows] == [
        ("cloudtalk-9", 1, ["id:1", "uuid:b"])
    ]


@pytest.mark.parametrize("floor", [0, 20])
def test_versions_are_above_the_floor(floor: int) -> None:
    row = row_after(make_event(Kind.STARTED))
    new = make_event(Kind.STARTED, name="2")
    snapshot = Snapshot({"id:1": row.id}, {row.id: row}, version_floor=floor)
    changes = plan_changes(batch(make_event(Kind.ENDED), new, first=2), snapshot)
    (changed,), (added,) = changes.changed_rows, changes.new_rows
    assert (changed.version, added.version) == (max(floor, 1) + 1, floor + 1)
    assert [record.id for record in changes.updated] == ["cloudtalk-1", "cloudtalk-2"]


# --- waits and duplicates ---------------------------------------------------------------------------


def test_an_event_that_waits_is_named_with_its_first_id_and_changes_nothing() -> None:
    recording = CallEvent(Kind.RECORDING, "workflow", "7", ("id:7",), T0, {}, {})
    changes = plan_changes(batch(recording, first=3), EMPTY)
    assert (changes.seqs, changes.waiting) == ([3], [(3, "id:7")])
    assert (changes.folded, changes.new_rows, changes.aliases, changes.dedup_keys) == ([], [], [], [])


def test_an_end_waits_for_the_open_call_with_its_number() -> None:
    ended = CallEvent(Kind.ENDED, "workflow", "7", ("id:7",), T0, PARTIES, {})
    started = CallEvent(Kind.STARTED, "workflow", "b", ("uuid:b",), T0, PARTIES, {})
    changes = plan_changes(batch(started, ended), EMPTY)
    assert (changes.folded, changes.waiting) == ([(1, "cloudtalk-b")], [(2, "id:7")])
    assert plan_changes(batch(ended), EMPTY).waiting == []


@pytest.mark.parametrize("kind", [Kind.STARTED, Kind.RINGING, Kind.ANSWERED, Kind.MISSED, Kind.MODIFIED])
def test_an_event_that_can_begin_a_call_does_not_wait_for_the_open_call_with_its_number(kind: Kind) -> None:
    started = CallEvent(Kind.STARTED, "workflow", "b", ("uuid:b",), T0, PARTIES, {})
    event = CallEvent(kind, "workflow", "7", ("id:7",), T0, PARTIES, {})
    changes = plan_changes(batch(started, event), EMPTY)
    assert (changes.folded, changes.waiting) == ([(1, "cloudtalk-b"), (2, "cloudtalk-7")], [])


def test_a_message_that_was_folded_before_belongs_to_its_call_and_changes_nothing() -> None:
    edit = CallEvent(Kind.MODIFIED, "signed", "1", ("id:1",), None, {"tags": ["a"]}, {}, ("msg:1",))
    row = row_after(make_event(Kind.STARTED))
    snapshot = Snapshot({"id:1": row.id}, {row.id: row})
    changes = plan_changes(batch(edit, edit, first=2), snapshot)
    ((key, seq),) = changes.dedup_keys
    assert (key.startswith("msg:1:modified:"), seq) == (True, 2)
    assert changes.folded == [(2, "cloudtalk-1"), (3, "cloudtalk-1")]
    again = plan_changes(
        batch(edit, first=4), Snapshot({"id:1": row.id}, {row.id: row}, seen_keys=frozenset({key}))
    )
    assert (again.folded, again.changed_rows, again.dedup_keys) == ([(4, "cloudtalk-1")], [], [])


@pytest.mark.parametrize("place", ["changes.join_event", "versions.build_record"])
@pytest.mark.parametrize("fault", [MemoryError(), OSError(28, "No space left on device"), RecursionError()])
def test_a_fault_of_the_machine_is_raised(
    fault: Exception, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(f"relay.fold.{place}", fail)
    with pytest.raises(type(fault)):
        plan_changes(batch(make_event(Kind.STARTED)), EMPTY)


# --- the limit of aliases -------------------------------------------------------------------------

A_UUID = "0f6a3c1e-2b4d-4c8e-9a51-7d2e8b3c4f60"


def leg(n: int, uuid: str = A_UUID, **facts: Any) -> CallEvent:
    ids = {"call_uuid": uuid, "call_id": str(n)}
    return CallEvent(Kind.MODIFIED, "workflow", uuid, (f"uuid:{uuid}", f"id:{n}"), T0, ids | facts, {})


def test_a_call_gets_no_more_than_a_thousand_ids() -> None:
    changes = plan_changes(batch(*(leg(n) for n in range(1, 1003))), EMPTY)
    (row,) = changes.new_rows
    expected = sorted([f"id:{n}" for n in range(1, 1000)] + [f"uuid:{A_UUID}"])
    assert row.state.aliases == expected
    assert sorted(alias.alias for alias in changes.aliases) == expected
    assert changes.folded == [(n, row.id) for n in range(1, 1003)]
    assert (changes.excess, changes.conflicts) == ({row.id: 3}, [])


def test_an_event_of_a_full_call_is_folded_without_its_further_id() -> None:
    row = row_after(*(leg(n) for n in range(1, 1000)))
    owners = dict.fromkeys(row.state.aliases, row.id)
    known, further = leg(999, tags=["a"]), leg(5000, tags=["a", "b"])
    changes = plan_changes(batch(known, further, first=2000), Snapshot(owners, {row.id: row}))
    assert changes.folded == [(2000, row.id), (2001, row.id)]
    assert (changes.aliases, changes.excess) == ([], {row.id: 1})
    (changed,) = changes.changed_rows
    assert (changed.record.tags, changed.record.call_id) == (["a", "b"], "999")


def with_aliases(row: CallRow, aliases: list[str]) -> CallRow:
    return msgspec.structs.replace(row, state=msgspec.structs.replace(row.state, aliases=aliases))


@pytest.mark.parametrize(("ids_of_other", "is_merged"), [(298, True), (299, False)])
def test_calls_that_would_have_too_many_ids_together_are_not_merged(
    ids_of_other: int, is_merged: bool
) -> None:
    row = row_after(*(leg(n) for n in range(1, 701)))
    other = with_aliases(
        row_after(make_event_with_ids(Kind.STARTED, "id:9000")),
        [f"id:{n}" for n in range(9000, 9000 + ids_of_other)],
    )
    owners = {alias: each.id for each in (row, other) for alias in each.state.aliases}
    changes = plan_changes(batch(leg(9000), first=9000), Snapshot(owners, {row.id: row, other.id: other}))
    assert changes.folded == [(9000, row.id)]
    assert changes.merged == ({other.id: row.id} if is_merged else {})
    assert changes.excess == ({} if is_merged else {row.id: 1})


def test_an_event_that_only_number_and_time_would_link_to_a_full_call_begins_its_own() -> None:
    number: dict[str, Any] = {"external_number": "+34600111222", "started_at": T0}
    row = row_after(make_event_with_ids(Kind.STARTED, "uuid:0", **number))
    full = with_aliases(row, [f"uuid:{n}" for n in range(1000)])
    late = make_event_with_ids(Kind.MODIFIED, "id:7", **number)
    waited = [UnfoldedEvent(9, Instant(T0), late, waited=True)]
    for call, expected in ((row, row.id), (full, "cloudtalk-7")):
        changes = plan_changes(waited, Snapshot({"uuid:0": row.id}, {row.id: call}))
        assert changes.folded == [(9, expected)]
        assert changes.excess == ({} if call is row else {row.id: 1})
