"""`read` of HubSpot: what is missing, doubled or different."""

from typing import Any

import pytest
from starlette.responses import JSONResponse

from crm_clients.base import Misconfigured, Push, Retry, Stored, Throttled, Unauthorised
from crm_clients.state import InMemoryClientState
from relay.call import DELIVERED_FIELDS, Call
from tests.crm_clients.hubspot.conftest import Connect
from tests.fakes.hubspot import HubSpot
from tests.fakes.hubspot_records import Property
from tests.support.hubspot import call, first_push, missed_call, remote_id

ALL = frozenset(DELIVERED_FIELDS)


def later(of: Call, *fields: str, partial: bool = False) -> Push:
    return Push(of, frozenset(fields) or ALL, first=False, partial=partial)


def only(found: Any) -> Stored:
    assert isinstance(found, dict), found
    [[stored]] = found.values()
    assert isinstance(stored, Stored)
    return stored


def change(hubspot: HubSpot, **properties: str) -> None:
    """Change the only call as a person does."""
    [record] = hubspot.calls.records.values()
    record.properties |= properties


FULL = call(
    notes="heard\r\nhim <b>",
    summary="&c.",
    tags=["vip", "b;c"],
    transcript="word " * 20_000,
    recording_url="https://my.cloudtalk.io/r/1.wav",
)


@pytest.mark.usefixtures("hubspot")
async def test_a_written_record_has_no_difference(connect: Connect) -> None:
    client = connect()
    [outcome] = await client.upsert([first_push(FULL)])
    assert await client.read([later(FULL)]) == {"cloudtalk-1": [Stored(remote_id(outcome))]}
    assert await client.read([later(missed_call())]) != {"cloudtalk-1": [Stored(remote_id(outcome))]}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"hs_timestamp": "1764000000000"}, {"started_at"}),
        ({"hs_call_title": "Ana's call"}, {"contact_name"}),
        ({"hs_call_disposition": "9d9162e7-6cf3-4944-bf63-4dff82258764"}, {"status"}),
        ({"hs_call_status": "BUSY"}, {"status"}),
        ({"hs_call_duration": "62000"}, {"duration_seconds"}),
        ({"hs_call_direction": "OUTBOUND"}, {"direction"}),
        ({"hubspot_owner_id": "99"}, {"agent_email"}),
        ({"hubspot_owner_id": ""}, set()),
        ({"hs_call_from_number": ""}, {"from"}),
        ({"hs_call_duration": "61000.0"}, set()),
        ({"hs_call_to_number": "+34910000001 "}, set()),
        ({"hs_call_source": ""}, set()),
    ],
)
async def test_what_people_changed_is_different(
    hubspot: HubSpot, connect: Connect, changed: dict[str, str], expected: set[str]
) -> None:
    client = connect()
    await client.upsert([first_push(FULL)])
    change(hubspot, **changed)
    assert only(await client.read([later(FULL)])).different == expected


async def test_sections_of_the_body_are_compared_by_their_words(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    await client.upsert([first_push(FULL)])
    [record] = hubspot.calls.records.values()
    body = record.properties["hs_call_body"]
    change(hubspot, hs_call_body=body.replace("<p>", "<div dir='auto'><p>\n").replace("</p>", "</p></div>"))
    assert only(await client.read([later(FULL)])).different == set()
    change(hubspot, hs_call_body=body.replace("heard", "overheard by Ana"))
    assert only(await client.read([later(FULL)])).different == {"notes"}
    change(hubspot, hs_call_body=body + "<p>Ana was here</p>")
    assert only(await client.read([later(FULL)])).different == {
        *("summary", "notes", "tags", "transcript", "recording_url", "missed_reason", "smart_notes")
    }
    assert only(await client.read([later(FULL, partial=True)])).different == set()
    change(hubspot, hs_call_body="")
    assert only(await client.read([later(FULL, "notes", "status")])).different == {"notes"}


async def test_properties_of_the_team_are_compared_in_hubspots_form(
    hubspot: HubSpot, connect: Connect
) -> None:
    for name in ("began", "labels", "urgent", "outcome", "seconds", "source"):
        hubspot.calls.properties[name] = Property(name)
    fields = {"started_at": "began", "tags": "labels", "follow_up": "urgent", "status": "outcome"}
    fields |= {"talking_seconds": "seconds"}
    client = connect(fields=fields, constants={"source": "relay"})
    await client.upsert([first_push(FULL)])
    change(hubspot, began="1795513331000", labels="c;vip;b", seconds="52.0", source="Ana")
    assert only(await client.read([later(FULL)])).different == set()
    change(
        hubspot, began="2026-11-24T09:42:12.000Z", labels="vip", urgent="true", outcome="Perdida", seconds="1"
    )
    assert only(await client.read([later(FULL)])).different == {
        *("started_at", "tags", "follow_up", "status", "talking_seconds")
    }


async def test_a_record_under_the_other_id_is_a_double(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    one, two = call(call_id="1", call_uuid="u"), call("cloudtalk-2", call_id="2", call_uuid="v")
    outcomes = await client.upsert([first_push(one), first_push(two)])
    copy = hubspot.calls.add(cloudtalk_call_id="cloudtalk-u", hs_timestamp="1")
    assert await client.read([later(one), later(two)]) == {
        "cloudtalk-1": [Stored(remote_id(outcomes[0])), Stored(copy)],
        "cloudtalk-2": [Stored(remote_id(outcomes[1]))],
    }


async def test_owners_are_looked_up_once_and_many_calls_by_few_requests(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    calls = [call(f"cloudtalk-{n}", call_id=f"9{n}", call_uuid=None) for n in range(250)]
    await client.upsert([first_push(each) for each in calls])
    hubspot.log.clear()
    found = await connect(state=InMemoryClientState()).read([later(each) for each in calls])
    assert isinstance(found, dict)
    assert len(found) == 250
    assert not any(stored.different for records in found.values() for stored in records)
    assert hubspot.writes == []
    assert hubspot.count_requests("batch/read") == 6
    assert len([seen for seen in hubspot.log if "owners" in seen.path]) == 1


async def test_an_agent_without_an_owner_has_no_difference(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    of_nobody = call(agent_email="nobody@example.test")
    await client.upsert([first_push(of_nobody)])
    assert only(await client.read([later(of_nobody)])).different == set()
    change(hubspot, hubspot_owner_id="7")
    assert only(await client.read([later(of_nobody)])).different == set()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (JSONResponse({}, 503), Retry),
        (JSONResponse({"policyName": "DAILY"}, 429), Throttled),
        (JSONResponse({"category": "INVALID_AUTHENTICATION"}, 401), Unauthorised),
        (JSONResponse({"category": "MISSING_SCOPES"}, 403), Misconfigured),
    ],
)
@pytest.mark.parametrize("path", ["owners", "calls/batch/read"])
async def test_a_failure_of_any_request_is_the_result(
    hubspot: HubSpot, connect: Connect, answer: JSONResponse, expected: type, path: str
) -> None:
    await connect().upsert([first_push(call(agent_email=None))])
    hubspot.respond_with(answer, path=path)
    assert isinstance(await connect().read([later(call())]), expected)


async def test_an_agent_whom_hubspot_refuses_to_look_up_stops_nothing(
    hubspot: HubSpot, connect: Connect
) -> None:
    await connect().upsert([first_push(call())])
    hubspot.respond_with(JSONResponse({"status": "error", "message": "no"}, 400), path="owners")
    assert only(await connect(owners_by_email=True).read([later(call())])).different == set()
