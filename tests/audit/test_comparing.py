"""One call of the ledger beside its records in a CRM."""

from typing import Any

import msgspec
import pytest

from crm_clients.base import Stored
from crm_clients.settings import DestinationSettings
from relay.audit.comparing import Comparison, Presence, compare, needs_reading
from relay.instants import Duration, Instant
from relay.ledger.deliveries import DeliveryRow
from relay.ledger.states import DeliveryState
from tests.support.samples import make_call

SETTINGS = DestinationSettings(client="fake")
RIGHT = Stored("r", 3)


def delivery(state: DeliveryState = DeliveryState.DELIVERED, **changes: Any) -> DeliveryRow:
    row = DeliveryRow(
        destination="crm",
        call="cloudtalk-1",
        state=state,
        version=3,
        delivered_version=3,
        first_delivered_at=Instant(1),
        pending_since=Instant(1),
        due_at=Instant(1),
        attempts=1,
        attempted_at=Instant(1),
        failing_for=Duration(0),
        remote_id="r",
        outcome="delivered",
        code=None,
        message=None,
        not_before=None,
        rendering=SETTINGS.rendering,
    )
    return msgspec.structs.replace(row, **changes)


NEVER_SENT: dict[str, Any] = {"delivered_version": 0, "outcome": None}


def presence(
    row: DeliveryRow | None,
    *stored: Stored,
    is_wanted: bool = True,
    merged_into: str | None = None,
    **keys: Any,
) -> Comparison:
    settings = DestinationSettings(client="fake", **keys)
    call = msgspec.structs.replace(make_call(3), merged_into=merged_into)
    return compare(call, row, stored, settings, is_wanted=is_wanted)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ([RIGHT], Comparison(Presence.RIGHT)),
        ([Stored("r", None)], Comparison(Presence.RIGHT)),
        ([], Comparison(Presence.MISSING)),
        ([Stored("r", 2)], Comparison(Presence.OUTDATED, remote_ids=("r",))),
        ([Stored("r", 4)], Comparison(Presence.OUTDATED, remote_ids=("r",))),
        ([RIGHT, Stored("copy", 3)], Comparison(Presence.DOUBLED, remote_ids=("r", "copy"))),
        (
            [Stored("r", 3, frozenset({"notes", "contact_name"}))],
            Comparison(Presence.CHANGED, fields=("contact_name", "notes")),
        ),
        ([Stored("r", None, frozenset({"notes"}))], Comparison(Presence.CHANGED, fields=("notes",))),
        # In an older version the fields differ anyway.
        ([Stored("r", 2, frozenset({"notes"}))], Comparison(Presence.OUTDATED, remote_ids=("r",))),
    ],
)
def test_a_delivered_call_beside_its_records(stored: list[Stored], expected: Comparison) -> None:
    assert presence(delivery(), *stored) == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (DeliveryState.PENDING, Presence.PENDING),
        (DeliveryState.DEAD, Presence.DEAD),
        (DeliveryState.DROPPED, Presence.DROPPED),
    ],
)
def test_what_is_not_settled_is_no_fault_whatever_the_crm_has(
    state: DeliveryState, expected: Presence
) -> None:
    for stored in ([], [RIGHT], [Stored("r", 1, frozenset({"notes"}))]):
        assert presence(delivery(state), *stored) == Comparison(expected)
    assert presence(delivery(state), RIGHT, Stored("copy")).presence is Presence.DOUBLED


def test_a_call_that_the_crm_should_not_have() -> None:
    filtered = delivery(DeliveryState.FILTERED, **NEVER_SENT)
    retracted = delivery(DeliveryState.RETRACTED, delivered_version=0)
    assert presence(filtered) == Comparison(Presence.FILTERED)
    assert presence(filtered, RIGHT) == Comparison(Presence.LEFT_OVER, remote_ids=("r",))
    merged: dict[str, Any] = {"is_wanted": False, "merged_into": "cloudtalk-2"}
    assert presence(retracted, **merged) == Comparison(Presence.RIGHT)
    assert presence(retracted, RIGHT, **merged) == Comparison(Presence.LEFT_OVER, remote_ids=("r",))
    assert presence(retracted, RIGHT, **merged, on_merge="mark") == Comparison(Presence.RIGHT)
    # An internal call is never only marked.
    assert presence(retracted, RIGHT, is_wanted=False, on_merge="mark").presence is Presence.LEFT_OVER


def test_a_record_that_is_written_once_is_only_missed() -> None:
    older = Stored("r", 1, frozenset({"notes"}))
    assert presence(delivery(), older, update="never") == Comparison(Presence.RIGHT)
    assert presence(delivery(), update="never") == Comparison(Presence.MISSING)


def test_other_labels_are_the_work_of_the_settings_and_not_of_people() -> None:
    changed = Stored("r", 3, frozenset({"status"}))
    assert presence(delivery(rendering="earlier"), changed) == Comparison(Presence.OTHER_SETTINGS)
    assert presence(delivery(rendering="earlier"), RIGHT) == Comparison(Presence.RIGHT)


def test_a_record_that_is_missing_after_an_audit_restored_it_was_removed_by_a_person() -> None:
    assert presence(delivery(restored=True)) == Comparison(Presence.REMOVED)
    assert presence(delivery(restored=True), update="never") == Comparison(Presence.REMOVED)
    assert presence(delivery(restored=True), RIGHT) == Comparison(Presence.RIGHT)
    assert presence(delivery(restored=True), is_wanted=False) == Comparison(Presence.RIGHT)
    assert presence(delivery(DeliveryState.PENDING, restored=True)) == Comparison(Presence.PENDING)


def test_a_lost_record_that_nobody_wants_any_more_is_right() -> None:
    assert presence(delivery(), is_wanted=False) == Comparison(Presence.RIGHT)


def test_a_call_that_is_older_than_the_destination() -> None:
    assert presence(None) == Comparison(Presence.NOT_SENT)


def test_the_first_deliveries_of_a_backlog_are_not_read() -> None:
    assert not needs_reading(delivery(DeliveryState.PENDING, **NEVER_SENT))
    assert needs_reading(delivery(DeliveryState.PENDING))
    assert needs_reading(delivery(DeliveryState.PENDING, **NEVER_SENT | {"outcome": "unknown"}))
    assert needs_reading(delivery(DeliveryState.FILTERED, **NEVER_SENT))
