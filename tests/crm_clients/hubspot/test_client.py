"""Calls in HubSpot: one record each, right, whatever fails on the way."""

from typing import Any

import pytest
from starlette.responses import HTMLResponse

from crm_clients.base import Delivered, Misconfigured, Rejected, Retry, Split
from crm_clients.state import InMemoryClientState
from relay.call import Call, Status
from tests.crm_clients.hubspot.conftest import Connect
from tests.fakes.hubspot import HubSpot, running_hubspot
from tests.fakes.hubspot_answers import problem
from tests.fakes.hubspot_records import DISPOSITIONS, Property
from tests.support.hubspot import call, client_of, first, gone, later, remote_id, words


async def test_a_finished_call_is_in_hubspot_as_its_users_expect_it(
    hubspot: HubSpot, connect: Connect
) -> None:
    [outcome] = await connect().upsert([first(call(summary="Wants a quote.", tags=["vip", "sales"]))])
    record = hubspot.calls.one(cloudtalk_call_id="cloudtalk-1")
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


async def test_every_request_bears_the_token_and_says_that_it_is_json(
    hubspot: HubSpot, connect: Connect
) -> None:
    await connect().upsert([first(call())])
    for seen in hubspot.log:
        assert seen.headers["authorization"] == "Bearer pat-eu1-secret-of-the-tests"
        assert seen.headers["content-type"] == "application/json"
        assert seen.headers["user-agent"].startswith("cloudtalk-relay/")


async def test_version_3_has_other_paths() -> None:
    with running_hubspot(HubSpot(version="v3")) as running:
        running.hubspot.set_up()
        contact = running.hubspot.contacts.put(phone="+34600111222")
        client = client_of(running.url, api_version="v3", owners_by_email=False)
        assert words(await client.upsert([first(call())])) == ["delivered"]
        assert running.hubspot.contacts_of("cloudtalk-1") == {contact}
        await client.aclose()
        assert [seen.path for seen in running.hubspot.log] == [
            "/crm/v3/objects/contacts/search",
            "/crm/v3/objects/calls/batch/upsert",
            "/crm/v4/associations/calls/contacts/batch/create",
        ]


