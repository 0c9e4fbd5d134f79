"""Which events repeat a message that was folded before."""

import pytest

from relay.call import CallEvent, Kind
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


def test_the_same_tags_after_other_tags_are_an_edit(ledger: MemoryLedger) -> None:
    for tags in (["a"], ["b"], ["a"]):
        ledger.fold_each(event(Kind.MODIFIED, "uuid:a", tags=tags, data={"tags": tags}))
    assert (ledger.only_row.record.tags, ledger.only_row.version) == (["a"], 3)


def test_tags_that_are_added_and_removed_in_one_second_end_as_sent_last(ledger: MemoryLedger) -> None:
    for tags in (["A"], ["A", "B"], ["A"]):
        ledger.fold_each(event(Kind.MODIFIED, U1, tags=tags))
    assert ledger.only_row.record.tags == ["A"]
