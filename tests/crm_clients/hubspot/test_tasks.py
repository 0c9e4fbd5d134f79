"""A task for who was missed: one per number and day, for the right person, and never reopened."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from starlette.responses import JSONResponse

from crm_clients.base import Retry
from crm_clients.state import InMemoryClientState
from relay.call import Call, Status
from tests.crm_clients.hubspot.conftest import Connect
from tests.fakes.hubspot import HubSpot
from tests.fakes.hubspot_answers import problem
from tests.support.hubspot import call, first, gone, later, missed, remote_id, words

ANSWERED = {"status": Status.COMPLETED, "follow_up": False, "talking_seconds": 30}


async def test_a_missed_call_is_to_be_called_back_the_same_day(hubspot: HubSpot, connect: Connect) -> None:
    contact = hubspot.contacts.put(phone="+34600111222")
    assert words(await connect().upsert([first(missed(contact_name="Ana Ruiz"))])) == ["delivered"]
    task = hubspot.tasks.one()
    due = datetime.fromtimestamp(int(task.properties.pop("hs_timestamp")) / 1000, UTC)
    assert due == datetime(2026, 11, 24, 22, 59, tzinfo=UTC)
    assert task.properties == {
        "cloudtalk_task_id": "+34600111222:2026-11-24",
        "hs_task_subject": "Call back Ana Ruiz (+34600111222)",
        "hs_task_body": "<p><strong>CloudTalk</strong><br>Missed call on 2026-11-24 10:42 (Europe/Madrid) "
        "from Ana Ruiz (+34600111222).<br>They called +34910000001.</p>",
        "hs_task_status": "NOT_STARTED",
        "hs_task_priority": "HIGH",
        "hs_task_type": "CALL",
        "hubspot_owner_id": "7001",
    }
    assert hubspot.contacts_of_task(task) == {contact}


async def test_the_contacts_owner_calls_back_else_the_default_else_the_agent(
    hubspot: HubSpot, connect: Connect
) -> None:
    bea, boss = hubspot.hire("bea@example.test"), hubspot.hire("boss@example.test")
    hubspot.contacts.put(phone="+34600000001", hubspot_owner_id=bea)
    hubspot.contacts.put(phone="+34600000002")
    pushes = [first(missed(f"cloudtalk-{n}", external_number=f"+3460000000{n}")) for n in (1, 2, 3)]
    for client in (connect(default_owner="boss@example.test"), connect(default_owner=boss)):
        assert {*words(await client.upsert(pushes))} == {"delivered"}
        owners = {each["cloudtalk_task_id"][:12]: each["hubspot_owner_id"] for each in hubspot.tasks}
        assert owners == {"+34600000001": bea, "+34600000002": boss, "+34600000003": boss}
    await connect().upsert([first(missed("cloudtalk-4", external_number="+34600000004"))])
    assert (
        hubspot.tasks.one(cloudtalk_task_id="+34600000004:2026-11-24").properties["hubspot_owner_id"]
        == "7001"
    )


async def test_a_remembered_contacts_owner_is_asked_for_when_that_is_long_ago(
    hubspot: HubSpot, connect: Connect, memory: InMemoryClientState
) -> None:
    contact = hubspot.contacts.put(phone="+34600111222")
    client = connect()
    await client.upsert([first(call())])
    bea = hubspot.hire("bea@example.test")
    hubspot.contacts.records[contact].properties["hubspot_owner_id"] = bea
    await memory.set_many({"contact_owner:+34600111222": None})
    await client.upsert([first(missed("cloudtalk-2"))])
    assert hubspot.tasks.one().properties["hubspot_owner_id"] == bea


async def test_it_is_one_task_per_number_and_day_of_the_team(hubspot: HubSpot, connect: Connect) -> None:
    calls = [
        missed("cloudtalk-1", started_at="2026-11-24T09:00:00Z"),
        missed("cloudtalk-2", started_at="2026-11-24T10:00:00Z"),
        missed("cloudtalk-3", started_at="2026-11-24T23:30:00Z"),  # the next day in Madrid
        missed("cloudtalk-4", started_at="2026-11-24T10:00:00Z", external_number="+34600999888"),
    ]
    client = connect()
    await client.upsert([first(calls[0]), first(calls[2])])
    await client.upsert([first(calls[1]), first(calls[3])])
    assert {each["cloudtalk_task_id"] for each in hubspot.tasks} == {
        "+34600111222:2026-11-24",
        "+34600111222:2026-11-25",
        "+34600999888:2026-11-24",
    }


async def test_a_voicemail_is_one_too_and_a_withheld_number_has_a_task_of_its_own(
    hubspot: HubSpot, connect: Connect
) -> None:
    voicemail = missed(status=Status.VOICEMAIL, external_number=None)
    assert words(await connect().upsert([first(voicemail)])) == ["delivered"]
    said = hubspot.tasks.one().properties
    assert said["cloudtalk_task_id"] == "cloudtalk-1"
    assert "Voicemail" in said["hs_task_body"]


async def test_switched_off_or_answered_nobody_calls_back(hubspot: HubSpot, connect: Connect) -> None:
    await connect(follow_up_tasks=False).upsert([first(missed())])
    await connect().upsert([first(call("cloudtalk-2"))])
    assert len(hubspot.tasks) == 0


async def test_a_completed_task_stays_completed_when_the_recording_arrives(
    hubspot: HubSpot, connect: Connect, memory: InMemoryClientState
) -> None:
    client = connect()
    [outcome] = await client.upsert([first(missed())])
    task = hubspot.tasks.one()
    task.properties |= {"hs_task_status": "COMPLETED", "hubspot_owner_id": "7001", "hs_task_subject": "Done"}
    before = dict(task.properties)
    recorded = later(missed(), remote_id=remote_id(outcome), recording_url="https://example.test/a.wav")
    assert words(await client.upsert([recorded])) == ["delivered"]
    memory.entries.clear()  # and also if all is forgotten, and the call is brought anew
    assert words(await connect().upsert([first(missed())])) == ["delivered"]
    assert hubspot.tasks.one().properties == before


async def test_a_task_whose_answer_was_lost_is_there_once(hubspot: HubSpot, connect: Connect) -> None:
    contact = hubspot.contacts.put(phone="+34600111222")
    client = connect()
    hubspot.lose_answer(path="tasks/batch/create")
    pushes = [first(missed()), first(missed("cloudtalk-2", external_number="+34600999888"))]
    assert words(await client.upsert(pushes)) == ["retry", "retry"]
    hubspot.tasks.records.popitem()  # one of them was never made
    assert words(await client.upsert(pushes)) == ["delivered", "delivered"]
    assert len(hubspot.tasks) == 2
    assert hubspot.contacts_of_task(hubspot.tasks.one(cloudtalk_task_id="+34600111222:2026-11-24")) == {
        contact
    }


async def test_a_task_that_is_there_is_found_also_if_hubspot_does_not_name_it(
    hubspot: HubSpot, connect: Connect, memory: InMemoryClientState
) -> None:
    client = connect()
    await client.upsert([first(missed())])
    memory.entries.clear()
    conflict = {"status": "error", "category": "CONFLICT", "message": "A task with that value exists."}
    said = {"status": "COMPLETE", "results": [], "numErrors": 1, "errors": [conflict]}
    hubspot.answer(JSONResponse(said, 207), path="tasks/batch/create")
    assert words(await client.upsert([first(missed("cloudtalk-2"))])) == ["delivered"]
    assert len(hubspot.tasks) == 1


async def test_an_owner_who_has_left_gives_way_to_the_next(hubspot: HubSpot, connect: Connect) -> None:
    boss = hubspot.hire("boss@example.test")
    hubspot.contacts.put(phone="+34600000001", hubspot_owner_id="9999")
    hubspot.contacts.put(phone="+34600000002", hubspot_owner_id="7001")
    pushes = [first(missed(f"cloudtalk-{n}", external_number=f"+3460000000{n}")) for n in (1, 2)]
    assert words(await connect(default_owner=boss).upsert(pushes)) == ["delivered", "delivered"]
    assert [each["hubspot_owner_id"] for each in hubspot.tasks] == ["7001", boss]
    pushes = [first(missed("cloudtalk-3", external_number="+34600000001", started_at="2026-11-25T09:00:00Z"))]
    assert words(await connect(default_owner="9998", owners_by_email=False).upsert(pushes)) == ["delivered"]
    assert "hubspot_owner_id" not in [*hubspot.tasks][-1]


async def test_a_batch_that_is_refused_as_a_whole_for_one_task_makes_the_others(
    hubspot: HubSpot, connect: Connect, memory: InMemoryClientState
) -> None:
    client = connect()
    await client.upsert([first(missed())])
    memory.entries.clear()
    hubspot.answer(problem(409, "Task already exists. Existing ID: 1", "CONFLICT"), path="tasks/batch/create")
    pushes = [first(missed()), first(missed("cloudtalk-2", external_number="+34600999888"))]
    assert words(await client.upsert(pushes)) == ["delivered", "delivered"]
    assert len(hubspot.tasks) == 2


async def test_a_refused_task_rejects_its_call_alone(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.tasks.rules.append(lambda said: "Not this one" if "111222" in said["hs_task_subject"] else None)
    numbers = ["+34600111222", "+34600999888", "+34601111222", "+34600111222"]
    pushes = [first(missed(f"cloudtalk-{n}", external_number=number)) for n, number in enumerate(numbers)]
    assert words(await connect().upsert(pushes)) == ["rejected", "delivered", "rejected", "rejected"]


async def test_a_task_for_a_deleted_contact_finds_the_new_one_at_the_next_attempt(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    contact = hubspot.contacts.put(phone="+34600111222")
    going_on = missed(status=Status.IN_PROGRESS, follow_up=False)
    [outcome] = await client.upsert([first(going_on)])
    hubspot.delete_contact(contact)
    successor = hubspot.contacts.put(phone="+34600111222")
    push = later(going_on, remote_id=remote_id(outcome), status=Status.MISSED, follow_up=True)
    [outcome] = await client.upsert([push])
    assert isinstance(outcome, Retry)
    assert outcome.code == "contact_gone"
    assert words(await client.upsert([push])) == ["delivered"]
    assert hubspot.contacts_of_task(hubspot.tasks.one()) == {successor}


# --- answered after all -----------------------------------------------------------------------


async def test_an_untouched_task_is_completed_with_a_remark_when_its_call_was_answered_after_all(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    [outcome] = await client.upsert([first(missed())])
    answered = later(missed(), remote_id=remote_id(outcome), **ANSWERED)
    assert words(await client.upsert([answered])) == ["delivered"]
    said = hubspot.tasks.one().properties
    assert said["hs_task_status"] == "COMPLETED"
    assert "answered after all" in said["hs_task_body"]
    assert "Missed call on" in said["hs_task_body"]
    before, hubspot.log[:] = dict(said), []
    assert words(await client.upsert([answered])) == ["delivered"]
    assert hubspot.tasks.one().properties == before
    assert hubspot.count("batch/update") == 0


@pytest.mark.parametrize(
    "touched",
    [
        {"hs_task_status": "IN_PROGRESS"},
        {"hs_task_subject": "Call Ana at five"},
        {"hs_task_body": "I'll do it"},
        {"hs_timestamp": "1795633140000"},
        {"hubspot_owner_id": "7002"},
    ],
)
async def test_a_task_that_somebody_has_touched_is_theirs(
    hubspot: HubSpot, connect: Connect, touched: dict[str, str]
) -> None:
    client = connect()
    [outcome] = await client.upsert([first(missed())])
    hubspot.tasks.one().properties |= touched
    before = dict(hubspot.tasks.one().properties)
    assert words(await client.upsert([later(missed(), remote_id=remote_id(outcome), **ANSWERED)])) == [
        "delivered"
    ]
    assert hubspot.tasks.one().properties == before


async def test_markup_that_hubspot_writes_otherwise_is_no_touch(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    [outcome] = await client.upsert([first(missed())])
    task = hubspot.tasks.one().properties
    rewritten = task["hs_task_body"].replace("<br>", "<br />\n")
    task["hs_task_body"] = f'<div dir="auto">{rewritten}</div>'
    await client.upsert([later(missed(), remote_id=remote_id(outcome), **ANSWERED)])
    assert task["hs_task_status"] == "COMPLETED"


async def test_a_due_date_that_hubspot_says_in_other_words_is_no_touch(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    [outcome] = await client.upsert([first(missed())])
    task = hubspot.tasks.one().properties
    task["hs_timestamp"] = "2026-11-24T22:59:00Z"
    await client.upsert([later(missed(), remote_id=remote_id(outcome), **ANSWERED)])
    assert task["hs_task_status"] == "COMPLETED"


async def test_a_task_stays_open_while_another_missed_call_of_that_number_and_day_stands(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    one, other = missed("cloudtalk-1"), missed("cloudtalk-2", started_at="2026-11-24T12:00:00Z")
    outcomes = await client.upsert([first(one), first(other)])
    await client.upsert([later(one, remote_id=remote_id(outcomes[0]), **ANSWERED)])
    assert hubspot.tasks.one().properties["hs_task_status"] == "NOT_STARTED"
    await client.upsert([later(other, remote_id=remote_id(outcomes[1]), **ANSWERED)])
    assert hubspot.tasks.one().properties["hs_task_status"] == "COMPLETED"


async def test_a_call_that_was_forgotten_keeps_no_task_open(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    outcomes = await client.upsert([first(missed("cloudtalk-1")), first(missed("cloudtalk-2"))])
    assert words(await client.forget([gone(missed("cloudtalk-1"))])) == ["delivered"]
    assert hubspot.tasks.one().properties["hs_task_status"] == "NOT_STARTED"
    await client.upsert([later(missed("cloudtalk-2"), remote_id=remote_id(outcomes[1]), **ANSWERED)])
    assert hubspot.tasks.one().properties["hs_task_status"] == "COMPLETED"


async def test_a_call_that_was_tried_as_a_missed_one_and_is_answered_when_it_arrives_leaves_no_open_task(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    hubspot.lose_answer(path="calls/batch/upsert")
    await client.upsert([first(missed())])
    await client.upsert([first(missed())])
    assert words(await client.upsert([first(call())])) == ["delivered"]
    assert hubspot.tasks.one().properties["hs_task_status"] == "COMPLETED"


@pytest.mark.parametrize(
    ("survivor", "status"), [(call, "COMPLETED"), (missed, "NOT_STARTED"), (None, "NOT_STARTED")]
)
async def test_the_task_of_a_record_that_went_into_another_call_is_that_calls(
    hubspot: HubSpot, connect: Connect, survivor: Callable[[str], Call] | None, status: str
) -> None:
    client = connect()
    await client.upsert([first(missed())])
    if survivor is not None:
        await client.upsert([first(survivor("cloudtalk-2"))])
    assert words(await client.retract([gone(missed(), into="cloudtalk-2")])) == ["delivered"]
    assert hubspot.tasks.one().properties["hs_task_status"] == status
    await client.upsert([later(call("cloudtalk-2"), "notes")])
    assert hubspot.tasks.one().properties["hs_task_status"] == "COMPLETED"


async def test_the_task_of_a_record_that_was_none_of_the_crms_is_completed(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    await client.upsert([first(missed())])
    assert words(await client.retract([gone(missed())])) == ["delivered"]
    assert hubspot.tasks.one().properties["hs_task_status"] == "COMPLETED"


async def test_a_task_that_was_handed_over_is_completed_by_the_next_attempt(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    await client.upsert([first(missed()), first(call("cloudtalk-2", external_number="+34600999888"))])
    hubspot.answer(problem(503, "Try later", "INTERNAL_ERROR"), path="calls/batch/read")
    retraction = gone(missed(), into="cloudtalk-2", remote_id="1")
    assert words(await client.retract([retraction])) == ["retry"]
    assert words(await client.retract([retraction])) == ["delivered"]
    assert hubspot.tasks.one().properties["hs_task_status"] == "COMPLETED"


async def test_tasks_that_cannot_be_completed_together_are_no_calls_fault(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    calls = [missed("cloudtalk-1"), missed("cloudtalk-2", external_number="+34600999888")]
    await client.upsert([first(each) for each in calls])
    hubspot.answer(problem(400, "A rule says no.", "VALIDATION_ERROR"), path="tasks/batch/update")
    answered = [later(each, status=Status.COMPLETED, follow_up=False) for each in calls]
    assert words(await client.upsert(answered)) == ["split", "split"]


async def test_a_failure_to_complete_is_tried_again(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    [outcome] = await client.upsert([first(missed())])
    answered = later(missed(), remote_id=remote_id(outcome), **ANSWERED)
    hubspot.answer(problem(503, "Try later", "INTERNAL_ERROR"), path="tasks/batch/update")
    assert words(await client.upsert([answered])) == ["retry"]
    assert words(await client.upsert([answered])) == ["delivered"]
    assert hubspot.tasks.one().properties["hs_task_status"] == "COMPLETED"


async def test_a_task_that_was_deleted_stays_deleted(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    [outcome] = await client.upsert([first(missed())])
    hubspot.tasks.records.clear()
    pushes = [later(missed(), remote_id=remote_id(outcome), **ANSWERED), first(missed("cloudtalk-2"))]
    assert words(await client.upsert(pushes)) == ["delivered", "delivered"]
    assert len(hubspot.tasks) == 0
