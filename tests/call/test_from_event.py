"""What one event alone states about its call."""

from typing import Any

import pytest

from relay.call import Kind
from relay.call.from_event import evidence_of, has_unknown_outcome, join_event
from relay.call.state import Evidence
from relay.instants import Instant
from tests.support.samples import T0, make_event

E = Kind.ENDED


@pytest.mark.parametrize(
    ("kind", "facts", "evidence"),
    [
        (E, {"talking": 5}, Evidence.CONVERSATION),
        (E, {"talking": 5, "status": "missed"}, Evidence.CONVERSATION),
        (E, {"status": "answered"}, Evidence.CONVERSATION),
        (E, {"answered_at": T0}, Evidence.CONVERSATION),
        (E, {"status": "missed", "answered_at": T0}, Evidence.CONVERSATION),
        (E, {"status": "answered", "talking": 0}, Evidence.DOUBTFUL),
        (E, {"answered_at": T0, "talking": 0}, Evidence.DOUBTFUL),
        (E, {"talking": 0}, Evidence.NONE),
        (E, {"status": "missed"}, Evidence.NONE),
        (E, {"voicemail": True}, Evidence.NONE),
        (E, {"voicemail": False}, Evidence.UNKNOWN),
        (E, {}, Evidence.UNKNOWN),
        (Kind.MISSED, {}, Evidence.NONE),
        (Kind.MISSED, {"status": "answered"}, Evidence.NONE),
        (Kind.MISSED, {"talking": 5}, Evidence.CONVERSATION),
        (Kind.VOICEMAIL, {}, Evidence.NONE),
        (Kind.ANSWERED, {"talking": 5, "status": "answered"}, Evidence.UNKNOWN),
        (Kind.MODIFIED, {"answered_at": T0}, Evidence.UNKNOWN),
    ],
)
def test_the_facts_of_an_event_prove_a_conversation_or_that_there_was_none(
    kind: Kind, facts: dict[str, Any], evidence: Evidence
) -> None:
    event = make_event(kind, **facts)
    assert evidence_of(event) == evidence
    assert has_unknown_outcome(event) is (kind is E and evidence is Evidence.UNKNOWN)


@pytest.mark.parametrize(("received_at", "ordered_at"), [(50, 101), (100, 101), (101, 101), (300, 300)])
def test_an_event_is_compared_as_if_it_arrived_after_all_events_before_it(
    received_at: int, ordered_at: int
) -> None:
    before = join_event(None, make_event(contact_name="A"), seq=2, received_at=Instant(100))
    state = join_event(before, make_event(contact_id="7"), seq=3, received_at=Instant(received_at))
    assert (state.stamps[3].received_at, state.stamps[3].occurred_at) == (ordered_at, ordered_at)
    assert (state.stamps[2].received_at, state.stamps[2].occurred_at) == (100, 100)


def test_an_event_with_a_lower_sequence_number_keeps_its_arrival() -> None:
    before = join_event(None, make_event(contact_name="A"), seq=2, received_at=Instant(100))
    state = join_event(before, make_event(contact_id="7"), seq=1, received_at=Instant(50))
    assert state.stamps[1].received_at == 50


def test_a_time_of_its_own_does_not_depend_on_the_arrival() -> None:
    before = join_event(None, make_event(contact_name="A"), seq=1, received_at=Instant(100))
    state = join_event(before, make_event(occurred_at=7, contact_id="7"), seq=2, received_at=Instant(50))
    assert (state.stamps[2].received_at, state.stamps[2].occurred_at) == (101, 7)
