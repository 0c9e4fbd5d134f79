"""Which events wait for a link to their call."""

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest

from relay.call import CallState, Kind, Status
from relay.fold.waiting import may_wait, must_wait
from tests.support.memory_ledger import MemoryLedger
from tests.support.samples import T0, join_events
from tests.support.samples import make_event_with_ids as event

U1, I1, I2 = "uuid:u1", "id:1", "id:2"
NUMBER: dict[str, Any] = {"external_number": "+34612345678", "direction": "inbound"}
RECORDING = event(Kind.RECORDING, I1, recording_url="https://example.test/1.wav")
ENDED = event(Kind.ENDED, U1, I1, talking=7, direction="inbound")


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


def test_a_recording_before_its_end_waits_for_the_end(ledger: MemoryLedger) -> None:
    ledger.fold_each(RECORDING)
    assert ledger.live_rows == []
    ledger.fold_each(ENDED)
    assert ledger.only_row.record.recording_url == "https://example.test/1.wav"
    assert ledger.only_row.id == "cloudtalk-u1"


def test_without_an_end_a_recording_begins_a_call_after_the_grace_period(ledger: MemoryLedger) -> None:
    ledger.fold_each(RECORDING)
    ledger.end_grace()
    assert (ledger.only_row.id, ledger.only_row.record.status) == ("cloudtalk-1", Status.IN_PROGRESS)
    ledger.fold_each(ENDED)
    assert (ledger.only_row.id, ledger.only_row.record.status) == ("cloudtalk-1", Status.COMPLETED)
    assert ledger.only_row.record.call_uuid == "u1"


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_the_end_decides_whenever_the_recording_arrives(order: tuple[int, ...]) -> None:
    events = (
        event(Kind.STARTED, U1, started_at=T0, **NUMBER),
        event(Kind.RECORDING, U1, recording_url="https://example.test/1.wav"),
        event(Kind.TRANSCRIPT, U1, I1, transcript="Hola"),
        event(Kind.ENDED, I1, voicemail=True, talking=0, **NUMBER),
    )
    ledger = MemoryLedger()
    ledger.fold_each(*(events[index] for index in order))
    ledger.end_grace()
    record = ledger.only_row.record
    assert (record.status, record.follow_up, record.transcript) == (Status.VOICEMAIL, True, "Hola")
    assert record.recording_url == "https://example.test/1.wav"


def test_an_end_with_the_call_id_alone_waits_if_one_open_call_has_its_number(ledger: MemoryLedger) -> None:
    ended = event(Kind.ENDED, I1, talking=0, **NUMBER)
    ledger.fold_each(event(Kind.STARTED, U1, started_at=T0, **NUMBER), ended)
    assert [row.id for row in ledger.live_rows] == ["cloudtalk-u1"]
    ledger.fold_each(event(Kind.RECORDING, U1, I1))
    assert ledger.only_row.record.status == Status.MISSED


def test_an_end_of_the_mission_never_waits(ledger: MemoryLedger) -> None:
    ledger.fold_each(event(Kind.STARTED, "id:1001", dialect="mission", **NUMBER))
    ledger.fold_each(event(Kind.ENDED, "id:1002", dialect="mission", talking=1, **NUMBER))
    assert len(ledger.live_rows) == 2


@pytest.mark.parametrize("other", [Kind.ENDED, Kind.MISSED, Kind.VOICEMAIL])
def test_an_end_does_not_wait_for_a_call_that_is_over(ledger: MemoryLedger, other: Kind) -> None:
    ledger.fold_each(event(other, U1, **NUMBER), event(Kind.ENDED, I2, talking=1, **NUMBER))
    assert len(ledger.live_rows) == 2


# --- which events may wait, and which do --------------------------------------------------------------

CANNOT_BEGIN = (Kind.RECORDING, Kind.TRANSCRIPT, Kind.SUMMARY)


@pytest.mark.parametrize("kind", list(Kind))
def test_an_event_may_wait_if_its_kind_needs_a_call_and_its_only_id_is_a_call_id(kind: Kind) -> None:
    can_wait = kind in {Kind.ENDED, *CANNOT_BEGIN}
    assert may_wait(event(kind, I1)) is can_wait
    assert may_wait(event(kind, "other:1")) is can_wait
    assert may_wait(event(kind, U1)) is False
    assert may_wait(event(kind, U1, I1)) is False
    assert may_wait(event(kind, I1, dialect="mission")) is False


OPEN = join_events(event(Kind.STARTED, U1))
NO_STATES: list[CallState] = []


@pytest.mark.parametrize(
    ("states", "waits"),
    [
        (NO_STATES, False),
        ([OPEN], True),
        ([OPEN, OPEN], False),
        ([join_events(event(Kind.STARTED, U1, I2))], False),
        ([OPEN, join_events(event(Kind.STARTED, U1, I2))], True),
        *(
            [(join_events(event(Kind.STARTED, U1), event(over, U1)),), False]
            for over in (Kind.ENDED, Kind.MISSED, Kind.VOICEMAIL)
        ),
        ([join_events(event(Kind.STARTED, U1), event(Kind.ANSWERED, U1))], True),
    ],
)
def test_an_end_waits_if_exactly_one_call_is_open_and_has_no_call_id(
    states: Sequence[CallState], waits: bool
) -> None:
    assert must_wait(event(Kind.ENDED, I1), states) is waits


@pytest.mark.parametrize("kind", CANNOT_BEGIN)
def test_an_event_that_cannot_begin_a_call_waits_whatever_calls_there_are(kind: Kind) -> None:
    assert must_wait(event(kind, I1), []) is True
    assert must_wait(event(kind, I1), [OPEN, OPEN]) is True
