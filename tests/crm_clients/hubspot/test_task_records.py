"""A follow-up task as a record: its properties, its digest, and its entry in the client state."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

import msgspec
import pytest

from crm_clients.follow_up import FollowUpRules
from crm_clients.follow_up_tasks import TaskState, missed_by_id
from crm_clients.hubspot.languages import TEXTS, Language
from crm_clients.hubspot.responses import JsonObject, Record
from crm_clients.hubspot.task_records import (
    MissedCall,
    TaskFormat,
    changed_properties,
    complete_input,
    completed_at,
    completion_remark,
    create_input,
    initial_digests,
    is_unchanged,
    task_id,
    unchanged_properties,
)
from relay.call import Call, Status
from relay.standards.office_hours import OfficeHours
from tests.support.hubspot import missed_call

MADRID = ZoneInfo("Europe/Madrid")
FORMAT = TaskFormat(MADRID, TEXTS["en"], constants={})
DUE = "1795516931000"
"""2026-11-24 11:42:11 in Madrid, an hour after the call."""


def state_of(*calls: Call) -> TaskState:
    return TaskState("", []).join(missed_by_id(calls, FORMAT.rules))


def create(missed: MissedCall, format_: TaskFormat = FORMAT) -> JsonObject:
    return create_input("key", missed, state_of(missed.call), format_)


def digests(missed: MissedCall) -> dict[str, str]:
    return initial_digests(missed, state_of(missed.call), FORMAT)


def test_the_next_task_of_a_customer_and_day_has_a_number() -> None:
    assert (task_id("key", 1), task_id("key", 2)) == ("key", "key:2")


def test_the_input_of_a_new_task_has_exactly_its_properties_and_its_contacts() -> None:
    missed = MissedCall(missed_call(contact_name="Ana Ruiz"), ("7", "8"), owner_ids=("7001", "7002"))
    assert create(missed) == {
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
            "hs_task_priority": "MEDIUM",
            "hs_task_type": "CALL",
            "hubspot_owner_id": "7001",
        },
    }


def test_a_task_of_a_call_outside_the_office_hours_is_due_after_the_next_opening() -> None:
    rules = FollowUpRules(hours=OfficeHours(MADRID, ((9 * 60, 18 * 60),)), within=timedelta(minutes=30))
    format_ = msgspec.structs.replace(FORMAT, rules=rules)
    created = create(MissedCall(missed_call(started_at="2026-11-20T20:00:00Z")), format_)
    due = datetime.fromtimestamp(int(created["properties"]["hs_timestamp"]) / 1000, MADRID)
    assert f"{due:%a %Y-%m-%d %H:%M}" == "Mon 2026-11-23 09:30"


def test_a_task_without_owner_contact_and_called_number_leaves_them_out() -> None:
    created = create(MissedCall(missed_call(internal_number=None)))
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
    ],
)
def test_the_body_of_a_task_says_what_kind_of_call_was_missed(status: Status, kind: str) -> None:
    created = create(MissedCall(missed_call(status=status)))
    assert f"<br>{kind} on 2026" in created["properties"]["hs_task_body"]


def test_constants_replace_the_properties_of_a_task() -> None:
    format_ = msgspec.structs.replace(FORMAT, constants={"hs_task_priority": "LOW", "team": "sales"})
    properties = create(MissedCall(missed_call(), owner_ids=("7001",)), format_)["properties"]
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
    ("call", "english", "spanish"),
    [
        (
            missed_call(status=Status.COMPLETED, follow_up=False),
            "Nobody needs to call back any more: the call was answered after all.",
            "Ya no hay que devolver la llamada: al final se atendió.",
        ),
        (called_back(59), "Called back after 59 s.", "Se habló con el cliente 59 s después."),
        (
            called_back(860, "Ana Gil"),
            "Called back after 14 min by Ana Gil.",
            "Ana Gil habló con el cliente 14 min después.",
        ),
        (
            called_back(97_200, "Ana {x}"),
            "Called back after 1 d 3 h by Ana {x}.",
            "Ana {x} habló con el cliente 1 d 3 h después.",
        ),
    ],
)
def test_the_remark_says_when_somebody_talked_to_the_customer(call: Call, english: str, spanish: str) -> None:
    settled = state_of(missed_call()).settle([call])
    assert completion_remark(settled, [call], TEXTS["en"]) == english
    assert completion_remark(settled, [call], TEXTS["es"]) == spanish


# --- repeated calls -----------------------------------------------------------------------------

OFTEN = (
    missed_call("cloudtalk-2", started_at="2026-11-24T11:05:00Z", status=Status.VOICEMAIL),
    missed_call("cloudtalk-1"),
    missed_call("cloudtalk-3", started_at="2026-11-24T12:00:00Z", internal_number="+34910000002"),
)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        (
            "en",
            (
                "3 missed calls on 2026-11-24 (Europe/Madrid) from +34600111222: 10:42, "
                "12:05 (voicemail), 13:00.<br>They called +34910000001, +34910000002."
            ),
        ),
        (
            "es",
            (
                "3 llamadas perdidas el 2026-11-24 (Europe/Madrid) de +34600111222: 10:42, "
                "12:05 (mensaje de voz), 13:00.<br>Llamó al +34910000001, +34910000002."
            ),
        ),
    ],
)
def test_repeated_calls_are_counted_and_raise_the_priority(language: Language, text: str) -> None:
    format_ = msgspec.structs.replace(FORMAT, texts=TEXTS[language])
    changed = changed_properties(state_of(*OFTEN), OFTEN[0], format_)
    assert changed == {
        "hs_task_body": f"<p><strong>CloudTalk</strong><br>{text}</p>",
        "hs_task_priority": "HIGH",
    }


def test_what_the_task_has_already_and_what_a_constant_sets_is_not_written() -> None:
    state = state_of(*OFTEN)
    written = initial_digests(MissedCall(OFTEN[0]), state, FORMAT)
    assert changed_properties(msgspec.structs.replace(state, digests=written), OFTEN[1], FORMAT) == {}
    fixed = msgspec.structs.replace(FORMAT, constants={"hs_task_priority": "LOW"})
    assert changed_properties(state, OFTEN[0], fixed).keys() == {"hs_task_body"}
    nobody = state.settle([missed_call(each.id, status=Status.COMPLETED) for each in OFTEN])
    assert changed_properties(nobody, OFTEN[0], FORMAT) == {}


# --- has somebody changed the task? -------------------------------------------------------------

MISSED = MissedCall(missed_call(), owner_ids=("7001",))
STORED = {
    "hs_task_status": "NOT_STARTED",
    "hs_task_subject": "Call back +34600111222",
    "hs_task_body": "<p><strong>CloudTalk</strong><br>Missed call on 2026-11-24 10:42 (Europe/Madrid) from "
    "+34600111222.<br>They called +34910000001.</p>",
    "hs_timestamp": DUE,
    "hs_task_priority": "MEDIUM",
    "hubspot_owner_id": "7001",
}


@pytest.mark.parametrize(
    ("changes", "unchanged"),
    [
        ({}, True),
        ({"hs_task_type": "TODO", "hs_lastmodifieddate": "1"}, True),
        ({"hs_timestamp": "2026-11-24T10:42:11Z"}, True),
        ({"hs_timestamp": "2026-11-24T10:42:11.000Z"}, True),
        ({"hs_timestamp": "2026-11-24T10:42:12Z"}, False),
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
    assert is_unchanged(Record("7", STORED | {**changes}), digests(MISSED)) is unchanged


def test_each_property_that_nobody_has_changed_is_known() -> None:
    task = Record("7", STORED | {"hs_task_status": "IN_PROGRESS", "hubspot_owner_id": "7002"})
    unchanged = {"hs_task_subject", "hs_task_body", "hs_timestamp", "hs_task_priority"}
    assert unchanged_properties(task, digests(MISSED)) == unchanged


@pytest.mark.parametrize(
    ("stored", "seconds"),
    [("1795516931000", 1795516931.0), ("2026-11-24T10:42:11Z", 1795516931.0), ("", None), ("soon", None)],
)
def test_the_time_of_completion_is_milliseconds_or_iso_8601(stored: str, seconds: float | None) -> None:
    assert completed_at(Record("7", {"hs_task_completion_date": stored})) == seconds


def test_the_digests_in_the_client_state_stay_valid() -> None:
    whole = msgspec.json.encode(digests(MISSED), order="sorted")
    assert sha256(whole).hexdigest() == "7e727418a54be39c77d6f6cabafcbdab717893563cb3684ac2023d639f36706f"


def test_milliseconds_are_not_read_as_a_date() -> None:
    """1795042740000 is also a date and a time in ISO 8601, of the year 1795."""
    missed = MissedCall(missed_call(started_at="2026-11-18T21:59:00Z"), owner_ids=("7001",))
    created = create(missed)["properties"]
    assert created["hs_timestamp"] == "1795042740000"
    stored = Record("7", created | {"hs_timestamp": "2026-11-18T22:59:00Z"})
    assert is_unchanged(stored, digests(missed))


def test_a_property_that_hubspot_does_not_return_is_empty() -> None:
    written = digests(MissedCall(missed_call()))
    without_owner = {name: text for name, text in STORED.items() if name != "hubspot_owner_id"}
    assert is_unchanged(Record("7", without_owner), written)
    assert not is_unchanged(Record("7", {}), written)
