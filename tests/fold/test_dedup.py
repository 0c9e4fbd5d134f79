"""Which events repeat a message that was folded before."""

from typing import Any

import msgspec
import pytest

from relay.call import CallEvent, Kind
from relay.fold.dedup import dedup_keys, is_redelivery
from tests.support.history import row_event
from tests.support.memory_ledger import MemoryLedger
from tests.support.samples import T0
from tests.support.samples import make_event_with_ids as event

U1 = "uuid:u1"


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


def test_a_redelivered_message_changes_nothing(ledger: MemoryLedger) -> None:
    first, second = (
        CallEvent(Kind.MODIFIED, "signed", "u1", (U1,), T0, {"tags": [tag]}, {"tags": tag}, (f"msg:{tag}",))
        for tag in "ab"
    )
    ledger.fold_each(first, second, first)
    assert ledger.only_row.record.tags == ["b"]


def test_a_message_that_is_redelivered_in_one_batch_changes_nothing(ledger: MemoryLedger) -> None:
    first, second = (
        CallEvent(Kind.MODIFIED, "signed", "u1", (U1,), None, {"tags": [tag]}, {"tags": tag}, (f"msg:{tag}",))
        for tag in "ab"
    )
    ledger.fold(ledger.append([first, second, first]))
    assert ledger.only_row.record.tags == ["b"]


def test_a_row_of_the_history_that_is_as_it_was_before_an_edit_counts(ledger: MemoryLedger) -> None:
    ledger.fold_each(row_event(), row_event(Tags=[{"name": "lead"}]), row_event())
    assert ledger.only_row.record.tags == ["vip"]


def test_a_constant_typed_as_a_message_id_hides_no_event(ledger: MemoryLedger) -> None:
    for tags in (["a"], ["b"]):
        facts = {"tags": tags}
        ledger.fold_each(CallEvent(Kind.MODIFIED, "signed", "u1", (U1,), None, facts, facts, ("evt:1",)))
    assert ledger.only_row.record.tags == ["b"]


def test_a_redelivered_end_without_a_message_id_does_not_undo_an_edit(ledger: MemoryLedger) -> None:
    ended = event(Kind.ENDED, "uuid:a", talking=5, tags=["venta"], data={"tags": "venta"})
    ledger.fold_each(ended)
    ledger.fold_each(event(Kind.MODIFIED, "uuid:a", tags=["queja"], data={"tags": "queja"}))
    ledger.fold_each(ended)
    assert (ledger.only_row.record.tags, ledger.only_row.version) == (["queja"], 2)


@pytest.mark.parametrize(
    ("changes", "is_the_same"),
    [
        ({"data": {"b": 2, "a": 1}}, True),
        ({"data": {"a": 1, "b": 3}}, False),
        ({"aliases": ("uuid:u2",)}, False),
        ({"kind": Kind.STARTED}, False),
        ({"message_ids": ("msg:2",)}, False),
    ],
)
def test_a_key_is_of_the_message_its_kind_and_its_content(
    changes: dict[str, Any], *, is_the_same: bool
) -> None:
    first = CallEvent(Kind.ENDED, "signed", "u1", (U1,), None, {}, {"a": 1, "b": 2}, ("msg:1",))
    assert (dedup_keys(msgspec.structs.replace(first, **changes)) == dedup_keys(first)) is is_the_same


def test_an_event_with_several_message_ids_has_a_key_for_each_and_one_is_enough() -> None:
    ended = CallEvent(Kind.ENDED, "signed", "u1", (U1,), None, {}, {}, ("msg:1", "evt:1"))
    message, event_key = dedup_keys(ended)
    assert (message.rpartition(":")[0], event_key.rpartition(":")[0]) == ("msg:1:ended", "evt:1:ended")
    assert is_redelivery([message, event_key], {event_key})
    assert not is_redelivery([message], {event_key})


@pytest.mark.parametrize(
    ("changes", "has_key"),
    [
        ({}, True),
        ({"kind": Kind.MODIFIED}, False),
        ({"kind": Kind.UPDATE}, False),
        ({"single_id": True}, False),
        ({"kind": Kind.MODIFIED, "message_ids": ("msg:1",)}, True),
        ({"single_id": True, "message_ids": ("msg:1",)}, True),
    ],
)
def test_an_event_without_a_message_id_has_a_key_unless_it_is_exempt(
    changes: dict[str, Any], *, has_key: bool
) -> None:
    ended = CallEvent(Kind.ENDED, "workflow", "u1", (U1,), None, {}, {})
    assert bool(dedup_keys(msgspec.structs.replace(ended, **changes))) is has_key


def test_the_same_tags_after_other_tags_are_an_edit(ledger: MemoryLedger) -> None:
    for tags in (["a"], ["b"], ["a"]):
        ledger.fold_each(event(Kind.MODIFIED, "uuid:a", tags=tags, data={"tags": tags}))
    assert (ledger.only_row.record.tags, ledger.only_row.version) == (["a"], 3)


def test_tags_that_are_added_and_removed_in_one_second_end_as_sent_last(ledger: MemoryLedger) -> None:
    for tags in (["A"], ["A", "B"], ["A"]):
        ledger.fold_each(event(Kind.MODIFIED, U1, tags=tags))
    assert ledger.only_row.record.tags == ["A"]
