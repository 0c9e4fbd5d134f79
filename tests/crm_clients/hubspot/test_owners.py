"""Owner ids by e-mail address: cached, and looked up again when they may have changed."""

import pytest
from starlette.responses import Response

from tests.crm_clients.hubspot.conftest import Connect
from tests.fakes.hubspot import HubSpot
from tests.fakes.hubspot_responses import error_response
from tests.support.fake_time import FakeTime
from tests.support.hubspot import call, first_push, missed_call, outcome_names


async def test_e_mail_addresses_are_compared_in_lower_case(hubspot: HubSpot, connect: Connect) -> None:
    await connect().upsert([first_push(call(agent_email="Ana@Example.test"))])
    assert hubspot.calls.get_one().properties["hubspot_owner_id"] == "7001"


async def test_an_address_without_owner_is_looked_up_again_after_an_hour(
    hubspot: HubSpot, connect: Connect, fake_time: FakeTime
) -> None:
    client = connect()
    await client.upsert([first_push(call(agent_email="new@example.test"))])
    assert "hubspot_owner_id" not in hubspot.calls.get_one().properties
    owner = hubspot.add_owner("new@example.test")
    fake_time.now += 3_601
    await client.upsert([first_push(call("cloudtalk-2", agent_email="new@example.test"))])
    assert hubspot.calls.get_one(cloudtalk_call_id="cloudtalk-2").properties["hubspot_owner_id"] == owner


async def test_many_unknown_agents_are_looked_up_in_the_list_of_all_owners(
    hubspot: HubSpot, connect: Connect
) -> None:
    emails = [f"agent-{n}@example.test" for n in range(150)]
    owners = {email: hubspot.add_owner(email) for email in emails}
    calls = [call(f"cloudtalk-{n}", agent_email=mail) for n, mail in enumerate([*emails[51:], "no@one.test"])]
    client = connect()
    for _ in range(2):
        assert {*outcome_names(await client.upsert([first_push(each) for each in calls]))} == {"delivered"}
    assert len([seen for seen in hubspot.log if "owners" in seen.path]) == 2
    found = {each["cloudtalk_call_id"]: each.get("hubspot_owner_id") for each in hubspot.calls}
    assert found == {each.id: owners.get(f"{each.agent_email}") for each in calls}


async def test_if_the_list_of_owners_fails_only_the_calls_that_need_it_fail(
    hubspot: HubSpot, connect: Connect
) -> None:
    hubspot.respond_with(Response(status_code=503), path="owners")
    calls = [call(f"cloudtalk-{n}", agent_email=f"agent-{n}@example.test") for n in range(5)]
    outcomes = await connect().upsert(
        [*map(first_push, calls), first_push(call("cloudtalk-5", agent_email=None))]
    )
    assert outcome_names(outcomes) == ["retry"] * 5 + ["delivered"]


async def test_a_cached_owner_who_left_hubspot_is_looked_up_again(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    await client.upsert([first_push(call("cloudtalk-0"))])
    hubspot.owners.clear()
    outcomes = await client.upsert(
        [first_push(call("cloudtalk-1")), first_push(call("cloudtalk-2", agent_email=None))]
    )
    assert outcome_names(outcomes) == ["delivered", "delivered"]
    assert "hubspot_owner_id" not in hubspot.calls.get_one(cloudtalk_call_id="cloudtalk-1").properties


async def test_a_failed_owner_lookup_fails_only_the_calls_of_that_agent(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    await client.upsert([first_push(call("cloudtalk-0"))])
    hubspot.respond_with(Response(status_code=503), path="owners")
    pushes = [
        first_push(call("cloudtalk-1")),
        first_push(call("cloudtalk-2", agent_email="bea@example.test")),
        first_push(call("cloudtalk-3", agent_email=None)),
    ]
    assert outcome_names(await client.upsert(pushes)) == ["delivered", "retry", "delivered"]


async def test_without_owners_by_email_no_owner_is_looked_up_or_set(
    hubspot: HubSpot, connect: Connect
) -> None:
    hubspot.scopes.discard("crm.objects.owners.read")
    assert outcome_names(await connect(owners_by_email=False).upsert([first_push(call())])) == ["delivered"]
    assert "hubspot_owner_id" not in hubspot.calls.get_one().properties


# --- refused owners ---------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "category"), [(400, "VALIDATION_ERROR"), (422, "INVALID_EMAIL")])
async def test_a_call_whose_agent_hubspot_refuses_to_look_up_is_delivered_without_owner_and_says_so(
    hubspot: HubSpot, connect: Connect, status: int, category: str
) -> None:
    hubspot.respond_with(error_response(status, "Not this address", category), path="owners")
    pushes = [
        first_push(call("cloudtalk-1", agent_email="a@@example.test")),
        first_push(call("cloudtalk-2", agent_email="ana@example.test")),
    ]
    outcomes = await connect().upsert(pushes)
    assert [(o.name, o.code) for o in outcomes] == [("delivered", "owner_refused"), ("delivered", None)]
    assert "Not this address" in f"{outcomes[0].message}"
    found = {each["cloudtalk_call_id"]: each.get("hubspot_owner_id") for each in hubspot.calls}
    assert found == {"cloudtalk-1": None, "cloudtalk-2": "7001"}


async def test_calls_are_delivered_without_owners_while_hubspot_forbids_to_look_them_up(
    hubspot: HubSpot, connect: Connect
) -> None:
    hubspot.respond_with(error_response(403, "Users are not shared", "FORBIDDEN"), path="owners")
    [outcome] = await connect().upsert([first_push(call())])
    assert (outcome.name, outcome.code) == ("delivered", "owner_refused")
    assert len(hubspot.calls) == 1


async def test_a_call_whose_listed_owner_hubspot_refuses_is_delivered_without_owner_and_says_so(
    hubspot: HubSpot, connect: Connect
) -> None:
    hubspot.calls.rules.append(
        lambda properties: "Owner 7001 has no seat" if properties.get("hubspot_owner_id") == "7001" else None
    )
    pushes = [first_push(call("cloudtalk-1")), first_push(call("cloudtalk-2", agent_email=None))]
    outcomes = await connect().upsert(pushes)
    assert [(o.name, o.code) for o in outcomes] == [("delivered", "owner_refused"), ("delivered", None)]
    assert "Owner 7001 has no seat" in f"{outcomes[0].message}"
    assert len(hubspot.calls) == 2
    assert all("hubspot_owner_id" not in record for record in hubspot.calls)


async def test_a_task_is_created_for_a_call_whose_owner_is_refused(
    hubspot: HubSpot, connect: Connect
) -> None:
    hubspot.respond_with(error_response(400, "Not this address", "VALIDATION_ERROR"), path="owners")
    [outcome] = await connect(default_owner="boss@example.test").upsert([first_push(missed_call())])
    assert (outcome.name, outcome.code) == ("delivered", "owner_refused")
    assert len(hubspot.tasks) == 1


async def test_a_contact_whose_owner_cannot_be_read_does_not_make_the_call_a_dead_letter(
    hubspot: HubSpot, connect: Connect, fake_time: FakeTime
) -> None:
    hubspot.contacts.add(phone="+34600111222")
    client = connect()
    await client.upsert([first_push(call("cloudtalk-0"))])
    fake_time.now += 3_601
    hubspot.respond_with(error_response(400, "No", "VALIDATION_ERROR"), path="contacts/batch/read")
    assert outcome_names(await client.upsert([first_push(missed_call())])) == ["retry"]
    assert outcome_names(await client.upsert([first_push(missed_call())])) == ["delivered"]
