"""The HubSpot client: one correct record per call, also after failures."""

from typing import Any

import pytest
from starlette.responses import HTMLResponse

from crm_clients.base import Delivered, Misconfigured, Push, Rejected, Retry, Split, Stored
from crm_clients.state import InMemoryClientState
from relay.call import Call, Status
from tests.crm_clients.hubspot.conftest import Connect
from tests.fakes.hubspot import HubSpot, running_hubspot
from tests.fakes.hubspot_records import DISPOSITIONS, Property
from tests.fakes.hubspot_responses import error_response
from tests.support.hubspot import (
    build_client,
    call,
    first_push,
    later_push,
    missed_call,
    outcome_names,
    remote_id,
    retraction,
)
from tests.support.samples import make_call


async def test_a_completed_call_becomes_a_record_with_all_properties(
    hubspot: HubSpot, connect: Connect
) -> None:
    [outcome] = await connect().upsert([first_push(call(summary="Wants a quote.", tags=["vip", "sales"]))])
    record = hubspot.calls.get_one(cloudtalk_call_id="cloudtalk-1")
    assert outcome == Delivered(remote_id=record.id)
    assert record.properties == {
        "cloudtalk_call_id": "cloudtalk-1",
        "hs_timestamp": "1795513331000",
        "hs_call_title": "Inbound call from +34600111222",
        "hs_call_body": "<p><strong>Summary</strong><br>Wants a quote.</p>"
        "<p><strong>Tags</strong><br>vip, sales</p>",
        "hs_call_direction": "INBOUND",
        "hs_call_status": "COMPLETED",
        "hs_call_disposition": "f240bbac-87c9-4f6e-bf70-924b57d47db7",
        "hs_call_duration": "61000",
        "hs_call_from_number": "+34600111222",
        "hs_call_to_number": "+34910000001",
        "hs_call_source": "INTEGRATIONS_PLATFORM",
        "hubspot_owner_id": "7001",
    }


async def test_every_request_has_the_token_and_the_json_content_type(
    hubspot: HubSpot, connect: Connect
) -> None:
    await connect().upsert([first_push(call())])
    for seen in hubspot.log:
        assert seen.headers["authorization"] == "Bearer pat-eu1-secret-of-the-tests"
        assert seen.headers["content-type"] == "application/json"
        assert seen.headers["user-agent"].startswith("cloudtalk-relay/")


async def test_version_3_uses_its_own_paths() -> None:
    with running_hubspot(HubSpot(version="v3")) as running:
        running.hubspot.create_relay_properties()
        contact = running.hubspot.contacts.add(phone="+34600111222")
        client = build_client(running.url, api_version="v3", owners_by_email=False)
        assert outcome_names(await client.upsert([first_push(call())])) == ["delivered"]
        assert running.hubspot.contact_ids_of_call("cloudtalk-1") == {contact}
        await client.aclose()
        assert [seen.path for seen in running.hubspot.log] == [
            "/crm/v3/objects/contacts/search",
            "/crm/v3/objects/calls/batch/upsert",
            "/crm/v4/associations/calls/contacts/batch/create",
        ]