async def test_a_call_that_is_brought_twice_is_there_once(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    one, other = await client.upsert([first(call())]) + await client.upsert([first(call())])
    assert remote_id(one) == remote_id(other)
    assert len(hubspot.calls) == 1


async def test_a_call_that_a_batch_names_twice_is_sent_once_in_its_newest_version(
    hubspot: HubSpot, connect: Connect
) -> None:
    old, new = call(notes="old"), call(version=2, notes="new")
    assert words(await connect().upsert([first(new), first(old)])) == ["delivered", "delivered"]
    assert hubspot.calls.one().properties["hs_call_body"] == "<p><strong>Notes</strong><br>new</p>"


async def test_later_only_what_changed_is_written_and_what_people_wrote_stays(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    [outcome] = await client.upsert([first(call())])
    hubspot.calls.one().properties |= {"hs_call_title": "Ana's own title", "hubspot_owner_id": "7001"}
    url = "https://example.test/a.wav"
    await client.upsert([later(call(), remote_id=remote_id(outcome), recording_url=url)])
    assert hubspot.log[-1].body["inputs"][0]["properties"] == {
        "cloudtalk_call_id": "cloudtalk-1",
        "hs_call_recording_url": url,
        "hs_call_body": f"<p><strong>Recording</strong><br>{url}</p>",
    }
    assert hubspot.calls.one().properties["hs_call_title"] == "Ana's own title"


async def test_a_change_that_hubspot_does_not_show_asks_for_nothing(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    [outcome] = await client.upsert([first(call())])
    hubspot.log.clear()
    push = later(call(), remote_id=remote_id(outcome), wrapup_seconds=3)
    assert await client.upsert([push]) == [outcome]
    assert hubspot.log == []


@pytest.mark.parametrize("changed", [["started_at"], ["to"]])
async def test_a_record_that_was_deleted_meanwhile_comes_back_whole_and_linked(
    hubspot: HubSpot, connect: Connect, changed: list[str]
) -> None:
    contact = hubspot.contacts.put(phone="+34600111222")
    client = connect()
    [outcome] = await client.upsert([first(call())])
    whole = hubspot.calls.records.pop(remote_id(outcome)).properties
    [again] = await client.upsert([later(call(), *changed, remote_id=remote_id(outcome))])
    assert remote_id(again) != remote_id(outcome)
    assert hubspot.calls.one().properties == whole
    assert hubspot.contacts_of("cloudtalk-1") == {contact}


async def test_the_agent_of_a_later_version_becomes_the_owner_and_an_unknown_one_changes_nothing(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    other = hubspot.hire("bea@example.test")
    [outcome] = await client.upsert([first(call())])
    await client.upsert([later(call(), remote_id=remote_id(outcome), agent_email="bea@example.test")])
    assert hubspot.calls.one().properties["hubspot_owner_id"] == other
    await client.upsert([later(call(), remote_id=remote_id(outcome), agent_email="nobody@example.test")])
    assert hubspot.calls.one().properties["hubspot_owner_id"] == other


async def test_owners_are_asked_for_once(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    calls = [
        call(f"cloudtalk-{n}", agent_email=mail) for n, mail in enumerate(["ana@example.test", "no@one.test"])
    ]
    for _ in range(2):
        await client.upsert([first(each) for each in calls])
    assert len([seen for seen in hubspot.log if "owners" in seen.path]) == 2


# --- one bad record ---------------------------------------------------------------------------


async def test_a_bad_record_is_rejected_and_the_others_are_delivered(
    hubspot: HubSpot, connect: Connect
) -> None:
    hubspot.calls.rules.append(
        lambda said: "No notes here" if "bad" in said.get("hs_call_body", "") else None
    )
    calls = [call("cloudtalk-1"), call("cloudtalk-2", notes="bad"), call("cloudtalk-3")]
    outcomes = await connect().upsert([first(each) for each in calls])
    assert words(outcomes) == ["delivered", "rejected", "delivered"]
    assert "No notes here" in str(outcomes[1].message)
    assert len(hubspot.calls) == 2


async def test_a_batch_that_fails_without_blame_is_to_be_split(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    hubspot.answer(problem(400, "Something is invalid", "VALIDATION_ERROR"), path="calls/batch", times=2)
    outcomes = await client.upsert([first(call("cloudtalk-1")), first(call("cloudtalk-2"))])
    assert [type(outcome) for outcome in outcomes] == [Split, Split]
    assert [type(o) for o in await client.upsert([first(call("cloudtalk-1"))])] == [Rejected]


async def test_an_unknown_property_is_the_settings_fault_and_no_records(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect(fields={"call_id": "not_there"})
    pushes = [first(call(f"cloudtalk-{n}", call_id=str(n))) for n in (1, 2)]
    outcomes = await client.upsert(pushes)
    assert [(type(o), o.code) for o in outcomes] == [(Misconfigured, "missing_property")] * 2
    hubspot.calls.properties["not_there"] = Property("not_there")
    assert words(await client.upsert(pushes)) == ["delivered", "delivered"]


async def test_without_the_unique_property_the_destination_waits(hubspot: HubSpot, connect: Connect) -> None:
    del hubspot.calls.properties["cloudtalk_call_id"]
    [outcome] = await connect().upsert([first(call())])
    assert (type(outcome), outcome.code) == (Misconfigured, "missing_property")
    assert len(hubspot.calls) == 0


async def test_a_page_in_the_place_of_an_answer_delivers_nothing(hubspot: HubSpot, connect: Connect) -> None:
    client = connect(contacts="off", owners_by_email=False)
    hubspot.answer(HTMLResponse("<h1>Welcome to our Wi-Fi</h1>"), times=2)
    assert words(await client.upsert([first(call())])) == ["misconfigured"]
    assert words(await client.retract([gone(call(), remote_id="1")])) == ["misconfigured"]


async def test_a_lost_answer_doubles_nothing(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    hubspot.lose_answer(path="calls/batch/upsert")
    [outcome] = await client.upsert([first(call())])
    assert isinstance(outcome, Retry)
    assert words(await client.upsert([first(call())])) == ["delivered"]
    assert len(hubspot.calls) == 1


# --- replays ----------------------------------------------------------------------------------


async def test_a_replay_finds_what_is_missing_and_writes_nothing(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    calls = [call(f"cloudtalk-{n}") for n in range(150)]
    outcomes = await client.upsert([first(each) for each in calls])
    del hubspot.calls.records[remote_id(outcomes[7])]
    hubspot.log.clear()
    assert await client.missing([first(each) for each in calls]) == {"cloudtalk-7"}
    assert hubspot.writes == []
    assert hubspot.count("batch/read") == 2


async def test_a_replay_that_cannot_look_says_why(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.scopes.clear()
    assert isinstance(await connect().missing([first(call())]), Misconfigured)


# --- taking back ------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False])
async def test_a_retracted_call_is_archived_also_if_its_record_id_is_unknown(
    hubspot: HubSpot, connect: Connect, *, known: bool
) -> None:
    client = connect()
    [outcome, _] = await client.upsert([first(call()), first(call("cloudtalk-2"))])
    id_ = remote_id(outcome) if known else None
    taken = await client.retract(
        [gone(call(), into="cloudtalk-2", remote_id=id_), gone(call("cloudtalk-never"), into="cloudtalk-2")]
    )
    assert words(taken) == ["delivered", "delivered"]
    assert [each["cloudtalk_call_id"] for each in hubspot.calls] == ["cloudtalk-2"]


async def test_a_retracted_call_is_marked_where_the_settings_say_so(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect(on_merge="mark")
    await client.setup()
    await client.upsert([first(call())])
    taken = await client.retract(
        [gone(call(), into="cloudtalk-2"), gone(call("cloudtalk-0"), into="cloudtalk-2")]
    )
    assert words(taken) == ["delivered", "delivered"]
    assert hubspot.calls.one().properties["cloudtalk_merged_into"] == "cloudtalk-2"


async def test_forgetting_leaves_no_record_no_task_and_no_memory_of_the_number(
    hubspot: HubSpot, connect: Connect, memory: InMemoryClientState
) -> None:
    hubspot.contacts.put(phone="+34600111222")
    client = connect()
    missed = call(status=Status.MISSED, follow_up=True)
    await client.upsert([first(missed), first(call("cloudtalk-2", external_number="+34600999888"))])
    assert len(hubspot.tasks) == 1
    assert words(await client.forget([gone(missed)])) == ["delivered"]
    assert [each["cloudtalk_call_id"] for each in hubspot.calls] == ["cloudtalk-2"]
    assert len(hubspot.tasks) == 0
    assert [key for key in memory.entries if "600111222" in key or "cloudtalk-1" in key] == []
    assert words(await client.forget([gone(missed)])) == ["delivered"]


# --- what is where ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "theirs", "disposition"),
    [
        (Status.IN_PROGRESS, "IN_PROGRESS", None),
        (Status.ANSWERED, "IN_PROGRESS", None),
        (Status.COMPLETED, "COMPLETED", "Connected"),
        (Status.MISSED, "NO_ANSWER", "No answer"),
        (Status.VOICEMAIL, "NO_ANSWER", "Left voicemail"),
        (Status.NO_ANSWER, "NO_ANSWER", "No answer"),
    ],
)
async def test_every_status_is_one_that_hubspot_takes(
    hubspot: HubSpot, connect: Connect, status: Status, theirs: str, disposition: str | None
) -> None:
    assert words(await connect().upsert([first(call(status=status))])) == ["delivered"]
    said = hubspot.calls.one().properties
    assert said["hs_call_status"] == theirs
    assert DISPOSITIONS.get(said.get("hs_call_disposition", "")) == disposition


async def test_a_call_of_which_nothing_is_known_is_taken_too(hubspot: HubSpot, connect: Connect) -> None:
    nothing: dict[str, Any] = dict.fromkeys(Call.__struct_fields__)
    known = {"id": "cloudtalk-1", "status": Status.IN_PROGRESS, "tags": [], "cloudtalk_data": {}}
    bare = Call(**nothing | known | {"version": 1, "follow_up": False})
    assert words(await connect().upsert([first(bare)])) == ["delivered"]
    assert int(hubspot.calls.one().properties["hs_timestamp"]) > 1_700_000_000_000
