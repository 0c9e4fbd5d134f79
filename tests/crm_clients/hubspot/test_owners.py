"""Owners by e-mail address: remembered, and asked for again where there may be one meanwhile."""

from starlette.responses import Response

from crm_clients.state import InMemoryClientState
from tests.crm_clients.hubspot.conftest import Connect
from tests.fakes.hubspot import HubSpot
from tests.support.hubspot import call, first, words


async def test_the_spelling_of_an_address_does_not_matter(hubspot: HubSpot, connect: Connect) -> None:
    await connect().upsert([first(call(agent_email="Ana@Example.test"))])
    assert hubspot.calls.one().properties["hubspot_owner_id"] == "7001"


async def test_a_colleague_who_is_invited_later_is_found_later(
    hubspot: HubSpot, connect: Connect, memory: InMemoryClientState
) -> None:
    client = connect()
    await client.upsert([first(call(agent_email="new@example.test"))])
    assert "hubspot_owner_id" not in hubspot.calls.one().properties
    owner = hubspot.hire("new@example.test")
    value, at = memory.entries["owner:new@example.test"]
    memory.entries["owner:new@example.test"] = value, at - 4_000  # an hour and some minutes ago
    await client.upsert([first(call("cloudtalk-2", agent_email="new@example.test"))])
    assert hubspot.calls.one(cloudtalk_call_id="cloudtalk-2").properties["hubspot_owner_id"] == owner


async def test_many_unknown_agents_are_looked_up_in_the_list(hubspot: HubSpot, connect: Connect) -> None:
    emails = [f"agent-{n}@example.test" for n in range(150)]
    owners = {email: hubspot.hire(email) for email in emails}
    calls = [call(f"cloudtalk-{n}", agent_email=mail) for n, mail in enumerate([*emails[51:], "no@one.test"])]
    client = connect()
    for _ in range(2):
        assert {*words(await client.upsert([first(each) for each in calls]))} == {"delivered"}
    assert len([seen for seen in hubspot.log if "owners" in seen.path]) == 2
    found = {said["cloudtalk_call_id"]: said.get("hubspot_owner_id") for said in hubspot.calls}
    assert found == {each.id: owners.get(f"{each.agent_email}") for each in calls}


async def test_a_list_that_cannot_be_read_holds_up_its_calls(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.answer(Response(status_code=503), path="owners")
    calls = [call(f"cloudtalk-{n}", agent_email=f"agent-{n}@example.test") for n in range(5)]
    outcomes = await connect().upsert([*map(first, calls), first(call("cloudtalk-5", agent_email=None))])
    assert words(outcomes) == ["retry"] * 5 + ["delivered"]


async def test_an_owner_who_has_left_since_is_asked_for_anew(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    await client.upsert([first(call("cloudtalk-0"))])
    hubspot.owners.clear()
    outcomes = await client.upsert([first(call("cloudtalk-1")), first(call("cloudtalk-2", agent_email=None))])
    assert words(outcomes) == ["delivered", "delivered"]
    assert "hubspot_owner_id" not in hubspot.calls.one(cloudtalk_call_id="cloudtalk-1").properties


async def test_who_cannot_be_asked_for_holds_up_the_calls_of_that_agent_only(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    await client.upsert([first(call("cloudtalk-0"))])
    hubspot.answer(Response(status_code=503), path="owners")
    pushes = [
        first(call("cloudtalk-1")),
        first(call("cloudtalk-2", agent_email="bea@example.test")),
        first(call("cloudtalk-3", agent_email=None)),
    ]
    assert words(await client.upsert(pushes)) == ["delivered", "retry", "delivered"]


async def test_without_owners_none_is_asked_for_nor_set(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.scopes.discard("crm.objects.owners.read")
    assert words(await connect(owners_by_email=False).upsert([first(call())])) == ["delivered"]
    assert "hubspot_owner_id" not in hubspot.calls.one().properties
