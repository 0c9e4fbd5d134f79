"""A follow-up task as a record: its properties, its digest, and its entry in the client state."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest

from crm_clients.hubspot.languages import TEXTS
from crm_clients.hubspot.responses import Record
from crm_clients.hubspot.task_records import (
    MissedCall,
    TaskFormat,
    TaskState,
    TaskStates,
    complete_input,
    completion_remark,
    create_input,
    initial_digest,
    is_unchanged,
    task_key,
)
from crm_clients.state import InMemoryClientState
from relay.call import Call, Status
from tests.support.hubspot import missed_call

MADRID = ZoneInfo("Europe/Madrid")
FORMAT = TaskFormat(MADRID, TEXTS["en"], constants={})
DUE = "1795561140000"
"""2026-11-24 23:59 in Madrid."""


@pytest.mark.parametrize(
    ("of", "key"),
    [
        (missed_call(), "+34600111222:2026-11-24"),
        (missed_call(started_at="2026-11-24T22:59:59Z"), "+34600111222:2026-11-24"),
        (missed_call(started_at="2026-11-24T23:00:00Z"), "+34600111222:2026-11-25"),
        (missed_call(external_number=None), "cloudtalk-1"),
        (missed_call(external_number="101"), "cloudtalk-1"),
    ],
)
def test_the_key_of_a_task_is_number_and_day_in_the_teams_time_zone_or_the_call(of: Call, key: str) -> None:
    assert task_key(of, MADRID) == key


def test_a_call_without_times_has_its_task_today() -> None:
    timeless = missed_call(started_at=None, ended_at=None)
    days = {f"+34600111222:{datetime.now(MADRID):%Y-%m-%d}"}
    key = task_key(timeless, MADRID)
    assert key in days | {f"+34600111222:{datetime.now(MADRID):%Y-%m-%d}"}


def test_the_input_of_a_new_task_has_exactly_its_properties_and_its_contacts() -> None:
    missed = MissedCall(missed_call(contact_name="Ana Ruiz"), ("7", "8"), owner_ids=("7001", "7002"))
    assert create_input("key", missed, FORMAT) == {
        "objectWriteTraceId": "key",
        "associations": [
            {
                "to": {"id": id_},
                "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 204}],
            }
            for id_ in ("7", "8")
        ],
        "properties": {
            "cloudtalk_task_id": "key",
            "hs_timestamp": DUE,
            "hs_task_subject": "Call back Ana Ruiz (+34600111222)",
            "hs_task_body": "<p><strong>CloudTalk</strong><br>Missed call on 2026-11-24 10:42 "
            "(Europe/Madrid) from Ana Ruiz (+34600111222).<br>They called +34910000001.</p>",
            "hs_task_status": "NOT_STARTED",
            "hs_task_priority": "HIGH",
            "hs_task_type": "CALL",
            "hubspot_owner_id": "7001",
        },
    }


def test_a_task_is_due_at_the_last_minute_of_the_day_whatever_the_time_of_the_call() -> None:
    for time in ("2026-11-24T09:42:11.250Z", "2026-11-24T22:59:59.999Z", "2026-11-23T23:00:00Z"):
        created = create_input("key", MissedCall(missed_call(started_at=time)), FORMAT)
        assert created["properties"]["hs_timestamp"] == DUE


def test_a_task_without_owner_contact_and_called_number_leaves_them_out() -> None:
    created = create_input("key", MissedCall(missed_call(internal_number=None)), FORMAT)
    assert created["associations"] == []
    assert "hubspot_owner_id" not in created["properties"]
    assert created["properties"]["hs_task_body"] == (
        "<p><strong>CloudTalk</strong><br>"
        "Missed call on 2026-11-24 10:42 (Europe/Madrid) from +34600111222.</p>"
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (Status.MISSED, "Missed call"),
        (Status.VOICEMAIL, "Voicemail"),
        (Status.COMPLETED, "Missed call"),  # it was missed when it needed the task
    ],
)
def test_the_body_of_a_task_says_what_kind_of_call_was_missed(status: Status, kind: str) -> None:
    created = create_input("key", MissedCall(missed_call(status=status)), FORMAT)
    assert f"<br>{kind} on 2026" in created["properties"]["hs_task_body"]


def test_constants_replace_the_properties_of_a_task() -> None:
    format_ = msgspec.structs.replace(FORMAT, constants={"hs_task_priority": "LOW", "team": "sales"})
    properties = create_input("key", MissedCall(missed_call(), owner_ids=("7001",)), format_)["properties"]
    assert (properties["hs_task_priority"], properties["team"]) == ("LOW", "sales")
    assert properties["hubspot_owner_id"] == "7001"


@pytest.mark.parametrize(("existing", "body"), [({"hs_task_body": "<p>old</p>"}, "<p>old</p>"), ({}, "")])
def test_a_completed_task_keeps_its_body_and_gets_a_remark(existing: Mapping[str, str], body: str) -> None:
    assert complete_input("key", Record("7", {**existing}), "The remark.", TEXTS["en"]) == {
        "id": "7",
        "objectWriteTraceId": "key",
        "properties": {
            "hs_task_status": "COMPLETED",
            "hs_task_body": f"{body}<p><strong>CloudTalk</strong><br>The remark.</p>",
        },
    }


def called_back(after: int, by: str | None = None) -> Call:
    began = datetime.fromisoformat("2026-11-24T09:42:11Z") + timedelta(seconds=after)
    return missed_call(follow_up=False, called_back_at=f"{began:%Y-%m-%dT%H:%M:%SZ}", called_back_by=by)


@pytest.mark.parametrize(
    ("calls", "english", "spanish"),
    [
        (
            [missed_call(status=Status.COMPLETED, follow_up=False)],
            "Nobody needs to call back any more: the call was answered after all.",
            "Ya no hay que devolver la llamada: al final se atendió.",
        ),
        ([called_back(59)], "Called back after 59 s.", "Se habló con el cliente 59 s después."),
        (
            [called_back(860, "Ana Gil")],
            "Called back after 14 min by Ana Gil.",
            "Ana Gil habló con el cliente 14 min después.",
        ),
        (
            [called_back(3_600, "Ana {x}"), called_back(97_200, "Bea"), called_back(60)],
            "Called back after 1 d 3 h by Bea.",
            "Bea habló con el cliente 1 d 3 h después.",
        ),
    ],
)
def test_the_remark_says_when_somebody_talked_to_the_customer(
    calls: list[Call], english: str, spanish: str
) -> None:
    assert completion_remark(calls, TEXTS["en"]) == english
    assert completion_remark(calls, TEXTS["es"]) == spanish


# --- has somebody changed the task? -------------------------------------------------------------

MISSED = MissedCall(missed_call(), owner_ids=("7001",))
STORED = {
    "hs_task_status": "NOT_STARTED",
    "hs_task_subject": "Call back +34600111222",
    "hs_task_body": "<p><strong>CloudTalk</strong><br>Missed call on 2026-11-24 10:42 (Europe/Madrid) from "
    "+34600111222.<br>They called +34910000001.</p>",
    "hs_timestamp": DUE,
    "hs_task_priority": "HIGH",
    "hubspot_owner_id": "7001",
}


@pytest.mark.parametrize(
    ("changes", "unchanged"),
    [
        ({}, True),
        ({"hs_task_type": "TODO", "hs_lastmodifieddate": "1"}, True),
        ({"hs_timestamp": "2026-11-24T22:59:00Z"}, True),
        ({"hs_timestamp": "2026-11-24T22:59:00.000Z"}, True),
        ({"hs_timestamp": "2026-11-24T22:59:01Z"}, False),
        ({"hs_timestamp": "tomorrow"}, False),
        ({"hs_task_body": f"<div>{STORED['hs_task_body']}</div>"}, True),
        ({"hs_task_body": STORED["hs_task_body"] + "called"}, False),
        ({"hs_task_status": "COMPLETED"}, False),
        ({"hs_task_subject": "Ana"}, False),
        ({"hs_task_priority": "LOW"}, False),
        ({"hubspot_owner_id": "7002"}, False),
    ],
)
def test_a_task_is_changed_if_one_of_the_properties_that_people_edit_is(
    changes: Mapping[str, str], *, unchanged: bool
) -> None:
    digest = initial_digest(MISSED, FORMAT)
    assert is_unchanged(Record("7", STORED | {**changes}), digest) is unchanged


def test_the_digests_in_the_client_state_stay_valid() -> None:
    assert (
        initial_digest(MISSED, FORMAT) == "f237d94272f5bf2b9b9eec625c06fe7bfac170441eca09493da0a4d56c1617e0"
    )


def test_milliseconds_are_not_read_as_a_date() -> None:
    """1795042740000 is also a date and a time in ISO 8601, of the year 1795."""
    missed = MissedCall(missed_call(started_at="2026-11-18T09:42:11Z"), owner_ids=("7001",))
    created = create_input("key", missed, FORMAT)["properties"]
    assert created["hs_timestamp"] == "1795042740000"
    stored = Record("7", created | {"hs_timestamp": "2026-11-18T22:59:00Z"})
    assert is_unchanged(stored, initial_digest(missed, FORMAT))


def test_a_property_that_hubspot_does_not_return_is_empty() -> None:
    digest = initial_digest(MissedCall(missed_call()), FORMAT)
    without_owner = {name: text for name, text in STORED.items() if name != "hubspot_owner_id"}
    assert is_unchanged(Record("7", without_owner), digest)
    assert not is_unchanged(Record("7", {}), digest)


# --- client state -------------------------------------------------------------------------------


def test_the_calls_of_a_task_are_unique_and_in_order() -> None:
    state = TaskState("7", ["a", "b"], "digest")
    assert state.with_calls(["c", "a", "c"]) == TaskState("7", ["a", "b", "c"], "digest")
    assert state.without_calls({"a", "z"}) == TaskState("7", ["b"], "digest")
    assert state.with_call_replaced("a", "z") == TaskState("7", ["z", "b"], "digest")
    assert state.with_call_replaced("a", "b") == TaskState("7", ["b"], "digest")
    assert state.with_call_replaced("z", "y") == state
    assert TaskState("7", []).digest == ""


async def test_the_state_of_a_task_is_kept_by_its_key() -> None:
    state = InMemoryClientState()
    states = TaskStates(state)
    key, other = "+34600111222:2026-11-24", "+34600999888:2026-11-24"
    stored = {key: TaskState("7", ["cloudtalk-1"], "d"), other: TaskState("8", [])}
    await states.set_many(stored)
    assert state.entries.keys() == {f"task:{key}", f"task:{other}"}
    assert await states.get_many([key, other, "never"]) == stored
    await states.delete_many([key])
    assert await states.get_many([key, other]) == {other: TaskState("8", [])}
    assert state.entries.keys() == {f"task:{other}"}
