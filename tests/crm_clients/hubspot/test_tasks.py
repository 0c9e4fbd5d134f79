"""Follow-up tasks: one per number and day, with the right owner, never reopened."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from crm_clients.base import Retry
from crm_clients.follow_up import FollowUpRules
from crm_clients.state import InMemoryClientState
from relay.call import Call, Status
from tests.crm_clients.hubspot.conftest import Connect
from tests.fakes.hubspot import HubSpot
from tests.fakes.hubspot_records import Property
from tests.fakes.hubspot_responses import error_response, missing_scope_response
from tests.support.fake_time import FakeTime
from tests.support.hubspot import (
    call,
    first_push,
    later_push,
    missed_call,
    outcome_names,
    remote_id,
    retraction,
)

ANSWERED: dict[str, Any] = {"status": Status.COMPLETED, "follow_up": False, "talking_seconds": 30}


async def test_a_missed_call_creates_a_task_due_an_hour_later(hubspot: HubSpot, connect: Connect) -> None:
    contact = hubspot.contacts.add(phone="+34600111222")
    assert outcome_names(await connect().upsert([first_push(missed_call(contact_name="Ana Ruiz"))])) == [
        "delivered"
    ]
    task = hubspot.tasks.get_one()
    due = datetime.fromtimestamp(int(task.properties.pop("hs_timestamp")) / 1000, UTC)
    assert due == datetime(2026, 11, 24, 10, 42, 11, tzinfo=UTC)
    assert task.properties == {
        "cloudtalk_task_id": "+34600111222:2026-11-24",
        "hs_task_subject": "Call back Ana Ruiz (+34600111222)",
        "hs_task_body": "<p><strong>CloudTalk</strong><br>Missed call on 2026-11-24 10:42 (Europe/Madrid) "
        "from Ana Ruiz (+34600111222).<br>They called +34910000001.</p>",
        "hs_task_status": "NOT_STARTED",
        "hs_task_priority": "MEDIUM",
        "hs_task_type": "CALL",
        "hubspot_owner_id": "7001",
    }
    assert hubspot.contact_ids_of_task(task) == {contact}


async def test_every_task_gets_the_constants_and_counts_as_unchanged(
    hubspot: HubSpot, connect: Connect
) -> None:
    hubspot.tasks.properties["team"] = Property("team")
    client = connect(task_constants={"team": "sales", "hs_task_priority": "LOW", "hs_task_type": "TODO"})
    [outcome] = await client.upsert([first_push(missed_call())])
    task = hubspot.tasks.get_one().properties
    assert (task["team"], task["hs_task_priority"], task["hs_task_type"]) == ("sales", "LOW", "TODO")
    await client.upsert([later_push(missed_call(), remote_id=remote_id(outcome), **ANSWERED)])
    assert task["hs_task_status"] == "COMPLETED"


async def test_a_task_is_owned_by_the_contacts_owner_else_the_default_owner_else_the_agent(
    hubspot: HubSpot, connect: Connect
) -> None:
    bea, boss = hubspot.add_owner("bea@example.test"), hubspot.add_owner("boss@example.test")
    hubspot.contacts.add(phone="+34600000001", hubspot_owner_id=bea)
    hubspot.contacts.add(phone="+34600000002")
    pushes = [first_push(missed_call(f"cloudtalk-{n}", external_number=f"+3460000000{n}")) for n in (1, 2, 3)]
    for client in (connect(default_owner="boss@example.test"), connect(default_owner=boss)):
        assert {*outcome_names(await client.upsert(pushes))} == {"delivered"}
        owners = {each["cloudtalk_task_id"][:12]: each["hubspot_owner_id"] for each in hubspot.tasks}
        assert owners == {"+34600000001": bea, "+34600000002": boss, "+34600000003": boss}
    await connect().upsert([first_push(missed_call("cloudtalk-4", external_number="+34600000004"))])
    assert (
        hubspot.tasks.get_one(cloudtalk_task_id="+34600000004:2026-11-24").properties["hubspot_owner_id"]
        == "7001"
    )


async def test_the_owner_of_a_cached_contact_is_looked_up_again_after_an_hour(
    hubspot: HubSpot, connect: Connect, fake_time: FakeTime
) -> None:
    contact = hubspot.contacts.add(phone="+34600111222")
    client = connect()
    await client.upsert([first_push(call())])
    bea = hubspot.add_owner("bea@example.test")
    hubspot.contacts.records[contact].properties["hubspot_owner_id"] = bea
    fake_time.now += 3_601
    await client.upsert([first_push(missed_call("cloudtalk-2"))])
    assert hubspot.tasks.get_one().properties["hubspot_owner_id"] == bea


async def test_there_is_one_task_per_number_and_day_in_the_teams_time_zone(
    hubspot: HubSpot, connect: Connect
) -> None:
    calls = [
        missed_call("cloudtalk-1", started_at="2026-11-24T09:00:00Z"),
        missed_call("cloudtalk-2", started_at="2026-11-24T10:00:00Z"),
        missed_call("cloudtalk-3", started_at="2026-11-24T23:30:00Z"),  # the next day in Madrid
        missed_call("cloudtalk-4", started_at="2026-11-24T10:00:00Z", external_number="+34600999888"),
    ]
    client = connect()
    await client.upsert([first_push(calls[0]), first_push(calls[2])])
    await client.upsert([first_push(calls[1]), first_push(calls[3])])
    assert {each["cloudtalk_task_id"] for each in hubspot.tasks} == {
        "+34600111222:2026-11-24",
        "+34600111222:2026-11-25",
        "+34600999888:2026-11-24",
    }


async def test_a_voicemail_creates_a_task_and_a_withheld_number_has_its_own(
    hubspot: HubSpot, connect: Connect
) -> None:
    voicemail = missed_call(status=Status.VOICEMAIL, external_number=None)
    assert outcome_names(await connect().upsert([first_push(voicemail)])) == ["delivered"]
    task = hubspot.tasks.get_one().properties
    assert task["cloudtalk_task_id"] == "cloudtalk-1"
    assert "Voicemail" in task["hs_task_body"]


@pytest.mark.parametrize("external", [None, "+266696687", "+86282452253", "101", "Private 12"])
async def test_callers_who_cannot_be_called_back_do_not_share_a_task(
    hubspot: HubSpot, connect: Connect, external: str | None
) -> None:
    calls = [missed_call(f"cloudtalk-{n}", external_number=external) for n in (1, 2)]
    assert outcome_names(await connect().upsert(list(map(first_push, calls)))) == ["delivered"] * 2
    assert {task["cloudtalk_task_id"] for task in hubspot.tasks} == {"cloudtalk-1", "cloudtalk-2"}


async def test_no_task_is_created_for_answered_calls_or_with_follow_up_tasks_off(
    hubspot: HubSpot, connect: Connect
) -> None:
    await connect(follow_up_tasks=False).upsert([first_push(missed_call())])
    await connect().upsert([first_push(call("cloudtalk-2"))])
    assert len(hubspot.tasks) == 0


async def test_a_task_that_a_person_completed_is_never_changed(
    hubspot: HubSpot, connect: Connect, state: InMemoryClientState
) -> None:
    client = connect()
    [outcome] = await client.upsert([first_push(missed_call())])
    task = hubspot.tasks.get_one()
    task.properties |= {"hs_task_status": "COMPLETED", "hubspot_owner_id": "7001", "hs_task_subject": "Done"}
    before = dict(task.properties)
    recorded = later_push(
        missed_call(), remote_id=remote_id(outcome), recording_url="https://example.test/a.wav"
    )
    assert outcome_names(await client.upsert([recorded])) == ["delivered"]
    state.entries.clear()  # also without client state, and as a first delivery
    assert outcome_names(await connect().upsert([first_push(missed_call())])) == ["delivered"]
    assert hubspot.tasks.get_one().properties == before


async def test_a_task_whose_response_was_lost_is_created_once(hubspot: HubSpot, connect: Connect) -> None:
    contact = hubspot.contacts.add(phone="+34600111222")
    client = connect()
    hubspot.lose_response(path="tasks/batch/create")
    pushes = [
        first_push(missed_call()),
        first_push(missed_call("cloudtalk-2", external_number="+34600999888")),
    ]
    assert outcome_names(await client.upsert(pushes)) == ["retry", "retry"]
    hubspot.tasks.records.popitem()  # one of them was not created
    assert outcome_names(await client.upsert(pushes)) == ["delivered", "delivered"]
    assert len(hubspot.tasks) == 2
    assert hubspot.contact_ids_of_task(
        hubspot.tasks.get_one(cloudtalk_task_id="+34600111222:2026-11-24")
    ) == {contact}


async def test_an_existing_task_is_found_even_if_the_conflict_names_no_record(
    hubspot: HubSpot, connect: Connect, state: InMemoryClientState
) -> None:
    client = connect()
    await client.upsert([first_push(missed_call())])
    state.entries.clear()
    conflict = {"status": "error", "category": "CONFLICT", "message": "A task with that value exists."}
    body = {"status": "COMPLETE", "results": [], "numErrors": 1, "errors": [conflict]}
    hubspot.respond_with(JSONResponse(body, 207), path="tasks/batch/create")
    assert outcome_names(await client.upsert([first_push(missed_call("cloudtalk-2"))])) == ["delivered"]
    assert len(hubspot.tasks) == 1


async def test_if_hubspot_refuses_the_owner_the_task_gets_the_next_one(
    hubspot: HubSpot, connect: Connect
) -> None:
    boss = hubspot.add_owner("boss@example.test")
    hubspot.contacts.add(phone="+34600000001", hubspot_owner_id="9999")
    hubspot.contacts.add(phone="+34600000002", hubspot_owner_id="7001")
    pushes = [first_push(missed_call(f"cloudtalk-{n}", external_number=f"+3460000000{n}")) for n in (1, 2)]
    assert outcome_names(await connect(default_owner=boss).upsert(pushes)) == ["delivered", "delivered"]
    assert [each["hubspot_owner_id"] for each in hubspot.tasks] == ["7001", boss]
    pushes = [
        first_push(
            missed_call("cloudtalk-3", external_number="+34600000001", started_at="2026-11-25T09:00:00Z")
        )
    ]
    assert outcome_names(await connect(default_owner="9998", owners_by_email=False).upsert(pushes)) == [
        "delivered"
    ]
    assert "hubspot_owner_id" not in [*hubspot.tasks][-1]


async def test_if_one_existing_task_fails_the_batch_the_others_are_created(
    hubspot: HubSpot, connect: Connect, state: InMemoryClientState
) -> None:
    client = connect()
    await client.upsert([first_push(missed_call())])
    state.entries.clear()
    hubspot.respond_with(
        error_response(409, "Task already exists. Existing ID: 1", "CONFLICT"), path="tasks/batch/create"
    )
    pushes = [
        first_push(missed_call()),
        first_push(missed_call("cloudtalk-2", external_number="+34600999888")),
    ]
    assert outcome_names(await client.upsert(pushes)) == ["delivered", "delivered"]
    assert len(hubspot.tasks) == 2


async def test_a_refused_task_concerns_only_its_own_calls(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.tasks.rules.append(lambda task: "Not this one" if "111222" in task["hs_task_subject"] else None)
    numbers = ["+34600111222", "+34600999888", "+34601111222", "+34600111222"]
    pushes = [
        first_push(missed_call(f"cloudtalk-{n}", external_number=number)) for n, number in enumerate(numbers)
    ]
    outcomes = await connect().upsert(pushes)
    assert outcome_names(outcomes) == ["delivered"] * 4
    assert [each.code for each in outcomes] == ["task_refused", None, "task_refused", "task_refused"]


async def test_after_a_deleted_contact_the_next_attempt_links_the_task_to_its_successor(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    contact = hubspot.contacts.add(phone="+34600111222")
    in_progress = missed_call(status=Status.IN_PROGRESS, follow_up=False)
    [outcome] = await client.upsert([first_push(in_progress)])
    hubspot.delete_contact(contact)
    successor = hubspot.contacts.add(phone="+34600111222")
    push = later_push(in_progress, remote_id=remote_id(outcome), status=Status.MISSED, follow_up=True)
    [outcome] = await client.upsert([push])
    assert isinstance(outcome, Retry)
    assert outcome.code == "contact_gone"
    assert outcome_names(await client.upsert([push])) == ["delivered"]
    assert hubspot.contact_ids_of_task(hubspot.tasks.get_one()) == {successor}


# --- completed tasks --------------------------------------------------------------------------


async def test_an_unchanged_task_is_completed_with_a_remark_if_its_call_was_answered_after_all(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    [outcome] = await client.upsert([first_push(missed_call())])
    answered = later_push(missed_call(), remote_id=remote_id(outcome), **ANSWERED)
    assert outcome_names(await client.upsert([answered])) == ["delivered"]
    task = hubspot.tasks.get_one().properties
    assert task["hs_task_status"] == "COMPLETED"
    assert "answered after all" in task["hs_task_body"]
    assert "Missed call on" in task["hs_task_body"]
    before, hubspot.log[:] = dict(task), []
    assert outcome_names(await client.upsert([answered])) == ["delivered"]
    assert hubspot.tasks.get_one().properties == before
    assert hubspot.count_requests("batch/update") == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"hs_task_status": "IN_PROGRESS"},
        {"hs_task_subject": "Call Ana at five"},
        {"hs_task_body": "I'll do it"},
        {"hs_timestamp": "1795633140000"},
        {"hubspot_owner_id": "7002"},
    ],
)
async def test_a_task_that_somebody_changed_is_not_completed(
    hubspot: HubSpot, connect: Connect, changed: dict[str, str]
) -> None:
    client = connect()
    [outcome] = await client.upsert([first_push(missed_call())])
    hubspot.tasks.get_one().properties |= changed
    before = dict(hubspot.tasks.get_one().properties)
    assert outcome_names(
        await client.upsert([later_push(missed_call(), remote_id=remote_id(outcome), **ANSWERED)])
    ) == ["delivered"]
    assert hubspot.tasks.get_one().properties == before


async def test_markup_that_hubspot_rewrites_is_no_change(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    [outcome] = await client.upsert([first_push(missed_call())])
    task = hubspot.tasks.get_one().properties
    rewritten = task["hs_task_body"].replace("<br>", "<br />\n")
    task["hs_task_body"] = f'<div dir="auto">{rewritten}</div>'
    await client.upsert([later_push(missed_call(), remote_id=remote_id(outcome), **ANSWERED)])
    assert task["hs_task_status"] == "COMPLETED"


async def test_a_due_date_in_iso_format_is_no_change(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    [outcome] = await client.upsert([first_push(missed_call())])
    task = hubspot.tasks.get_one().properties
    task["hs_timestamp"] = "2026-11-24T10:42:11Z"
    await client.upsert([later_push(missed_call(), remote_id=remote_id(outcome), **ANSWERED)])
    assert task["hs_task_status"] == "COMPLETED"


async def test_a_task_stays_open_while_another_call_of_that_number_and_day_needs_it(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    one, other = missed_call("cloudtalk-1"), missed_call("cloudtalk-2", started_at="2026-11-24T12:00:00Z")
    outcomes = await client.upsert([first_push(one), first_push(other)])
    await client.upsert([later_push(one, remote_id=remote_id(outcomes[0]), **ANSWERED)])
    assert hubspot.tasks.get_one().properties["hs_task_status"] == "NOT_STARTED"
    await client.upsert([later_push(other, remote_id=remote_id(outcomes[1]), **ANSWERED)])
    assert hubspot.tasks.get_one().properties["hs_task_status"] == "COMPLETED"


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
@pytest.mark.parametrize("together", [True, False])
async def test_repeated_calls_share_a_task_that_says_how_often_and_becomes_urgent(
    hubspot: HubSpot, connect: Connect, order: tuple[int, ...], *, together: bool
) -> None:
    client = connect()
    calls = [missed_call(f"cloudtalk-{n}", started_at=f"2026-11-24T1{n}:00:00Z") for n in range(3)]
    pushes = [first_push(calls[n]) for n in order]
    for batch in [pushes] if together else [[push] for push in pushes]:
        assert {*outcome_names(await client.upsert(batch))} == {"delivered"}
    task = hubspot.tasks.get_one().properties
    assert (
        "3 missed calls on 2026-11-24 (Europe/Madrid) from +34600111222: 11:00, 12:00, 13:00."
        in (task["hs_task_body"])
    )
    assert (task["hs_task_priority"], task["hs_task_status"]) == ("HIGH", "NOT_STARTED")
    back: dict[str, Any] = {
        "follow_up": False,
        "called_back_at": "2026-11-24T13:00:00Z",
        "called_back_by": "Ana Gil",
    }
    for n in order:
        assert outcome_names(await client.upsert([later_push(calls[n], **back)])) == ["delivered"]
    task = hubspot.tasks.get_one().properties
    assert task["hs_task_status"] == "COMPLETED"
    assert "3 missed calls on" in task["hs_task_body"]
    assert "Called back after 3 h by Ana Gil." in task["hs_task_body"]


async def test_what_a_person_changed_in_a_shared_task_stays(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    await client.upsert([first_push(missed_call())])
    task = hubspot.tasks.get_one().properties
    task |= {"hs_task_status": "IN_PROGRESS", "hs_task_body": "I am on it", "hubspot_owner_id": "7002"}
    before = dict(task)
    again = missed_call("cloudtalk-2", started_at="2026-11-24T12:00:00Z")
    assert outcome_names(await client.upsert([first_push(again)])) == ["delivered"]
    assert hubspot.tasks.get_one().properties == before | {"hs_task_priority": "HIGH"}


@pytest.mark.parametrize(
    ("closed_at", "tasks"),
    [("2026-11-24T11:00:00Z", 2), ("2026-11-24T12:30:00Z", 1), (None, 2)],
)
async def test_a_call_after_a_person_closed_the_task_gets_another_one(
    hubspot: HubSpot, connect: Connect, closed_at: str | None, tasks: int
) -> None:
    client = connect()
    await client.upsert([first_push(missed_call())])
    task = hubspot.tasks.get_one().properties
    task["hs_task_status"] = "COMPLETED"
    if closed_at is not None:
        task["hs_task_completion_date"] = closed_at
    before = dict(task)
    again = missed_call("cloudtalk-2", started_at="2026-11-24T12:00:00Z")
    for _ in range(2):  # a repeated push changes nothing
        assert outcome_names(await client.upsert([first_push(again)])) == ["delivered"]
    assert len(hubspot.tasks) == tasks
    first, *others = hubspot.tasks
    assert first == before
    assert [(each["cloudtalk_task_id"], each["hs_task_status"]) for each in others] == [
        ("+34600111222:2026-11-24:2", "NOT_STARTED")
    ] * (tasks - 1)
    assert all("Missed call on 2026-11-24 13:00" in each["hs_task_body"] for each in others)


async def test_a_call_after_the_call_back_gets_another_task(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    one, other = missed_call("cloudtalk-1"), missed_call("cloudtalk-2", started_at="2026-11-24T12:00:00Z")
    await client.upsert([first_push(one)])
    await client.upsert([later_push(one, follow_up=False, called_back_at="2026-11-24T10:00:00Z")])
    await client.upsert([first_push(other)])
    assert [task["hs_task_status"] for task in hubspot.tasks] == ["COMPLETED", "NOT_STARTED"]
    await client.upsert([later_push(other, follow_up=False, called_back_at="2026-11-24T12:05:00Z")])
    assert [task["hs_task_status"] for task in hubspot.tasks] == ["COMPLETED", "COMPLETED"]
    third = missed_call("cloudtalk-3", started_at="2026-11-24T13:00:00Z")
    await client.upsert([first_push(third)])
    assert outcome_names(await client.forget([retraction(one)])) == ["delivered"]
    rounds = [task["cloudtalk_task_id"][23:] for task in hubspot.tasks]
    assert rounds == [":2", ":3"], "only the task that named the call is deleted"
    forgotten = [retraction(other), retraction(third)]
    assert outcome_names(await client.forget(forgotten)) == ["delivered"] * 2
    assert len(hubspot.tasks) == 0


async def test_the_tasks_of_a_number_are_found_after_its_state_was_deleted(
    hubspot: HubSpot, connect: Connect, state: InMemoryClientState
) -> None:
    client = connect()
    one, other = missed_call("cloudtalk-1"), missed_call("cloudtalk-2", started_at="2026-11-24T12:00:00Z")
    await client.upsert([first_push(one)])
    await client.upsert([later_push(one, **ANSWERED)])
    await client.upsert([first_push(other)])
    assert len(hubspot.tasks) == 2
    state.entries.clear()  # as `relay forget` does before it asks the client
    assert outcome_names(await client.forget([retraction(one), retraction(other)])) == ["delivered"] * 2
    assert len(hubspot.tasks) == 0


async def test_the_first_call_after_a_forgotten_task_gets_a_task(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    calls = [missed_call(f"cloudtalk-{n}", started_at=f"2026-11-24T1{n}:00:00Z") for n in range(3)]
    await client.upsert([first_push(calls[0]), first_push(calls[1])])
    await client.upsert([later_push(calls[0], **ANSWERED)])
    await client.forget([retraction(calls[1])])
    assert len(hubspot.tasks) == 0
    assert outcome_names(await client.upsert([first_push(calls[2])])) == ["delivered"]
    assert hubspot.tasks.get_one().properties["cloudtalk_task_id"] == "+34600111222:2026-11-24:2"


async def test_a_shared_task_that_cannot_be_changed_is_changed_by_the_next_attempt(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    await client.upsert([first_push(missed_call())])
    again = first_push(missed_call("cloudtalk-2", started_at="2026-11-24T12:00:00Z"))
    for path in ("tasks/batch/read", "tasks/batch/update"):
        hubspot.respond_with(error_response(503, "Try later", "INTERNAL_ERROR"), path=path)
        assert outcome_names(await client.upsert([again])) == ["retry"]
    assert outcome_names(await client.upsert([again])) == ["delivered"]
    task = hubspot.tasks.get_one().properties
    assert "2 missed calls" in task["hs_task_body"]
    assert task["hs_task_priority"] == "HIGH"


async def test_a_task_without_one_of_its_calls_says_so_no_longer(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    calls = [missed_call(f"cloudtalk-{n}", started_at=f"2026-11-24T1{n}:00:00Z") for n in range(3)]
    await client.upsert([first_push(each) for each in calls])
    await client.upsert([later_push(calls[0], **ANSWERED)])
    assert "2 missed calls" in hubspot.tasks.get_one().properties["hs_task_body"]
    assert outcome_names(await client.forget([retraction(calls[1])])) == ["delivered"]
    task = hubspot.tasks.get_one().properties
    assert "Missed call on 2026-11-24 13:00" in task["hs_task_body"]
    assert (task["hs_task_priority"], task["hs_task_status"]) == ("MEDIUM", "NOT_STARTED")


async def test_no_task_is_created_for_a_call_that_is_older_than_the_window(
    hubspot: HubSpot, connect: Connect
) -> None:
    rules = FollowUpRules(window=timedelta(days=7), now=lambda: datetime(2026, 12, 1, 12, tzinfo=UTC))
    client = connect(follow_up=rules)
    old, recent = missed_call("cloudtalk-1"), missed_call("cloudtalk-2", started_at="2026-11-30T12:00:00Z")
    assert outcome_names(await client.upsert([first_push(old), first_push(recent)])) == ["delivered"] * 2
    assert hubspot.tasks.get_one().properties["cloudtalk_task_id"] == "+34600111222:2026-11-30"


async def test_a_forgotten_call_keeps_no_task_open(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    outcomes = await client.upsert(
        [first_push(missed_call("cloudtalk-1")), first_push(missed_call("cloudtalk-2"))]
    )
    assert outcome_names(await client.forget([retraction(missed_call("cloudtalk-1"))])) == ["delivered"]
    assert hubspot.tasks.get_one().properties["hs_task_status"] == "NOT_STARTED"
    await client.upsert(
        [later_push(missed_call("cloudtalk-2"), remote_id=remote_id(outcomes[1]), **ANSWERED)]
    )
    assert hubspot.tasks.get_one().properties["hs_task_status"] == "COMPLETED"


async def test_a_call_answered_before_its_first_delivery_leaves_no_task_open(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    hubspot.lose_response(path="calls/batch/upsert")
    await client.upsert([first_push(missed_call())])
    await client.upsert([first_push(missed_call())])
    assert outcome_names(await client.upsert([first_push(call())])) == ["delivered"]
    assert hubspot.tasks.get_one().properties["hs_task_status"] == "COMPLETED"


@pytest.mark.parametrize(
    ("survivor", "status"), [(call, "COMPLETED"), (missed_call, "NOT_STARTED"), (None, "NOT_STARTED")]
)
async def test_the_task_of_a_merged_call_passes_to_the_surviving_call(
    hubspot: HubSpot, connect: Connect, survivor: Callable[[str], Call] | None, status: str
) -> None:
    client = connect()
    await client.upsert([first_push(missed_call())])
    if survivor is not None:
        await client.upsert([first_push(survivor("cloudtalk-2"))])
    assert outcome_names(await client.retract([retraction(missed_call(), into="cloudtalk-2")])) == [
        "delivered"
    ]
    assert hubspot.tasks.get_one().properties["hs_task_status"] == status
    await client.upsert([later_push(call("cloudtalk-2"), "notes")])
    assert hubspot.tasks.get_one().properties["hs_task_status"] == "COMPLETED"


@pytest.mark.parametrize("direction", ["internal", "outbound", None])
async def test_the_task_of_a_retracted_call_whose_direction_was_corrected_is_completed(
    hubspot: HubSpot, connect: Connect, direction: str | None
) -> None:
    client = connect()
    await client.upsert([first_push(missed_call())])
    corrected = missed_call(direction=direction, follow_up=False)
    assert outcome_names(await client.retract([retraction(corrected)])) == ["delivered"]
    assert hubspot.tasks.get_one().properties["hs_task_status"] == "COMPLETED"


async def test_the_task_of_a_retracted_call_is_completed(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    await client.upsert([first_push(missed_call())])
    assert outcome_names(await client.retract([retraction(missed_call())])) == ["delivered"]
    assert hubspot.tasks.get_one().properties["hs_task_status"] == "COMPLETED"


async def test_a_reassigned_task_is_completed_by_the_next_attempt(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    await client.upsert(
        [first_push(missed_call()), first_push(call("cloudtalk-2", external_number="+34600999888"))]
    )
    hubspot.respond_with(error_response(503, "Try later", "INTERNAL_ERROR"), path="calls/batch/read")
    merged = retraction(missed_call(), into="cloudtalk-2", remote_id="1")
    assert outcome_names(await client.retract([merged])) == ["retry"]
    assert outcome_names(await client.retract([merged])) == ["delivered"]
    assert hubspot.tasks.get_one().properties["hs_task_status"] == "COMPLETED"


async def test_a_batch_of_completions_that_fails_is_split(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    calls = [missed_call("cloudtalk-1"), missed_call("cloudtalk-2", external_number="+34600999888")]
    await client.upsert([first_push(each) for each in calls])
    hubspot.respond_with(
        error_response(400, "A rule says no.", "VALIDATION_ERROR"), path="tasks/batch/update"
    )
    answered = [later_push(each, status=Status.COMPLETED, follow_up=False) for each in calls]
    assert outcome_names(await client.upsert(answered)) == ["split", "split"]


async def test_a_failed_completion_is_retried(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    [outcome] = await client.upsert([first_push(missed_call())])
    answered = later_push(missed_call(), remote_id=remote_id(outcome), **ANSWERED)
    hubspot.respond_with(error_response(503, "Try later", "INTERNAL_ERROR"), path="tasks/batch/update")
    assert outcome_names(await client.upsert([answered])) == ["retry"]
    assert outcome_names(await client.upsert([answered])) == ["delivered"]
    assert hubspot.tasks.get_one().properties["hs_task_status"] == "COMPLETED"


async def test_a_deleted_task_is_not_created_again(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    [outcome] = await client.upsert([first_push(missed_call())])
    hubspot.tasks.records.clear()
    pushes = [
        later_push(missed_call(), remote_id=remote_id(outcome), **ANSWERED),
        first_push(missed_call("cloudtalk-2")),
    ]
    assert outcome_names(await client.upsert(pushes)) == ["delivered", "delivered"]
    assert len(hubspot.tasks) == 0


# --- refused by a rule of the account ---------------------------------------------------------


def forbid_tasks_of_ana(hubspot: HubSpot) -> None:
    hubspot.tasks.rules.append(
        lambda properties: "No tasks for Ana" if "+34600111222" in properties["hs_task_subject"] else None
    )


@pytest.mark.parametrize(
    "missed", [missed_call(), missed_call(status=Status.VOICEMAIL), missed_call(agent_email=None)]
)
async def test_a_call_whose_task_is_refused_is_delivered_and_says_so(
    hubspot: HubSpot, connect: Connect, missed: Call
) -> None:
    contact = hubspot.contacts.add(phone="+34600111222")
    forbid_tasks_of_ana(hubspot)
    other = first_push(missed_call("cloudtalk-2", external_number="+34600999888"))
    outcomes = await connect().upsert([first_push(missed), other])
    assert outcome_names(outcomes) == ["delivered", "delivered"]
    assert [outcome.code for outcome in outcomes] == ["task_refused", None]
    assert "No tasks for Ana" in f"{outcomes[0].message}"
    assert remote_id(outcomes[0]) == hubspot.calls.get_one(cloudtalk_call_id="cloudtalk-1").id
    assert hubspot.contact_ids_of_call("cloudtalk-1") == {contact}
    assert hubspot.tasks.get_one().properties["cloudtalk_task_id"] == "+34600999888:2026-11-24"


@pytest.mark.parametrize("external", ["+34600111222", None])
@pytest.mark.parametrize(
    ("status", "category"),
    [(400, "VALIDATION_ERROR"), (403, "OBJECT_LIMIT"), (403, "FORBIDDEN"), (422, "UNPROCESSABLE")],
)
async def test_a_refused_task_is_created_at_the_next_delivery_once(
    hubspot: HubSpot, connect: Connect, status: int, category: str, external: str | None
) -> None:
    client = connect()
    missed = missed_call(external_number=external)
    refusal = error_response(status, "The rule says no.", category)
    hubspot.respond_with(refusal, path="tasks/batch/create", times=2)
    [outcome] = await client.upsert([first_push(missed)])
    [outcome] = await client.upsert([later_push(missed, remote_id=remote_id(outcome), notes="refused again")])
    assert (outcome.name, outcome.code, len(hubspot.tasks)) == ("delivered", "task_refused", 0)
    [outcome] = await client.upsert([later_push(missed, remote_id=remote_id(outcome), notes="accepted")])
    assert (outcome.name, outcome.code, len(hubspot.tasks)) == ("delivered", None, 1)
    hubspot.log.clear()
    [outcome] = await client.upsert([later_push(missed, remote_id=remote_id(outcome), notes="nothing to do")])
    assert (outcome.code, hubspot.count_requests("batch/create", "tasks")) == (None, 0)


async def test_no_task_is_created_for_a_refused_call_that_was_answered_or_forgotten(
    hubspot: HubSpot, connect: Connect, state: InMemoryClientState
) -> None:
    forbid_tasks_of_ana(hubspot)
    client = connect()
    calls = [missed_call("cloudtalk-1"), missed_call("cloudtalk-2")]
    outcomes = await client.upsert([first_push(each) for each in calls])
    assert [outcome.code for outcome in outcomes] == ["task_refused"] * 2
    hubspot.tasks.rules.clear()
    [outcome] = await client.upsert([later_push(calls[0], remote_id=remote_id(outcomes[0]), **ANSWERED)])
    assert (outcome.code, len(hubspot.tasks)) == (None, 0)
    await client.forget([retraction(calls[1], remote_id=remote_id(outcomes[1]))])
    assert [key for key in state.entries if key.startswith("taskless")] == []


@pytest.mark.parametrize(("status", "category"), [(400, "VALIDATION_ERROR"), (403, "READ_ONLY")])
async def test_a_call_whose_task_may_not_be_completed_is_delivered_and_completed_later(
    hubspot: HubSpot, connect: Connect, status: int, category: str
) -> None:
    client = connect()
    [outcome] = await client.upsert([first_push(missed_call())])
    hubspot.respond_with(error_response(status, "Keep it open.", category), path="tasks/batch/update")
    answered = later_push(missed_call(), remote_id=remote_id(outcome), **ANSWERED)
    [outcome] = await client.upsert([answered])
    assert (outcome.name, outcome.code) == ("delivered", "task_refused")
    assert "Keep it open." in f"{outcome.message}"
    [outcome] = await client.upsert([later_push(answered.call, remote_id=remote_id(outcome), notes="new")])
    assert (outcome.name, outcome.code) == ("delivered", None)
    assert hubspot.tasks.get_one().properties["hs_task_status"] == "COMPLETED"


@pytest.mark.parametrize(("status", "category"), [(400, "VALIDATION_ERROR"), (403, "READ_ONLY"), (422, "X")])
@pytest.mark.parametrize("with_record_id", [True, False])
async def test_a_call_whose_task_may_not_be_completed_is_retracted_and_says_so(
    hubspot: HubSpot, connect: Connect, status: int, category: str, *, with_record_id: bool
) -> None:
    client = connect()
    [outcome] = await client.upsert([first_push(missed_call())])
    hubspot.respond_with(error_response(status, "Keep it open.", category), path="tasks/batch/update")
    of = retraction(missed_call(), remote_id=remote_id(outcome) if with_record_id else None)
    [retracted] = await client.retract([of])
    assert (retracted.name, retracted.code) == ("delivered", "task_refused")
    assert "Keep it open." in f"{retracted.message}"
    assert (len(hubspot.calls), len(hubspot.tasks)) == (0, 1)


@pytest.mark.parametrize("on_merge", ["delete", "mark"])
async def test_a_merged_call_whose_task_may_not_be_completed_is_retracted(
    hubspot: HubSpot, connect: Connect, on_merge: str
) -> None:
    client = connect(on_merge=on_merge)
    await client.setup()
    await client.upsert([first_push(missed_call()), first_push(call("cloudtalk-2"))])
    hubspot.tasks.rules.append(lambda _: "A task needs an outcome")
    [retracted] = await client.retract([retraction(missed_call(), into="cloudtalk-2")])
    assert (retracted.name, retracted.code) == ("delivered", "task_refused")
    ids = [record["cloudtalk_call_id"] for record in hubspot.calls if "cloudtalk_merged_into" not in record]
    assert ids == ["cloudtalk-2"]


async def test_a_task_that_may_not_be_completed_concerns_only_its_own_call(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    calls = [missed_call(f"cloudtalk-{n}", external_number=f"+3460011122{n}") for n in range(3)]
    await client.upsert([first_push(each) for each in calls])
    hubspot.tasks.rules.append(
        lambda properties: "Never" if properties["cloudtalk_task_id"].startswith("+34600111221") else None
    )
    outcomes = await client.retract([retraction(each) for each in calls])
    assert [(o.name, o.code) for o in outcomes] == [
        ("delivered", None),
        ("delivered", "task_refused"),
        ("delivered", None),
    ]
    assert len(hubspot.calls) == 0
    assert [task["hs_task_status"] for task in hubspot.tasks] == ["COMPLETED", "NOT_STARTED", "COMPLETED"]


@pytest.mark.parametrize(
    ("response", "name"),
    [
        (error_response(423, "Locked", "LOCKED"), "retry"),
        (error_response(500, "Internal error", "INTERNAL_ERROR"), "retry"),
        (missing_scope_response("crm.objects.contacts.write"), "misconfigured"),
    ],
)
async def test_a_call_is_not_retracted_before_its_task_while_hubspot_fails(
    hubspot: HubSpot, connect: Connect, response: Response, name: str
) -> None:
    client = connect()
    await client.upsert([first_push(missed_call())])
    hubspot.respond_with(response, path="tasks/batch/update")
    assert outcome_names(await client.retract([retraction(missed_call())])) == [name]
    assert len(hubspot.calls) == 1
    assert outcome_names(await client.retract([retraction(missed_call())])) == ["delivered"]
    assert hubspot.tasks.get_one().properties["hs_task_status"] == "COMPLETED"


async def test_a_call_whose_task_and_contact_are_refused_has_both_reasons(
    hubspot: HubSpot, connect: Connect
) -> None:
    hubspot.contacts.rules.append(lambda _: "Not this contact")
    hubspot.tasks.rules.append(lambda _: "Not this task")
    [outcome] = await connect(contacts="create").upsert([first_push(missed_call())])
    assert (outcome.name, outcome.code) == ("delivered", "task_refused")
    assert "Not this contact" in f"{outcome.message}"
    assert "Not this task" in f"{outcome.message}"


async def test_refused_tasks_that_hubspot_does_not_name_are_split(hubspot: HubSpot, connect: Connect) -> None:
    refusal = error_response(400, "A rule says no.", "VALIDATION_ERROR")
    hubspot.respond_with(refusal, path="tasks/batch/create")
    pushes = [first_push(missed_call(f"cloudtalk-{n}", external_number=f"+3460000000{n}")) for n in (1, 2)]
    assert outcome_names(await connect().upsert(pushes)) == ["split", "split"]


async def test_a_missing_scope_of_tasks_is_misconfigured(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.respond_with(missing_scope_response("crm.objects.contacts.write"), path="tasks/batch/create")
    [outcome] = await connect().upsert([first_push(missed_call())])
    assert (outcome.name, outcome.code) == ("misconfigured", "missing_scope")
