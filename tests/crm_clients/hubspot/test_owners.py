"""Owner ids by e-mail address: cached, and looked up again when they may have changed."""

from starlette.responses import Response

from tests.crm_clients.hubspot.conftest import Connect
from tests.fakes.hubspot import HubSpot
from tests.support.fake_time import FakeTime
from tests.support.hubspot import call, first_push, outcome_names


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
