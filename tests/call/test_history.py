"""The join of rows of the history with other events: what a row wins and what it never erases."""

from itertools import permutations
from typing import Any

import msgspec
import pytest

from relay.call import CallEvent, Kind, build_record, join_event
from relay.instants import SECOND, Instant
from tests.support.history import row_event
from tests.support.samples import make_event_with_ids as event

ID = "id:484371839"
STARTED_AT = 1_704_876_131 * SECOND  # as in the row
ENDED_AT = STARTED_AT + 36 * SECOND
HOUR = 3_600 * SECOND


def record_of(*events: tuple[int, CallEvent]) -> dict[str, Any]:
    """The record after these events, each with its arrival in microseconds after the start of the call."""
    state = None
    for seq, (arrived_at, received) in enumerate(events, 1):
        state = join_event(state, received, seq=seq, received_at=Instant(STARTED_AT + arrived_at))
    assert state is not None
    record: dict[str, Any] = msgspec.to_builtins(build_record(state, id="x", version=1))
    return record


def ended(rank: int = 3, **facts: Any) -> CallEvent:
    made = event(Kind.ENDED, ID, started_at=STARTED_AT, ended_at=ENDED_AT, **facts)
    return msgspec.structs.replace(made, source_rank=rank, occurred_at=ENDED_AT)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_durations_of_a_row_win_over_those_of_each_webhook(rank: int) -> None:
    webhook = ended(rank, duration=35, talking=26, waiting=8, wrapup=3)
    for order in ([webhook, row_event()], [row_event(), webhook]):
        record = record_of(*((n * HOUR, each) for n, each in enumerate(order, 1)))
        seconds = [record[f"{name}_seconds"] for name in ("duration", "talking", "waiting", "wrapup")]
        assert seconds == [36, 27, 9, 4]


def test_what_people_edit_is_as_it_was_when_the_row_was_fetched() -> None:
    edited = event(Kind.MODIFIED, ID, tags=["later"], notes="later", contact_id="9", contact_name="Later")
    edited = msgspec.structs.replace(edited, occurred_at=Instant(ENDED_AT + HOUR))
    names = ("tags", "notes", "contact_id", "contact_name")
    after = record_of((HOUR, edited), (2 * HOUR, row_event()))
    assert [after[name] for name in names] == [["vip"], "first\na < b", "820877451", "FAMILY"]
    before = record_of((HOUR // 2, row_event()), (HOUR, edited))
    assert [before[name] for name in names] == [["later"], "later", "9", "Later"]


def test_of_two_fetches_of_a_row_the_later_one_counts_also_if_it_repeats_an_earlier_one() -> None:
    first, second = row_event(), row_event(Tags=[{"id": 2, "name": "lead"}])
    assert record_of((HOUR, first), (2 * HOUR, second))["tags"] == ["lead"]
    assert record_of((HOUR, first), (2 * HOUR, second), (3 * HOUR, first))["tags"] == ["vip"]


def test_a_row_erases_nothing_that_it_does_not_state() -> None:
    webhook = ended(talking=27, agent_id="5", contact_name="Ana", contact_id="7", tags=["a"], notes="n")
    recording = event(Kind.RECORDING, ID, recording_url="https://example.test/1.wav")
    poor = row_event(
        Agent=[], Contact=None, Notes=[], Tags="", user_id=None, wrapup_time=None, public_internal=None
    )
    before = record_of((HOUR, webhook), (2 * HOUR, recording))
    after = record_of((HOUR, webhook), (2 * HOUR, recording), (3 * HOUR, poor))
    for field in ("agent_id", "contact_id", "contact_name", "tags", "notes", "recording_url"):
        assert after[field] == before[field] is not None


def test_a_row_without_talking_time_erases_no_conversation() -> None:
    silent = row_event(talking_time="0", answered_at=None, user_id="9", Agent={"id": 9, "fullname": "Eva"})
    for order in permutations([ended(talking=20, agent_id="5"), silent]):
        record = record_of(*((n * HOUR, each) for n, each in enumerate(order, 1)))
        assert (record["status"], record["talking_seconds"], record["agent_id"]) == ("completed", 20, "5")


def test_of_several_legs_the_last_one_counts_whichever_is_fetched_first() -> None:
    first = row_event("1", user_id="5", Agent=None)
    second = row_event(
        "2",
        started_at="2024-01-10T09:43:00+01:00",
        answered_at="2024-01-10T09:43:05+01:00",
        ended_at="2024-01-10T09:45:00+01:00",
        talking_time=115,
        user_id="6",
        Agent=None,
    )
    for order in permutations([first, second]):
        record = record_of(*((n * HOUR, each) for n, each in enumerate(order, 1)))
        assert (record["agent_id"], record["talking_seconds"], record["call_id"]) == ("6", 115, "1")
        assert (record["started_at"], record["ended_at"]) == ("2024-01-10T08:42:11Z", "2024-01-10T08:45:00Z")
        assert [leg["agent_id"] for leg in record["legs"]] == ["5", "6"]
        assert record["cloudtalk_data"]["Cdr"]["id"] == "2"


def test_a_public_link_to_the_recording_wins_over_the_one_of_the_api() -> None:
    recording = event(Kind.RECORDING, ID, recording_url="https://example.test/1.wav")
    for order in permutations([recording, row_event(recorded=True)]):
        record = record_of(*((n * HOUR, each) for n, each in enumerate(order, 1)))
        assert record["recording_url"] == "https://example.test/1.wav"
    in_api = record_of((HOUR, row_event(recorded=True)))["recording_url"]
    assert in_api == "https://my.cloudtalk.io/api/calls/recording/484371839.json"


def test_the_digest_of_a_row_is_that_of_the_last_fetch() -> None:
    state = None
    rows = [row_event(), row_event(Tags=[]), row_event()]
    for seq, row in enumerate(rows, 1):
        state = join_event(state, row, seq=seq, received_at=Instant(STARTED_AT + seq * HOUR))
        assert state.fact("row:484371839") == row.fact("row:484371839")


def test_the_id_of_a_customers_automation_and_that_of_cloudtalk_are_no_two_legs() -> None:
    webhook = event(Kind.ENDED, "other:made-up", dialect="mission", started_at=STARTED_AT, status="answered")
    other = event(Kind.ENDED, "other:made-up-2", dialect="mission", started_at=STARTED_AT)
    for order in permutations([webhook, row_event()]):
        record = record_of(*((n * HOUR, each) for n, each in enumerate(order, 1)))
        assert (len(record["legs"]), record["call_id"]) == (1, "484371839")
    assert len(record_of((HOUR, webhook), (HOUR, other))["legs"]) == 2
    assert len(record_of((HOUR, row_event("1")), (HOUR, row_event("2")))["legs"]) == 2


def test_the_fetch_counts_for_edits_only_also_beside_other_fields_of_the_row() -> None:
    first, second = row_event(Tags=[{"name": "a"}]), row_event(Tags=[{"name": "b"}])
    webhook = ended(talking=27, duration=36)
    for order in permutations([first, second, webhook]):
        expected = [each for each in order if each.is_from_history][-1].fact("tags")
        assert record_of(*((n * HOUR, each) for n, each in enumerate(order, 1)))["tags"] == expected
