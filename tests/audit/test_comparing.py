"""One call of the ledger beside its records in a CRM."""

from typing import Any

import msgspec
import pytest

from crm_clients.base import Stored
from crm_clients.settings import DestinationSettings
from relay.audit.comparing import Comparison, Verdict, compare, needs_reading
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


def verdict(
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
        ([RIGHT], Comparison(Verdict.RIGHT)),
        ([Stored("r", None)], Comparison(Verdict.RIGHT)),
        ([], Comparison(Verdict.MISSING)),
        ([Stored("r", 2)], Comparison(Verdict.OUTDATED, remote_ids=("r",))),
        ([Stored("r", 4)], Comparison(Verdict.OUTDATED, remote_ids=("r",))),
        ([RIGHT, Stored("copy", 3)], Comparison(Verdict.DOUBLED, remote_ids=("copy", "r"))),
        (
            [Stored("r", 3, frozenset({"notes", "contact_name"}))],
            Comparison(Verdict.CHANGED, fields=("contact_name", "notes")),
        ),
        ([Stored("r", None, frozenset({"notes"}))], Comparison(Verdict.CHANGED, fields=("notes",))),
        # In an older version the fields differ anyway.
        ([Stored("r", 2, frozenset({"notes"}))], Comparison(Verdict.OUTDATED, remote_ids=("r",))),
    ],
)
def test_a_delivered_call_beside_its_records(stored: list[Stored], expected: Comparison) -> None:
    assert verdict(delivery(), *stored) == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (DeliveryState.PENDING, Verdict.PENDING),
        (DeliveryState.DEAD, Verdict.DEAD),
        (DeliveryState.DROPPED, Verdict.DROPPED),
    ],
)
def test_what_is_not_settled_is_no_fault_whatever_the_crm_has(
    state: DeliveryState, expected: Verdict
) -> None:
    for stored in ([], [RIGHT], [Stored("r", 1, frozenset({"notes"}))]):
        assert verdict(delivery(state), *stored) == Comparison(expected)
    assert verdict(delivery(state), RIGHT, Stored("copy")).verdict is Verdict.DOUBLED


def test_a_call_that_the_crm_should_not_have() -> None:
    filtered = delivery(DeliveryState.FILTERED, **NEVER_SENT)
    retracted = delivery(DeliveryState.RETRACTED, delivered_version=0)
    assert verdict(filtered) == Comparison(Verdict.FILTERED)
    assert verdict(filtered, RIGHT) == Comparison(Verdict.LEFT_OVER, remote_ids=("r",))
    merged: dict[str, Any] = {"is_wanted": False, "merged_into": "cloudtalk-2"}
    assert verdict(retracted, **merged) == Comparison(Verdict.RIGHT)
    assert verdict(retracted, RIGHT, **merged) == Comparison(Verdict.LEFT_OVER, remote_ids=("r",))
    assert verdict(retracted, RIGHT, **merged, on_merge="mark") == Comparison(Verdict.RIGHT)
    # An internal call is never only marked.
    assert verdict(retracted, RIGHT, is_wanted=False, on_merge="mark").verdict is Verdict.LEFT_OVER


def test_a_record_that_is_written_once_is_only_missed() -> None:
    older = Stored("r", 1, frozenset({"notes"}))
    assert verdict(delivery(), older, update="never") == Comparison(Verdict.RIGHT)
    assert verdict(delivery(), update="never") == Comparison(Verdict.MISSING)


def test_other_labels_are_the_work_of_the_settings_and_not_of_people() -> None:
    changed = Stored("r", 3, frozenset({"status"}))
    assert verdict(delivery(rendering="earlier"), changed) == Comparison(Verdict.OTHER_SETTINGS)
    assert verdict(delivery(rendering="earlier"), RIGHT) == Comparison(Verdict.RIGHT)


def test_a_lost_record_that_nobody_wants_any_more_is_right() -> None:
    assert verdict(delivery(), is_wanted=False) == Comparison(Verdict.RIGHT)


def test_a_call_that_is_older_than_the_destination() -> None:
    assert verdict(None) == Comparison(Verdict.NOT_SENT)


def test_the_first_deliveries_of_a_backlog_are_not_read() -> None:
    assert not needs_reading(delivery(DeliveryState.PENDING, **NEVER_SENT))
    assert needs_reading(delivery(DeliveryState.PENDING))
    assert needs_reading(delivery(DeliveryState.PENDING, **NEVER_SENT | {"outcome": "unknown"}))
    assert needs_reading(delivery(DeliveryState.FILTERED, **NEVER_SENT))