async def test_a_call_that_is_pushed_twice_has_one_record(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    one, other = await client.upsert([first_push(call())]) + await client.upsert([first_push(call())])
    assert remote_id(one) == remote_id(other)
    assert len(hubspot.calls) == 1


async def test_a_call_given_twice_in_a_batch_is_sent_once_in_its_newest_version(
    hubspot: HubSpot, connect: Connect
) -> None:
    old, new = call(notes="old"), call(version=2, notes="new")
    assert outcome_names(await connect().upsert([first_push(new), first_push(old)])) == [
        "delivered",
        "delivered",
    ]
    assert hubspot.calls.get_one().properties["hs_call_body"] == "<p><strong>Notes</strong><br>new</p>"


async def test_a_later_push_writes_only_changed_fields_and_keeps_what_people_wrote(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    [outcome] = await client.upsert([first_push(call())])
    hubspot.calls.get_one().properties |= {"hs_call_title": "Ana's own title", "hubspot_owner_id": "7001"}
    url = "https://example.test/a.wav"
    await client.upsert([later_push(call(), remote_id=remote_id(outcome), recording_url=url)])
    assert hubspot.log[-1].body["inputs"][0]["properties"] == {
        "cloudtalk_call_id": "cloudtalk-1",
        "hs_call_recording_url": url,
        "hs_call_body": f"<p><strong>Recording</strong><br>{url}</p>",
    }
    assert hubspot.calls.get_one().properties["hs_call_title"] == "Ana's own title"


async def test_partial_pushes_keep_what_only_the_record_has(hubspot: HubSpot, connect: Connect) -> None:
    whole = missed_call(notes="Call back.", tags=["old"], contact_name="Ana")
    await connect().upsert([first_push(whole)])
    before = dict(hubspot.calls.get_one().properties)
    lone_edit = make_call(tags=["new"], direction="inbound", started_at=None)
    known = frozenset({"tags", "direction"})
    for first in (True, False):
        [outcome] = await connect().upsert([Push(lone_edit, known, first=first, partial=True)])
        assert outcome == Delivered(remote_id=hubspot.calls.get_one().id, existed=first)
        body = "<p><strong>Notes</strong><br>Call back.</p><p><strong>Tags</strong><br>new</p>"
        assert hubspot.calls.get_one().properties == before | {"hs_call_body": body}
        assert [task["hs_task_status"] for task in hubspot.tasks] == ["NOT_STARTED"]


async def test_a_partial_first_push_without_a_record_writes_it_whole(
    hubspot: HubSpot, connect: Connect
) -> None:
    started = call(status=Status.IN_PROGRESS, ended_at=None)
    [outcome] = await connect().upsert([Push(started, frozenset({"direction"}), partial=True)])
    record = hubspot.calls.get_one()
    assert outcome == Delivered(remote_id=record.id)
    assert record.properties["hs_call_status"] == "IN_PROGRESS"
    assert record.properties["hs_call_title"] == "Inbound call from +34600111222"


async def test_a_change_that_hubspot_does_not_show_sends_no_request(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    [outcome] = await client.upsert([first_push(call())])
    hubspot.log.clear()
    push = later_push(call(), remote_id=remote_id(outcome), wrapup_seconds=3)
    assert await client.upsert([push]) == [outcome]
    assert hubspot.log == []


@pytest.mark.parametrize("changed", [["started_at"], ["to"]])
async def test_a_deleted_record_is_written_again_with_all_fields_and_its_association(
    hubspot: HubSpot, connect: Connect, changed: list[str]
) -> None:
    contact = hubspot.contacts.add(phone="+34600111222")
    client = connect()
    [outcome] = await client.upsert([first_push(call())])
    whole = hubspot.calls.records.pop(remote_id(outcome)).properties
    [again] = await client.upsert([later_push(call(), *changed, remote_id=remote_id(outcome))])
    assert remote_id(again) != remote_id(outcome)
    assert hubspot.calls.get_one().properties == whole
    assert hubspot.contact_ids_of_call("cloudtalk-1") == {contact}


async def test_a_later_agent_becomes_the_owner_unless_he_is_no_hubspot_user(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    other = hubspot.add_owner("bea@example.test")
    [outcome] = await client.upsert([first_push(call())])
    await client.upsert([later_push(call(), remote_id=remote_id(outcome), agent_email="bea@example.test")])
    assert hubspot.calls.get_one().properties["hubspot_owner_id"] == other
    await client.upsert([later_push(call(), remote_id=remote_id(outcome), agent_email="nobody@example.test")])
    assert hubspot.calls.get_one().properties["hubspot_owner_id"] == other


async def test_owners_are_looked_up_once(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    calls = [
        call(f"cloudtalk-{n}", agent_email=mail) for n, mail in enumerate(["ana@example.test", "no@one.test"])
    ]
    for _ in range(2):
        await client.upsert([first_push(each) for each in calls])
    assert len([seen for seen in hubspot.log if "owners" in seen.path]) == 2


# --- one bad record ---------------------------------------------------------------------------


async def test_one_bad_record_is_rejected_and_the_others_are_delivered(
    hubspot: HubSpot, connect: Connect
) -> None:
    hubspot.calls.rules.append(
        lambda properties: "No notes here" if "bad" in properties.get("hs_call_body", "") else None
    )
    calls = [call("cloudtalk-1"), call("cloudtalk-2", notes="bad"), call("cloudtalk-3")]
    outcomes = await connect().upsert([first_push(each) for each in calls])
    assert outcome_names(outcomes) == ["delivered", "rejected", "delivered"]
    assert "No notes here" in str(outcomes[1].message)
    assert len(hubspot.calls) == 2


async def test_a_batch_that_fails_without_naming_a_record_is_split(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    hubspot.respond_with(
        error_response(400, "Something is invalid", "VALIDATION_ERROR"), path="calls/batch", times=2
    )
    outcomes = await client.upsert([first_push(call("cloudtalk-1")), first_push(call("cloudtalk-2"))])
    assert [type(outcome) for outcome in outcomes] == [Split, Split]
    assert [type(o) for o in await client.upsert([first_push(call("cloudtalk-1"))])] == [Rejected]


async def test_an_unknown_property_is_misconfigured_and_rejects_no_call(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect(fields={"call_id": "not_there"})
    pushes = [first_push(call(f"cloudtalk-{n}", call_id=str(n))) for n in (1, 2)]
    outcomes = await client.upsert(pushes)
    assert [(type(o), o.code) for o in outcomes] == [(Misconfigured, "missing_property")] * 2
    hubspot.calls.properties["not_there"] = Property("not_there")
    assert outcome_names(await client.upsert(pushes)) == ["delivered", "delivered"]


async def test_without_the_unique_property_calls_are_misconfigured(
    hubspot: HubSpot, connect: Connect
) -> None:
    del hubspot.calls.properties["cloudtalk_call_id"]
    [outcome] = await connect().upsert([first_push(call())])
    assert (type(outcome), outcome.code) == (Misconfigured, "missing_property")
    assert len(hubspot.calls) == 0


async def test_an_html_page_with_status_200_is_no_delivery(hubspot: HubSpot, connect: Connect) -> None:
    client = connect(contacts="off", owners_by_email=False)
    hubspot.respond_with(HTMLResponse("<h1>Welcome to our Wi-Fi</h1>"), times=2)
    assert outcome_names(await client.upsert([first_push(call())])) == ["retry"]
    assert outcome_names(await client.retract([retraction(call(), remote_id="1")])) == ["retry"]


async def test_a_lost_response_duplicates_no_record(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    hubspot.lose_response(path="calls/batch/upsert")
    [outcome] = await client.upsert([first_push(call())])
    assert isinstance(outcome, Retry)
    assert outcome_names(await client.upsert([first_push(call())])) == ["delivered"]
    assert len(hubspot.calls) == 1


# --- read -------------------------------------------------------------------------------------


async def test_calls_without_a_record_are_absent_and_nothing_is_written(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    calls = [call(f"cloudtalk-{n}") for n in range(150)]
    outcomes = await client.upsert([first_push(each) for each in calls])
    del hubspot.calls.records[remote_id(outcomes[7])]
    hubspot.log.clear()
    found = await client.read([later_push(each) for each in calls])
    existing = zip(calls, outcomes, strict=True)
    assert found == {each.id: [Stored(remote_id(o))] for each, o in existing if each.id != "cloudtalk-7"}
    assert hubspot.writes == []
    assert hubspot.count_requests("batch/read") == 2


async def test_read_returns_an_outcome_if_hubspot_refuses(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.scopes.clear()
    assert isinstance(await connect().read([first_push(call())]), Misconfigured)


# --- retract and forget -----------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False])
async def test_a_retracted_call_is_archived_with_or_without_its_record_id(
    hubspot: HubSpot, connect: Connect, *, known: bool
) -> None:
    client = connect()
    [outcome, _] = await client.upsert([first_push(call()), first_push(call("cloudtalk-2"))])
    id_ = remote_id(outcome) if known else None
    outcomes = await client.retract(
        [
            retraction(call(), into="cloudtalk-2", remote_id=id_),
            retraction(call("cloudtalk-never"), into="cloudtalk-2"),
        ]
    )
    assert outcome_names(outcomes) == ["delivered", "delivered"]
    assert [each["cloudtalk_call_id"] for each in hubspot.calls] == ["cloudtalk-2"]


async def test_a_merged_call_is_marked_if_on_merge_says_so(hubspot: HubSpot, connect: Connect) -> None:
    client = connect(on_merge="mark")
    await client.setup()
    await client.upsert([first_push(call())])
    outcomes = await client.retract(
        [retraction(call(), into="cloudtalk-2"), retraction(call("cloudtalk-0"), into="cloudtalk-2")]
    )
    assert outcome_names(outcomes) == ["delivered", "delivered"]
    assert hubspot.calls.get_one().properties["cloudtalk_merged_into"] == "cloudtalk-2"


async def test_forget_removes_the_record_the_task_and_the_state_of_the_number(
    hubspot: HubSpot, connect: Connect, state: InMemoryClientState
) -> None:
    hubspot.contacts.add(phone="+34600111222")
    client = connect()
    missed = call(status=Status.MISSED, follow_up=True)
    await client.upsert([first_push(missed), first_push(call("cloudtalk-2", external_number="+34600999888"))])
    assert len(hubspot.tasks) == 1
    assert outcome_names(await client.forget([retraction(missed)])) == ["delivered"]
    assert [each["cloudtalk_call_id"] for each in hubspot.calls] == ["cloudtalk-2"]
    assert len(hubspot.tasks) == 0
    assert [key for key in state.entries if "600111222" in key or "cloudtalk-1" in key] == []
    assert outcome_names(await client.forget([retraction(missed)])) == ["delivered"]


# --- statuses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "hubspot_status", "disposition"),
    [
        (Status.IN_PROGRESS, "IN_PROGRESS", None),
        (Status.ANSWERED, "IN_PROGRESS", None),
        (Status.COMPLETED, "COMPLETED", "Connected"),
        (Status.MISSED, "NO_ANSWER", "No answer"),
        (Status.VOICEMAIL, "NO_ANSWER", "Left voicemail"),
        (Status.NO_ANSWER, "NO_ANSWER", "No answer"),
    ],
)
async def test_every_status_has_a_valid_status_and_disposition_in_hubspot(
    hubspot: HubSpot, connect: Connect, status: Status, hubspot_status: str, disposition: str | None
) -> None:
    assert outcome_names(await connect().upsert([first_push(call(status=status))])) == ["delivered"]
    properties = hubspot.calls.get_one().properties
    assert properties["hs_call_status"] == hubspot_status
    assert DISPOSITIONS.get(properties.get("hs_call_disposition", "")) == disposition


async def test_a_voicemail_is_flagged_until_the_call_proves_answered(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    [outcome] = await client.upsert([first_push(call(status=Status.VOICEMAIL))])
    await client.upsert([later_push(call(), remote_id=remote_id(outcome), notes="heard")])
    assert hubspot.calls.get_one().properties["hs_call_has_voicemail"] == "true"
    await client.upsert([later_push(call(), remote_id=remote_id(outcome), status=Status.COMPLETED)])
    assert "hs_call_has_voicemail" not in hubspot.calls.get_one().properties


@pytest.mark.parametrize(
    "status", [Status.IN_PROGRESS, Status.MISSED, Status.NO_ANSWER, Status.ANSWERED, Status.COMPLETED]
)
async def test_a_call_of_another_status_has_no_voicemail(
    hubspot: HubSpot, connect: Connect, status: Status
) -> None:
    await connect().upsert([first_push(call(status=status))])
    assert "hs_call_has_voicemail" not in hubspot.calls.get_one().properties


async def test_a_call_without_any_known_field_is_delivered(hubspot: HubSpot, connect: Connect) -> None:
    nothing: dict[str, Any] = dict.fromkeys(Call.__struct_fields__)
    known = {"id": "cloudtalk-1", "status": Status.IN_PROGRESS, "tags": [], "cloudtalk_data": {}}
    bare = Call(**nothing | known | {"version": 1, "follow_up": False})
    assert outcome_names(await connect().upsert([first_push(bare)])) == ["delivered"]
    assert int(hubspot.calls.get_one().properties["hs_timestamp"]) > 1_700_000_000_000
