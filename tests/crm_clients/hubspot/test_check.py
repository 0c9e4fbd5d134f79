"""What `check` finds, what `setup` makes, and that the one writes nothing and the other nothing twice."""

import re

import httpx
import pytest

from crm_clients.base import Finding
from crm_clients.hubspot.check import CODES
from tests.crm_clients.hubspot.conftest import Connect
from tests.fakes.hubspot import TOKEN, HubSpot, running_hubspot
from tests.fakes.hubspot_answers import throttled
from tests.fakes.hubspot_records import Property
from tests.support.hubspot import call, client_of, first, words


async def test_an_account_that_is_ready_is_and_nothing_is_written(hubspot: HubSpot, connect: Connect) -> None:
    client = connect(default_owner="ana@example.test", contacts="create", fields={"notes": "ct_notes"})
    hubspot.calls.properties["ct_notes"] = Property("ct_notes")
    assert await client.check() == [Finding(name="hubspot", ok=True)]
    assert hubspot.writes == []
    assert len(hubspot.calls) == len(hubspot.contacts) == len(hubspot.tasks) == 0


async def test_every_property_that_is_missing_is_named(hubspot: HubSpot, connect: Connect) -> None:
    del hubspot.calls.properties["cloudtalk_call_id"], hubspot.tasks.properties["cloudtalk_task_id"]
    client = connect(fields={"notes": "ct_notes"}, constants={"ct_constant": "x"}, on_merge="mark")
    found = await client.check()
    assert [finding.code for finding in found] == ["missing_property"] * 5
    for name, finding in zip(
        ["cloudtalk_call_id", "cloudtalk_task_id", "cloudtalk_merged_into", "ct_constant", "ct_notes"],
        found,
        strict=True,
    ):
        assert name in f"{finding.problem}"
        assert ("relay setup" in f"{finding.hint}") == name.startswith("cloudtalk")


async def test_a_property_that_is_not_unique_would_double_calls(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.calls.properties["cloudtalk_call_id"].unique = False
    [finding] = await connect().check()
    assert (finding.code, finding.ok) == ("missing_property", False)
    assert "unique" in f"{finding.problem}"


@pytest.mark.parametrize(
    "scope", ["crm.objects.contacts.read", "crm.objects.contacts.write", "crm.objects.owners.read"]
)
async def test_a_scope_that_is_missing_is_named(hubspot: HubSpot, connect: Connect, scope: str) -> None:
    hubspot.scopes.discard(scope)
    found = await connect().check()
    assert {finding.code for finding in found} == {"missing_scope"}
    assert all(scope in f"{finding.hint}" for finding in found)


async def test_a_scope_that_is_not_used_is_not_wanted(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.scopes.discard("crm.objects.owners.read")
    assert [finding.ok for finding in await connect(owners_by_email=False).check()] == [True]


async def test_a_wrong_token_is_one_finding(hubspot: HubSpot, connect: Connect) -> None:
    del hubspot
    [finding] = await connect(token="pat-of-somebody-else").check()
    assert finding.code == "unauthorised"
    assert "pat-of-somebody-else" not in f"{finding}"


async def test_an_account_that_is_out_of_reach_or_out_of_quota_is_one_finding(
    hubspot: HubSpot, connect: Connect
) -> None:
    [finding] = await connect(base_url="http://127.0.0.1:1").check()
    assert finding.code == "unreachable"
    hubspot.answer(throttled("DAILY"))
    [finding] = await connect().check()
    assert finding.code == "throttled"
    assert finding.code in CODES


@pytest.mark.parametrize("owner", ["nobody@example.test", "99"])
async def test_a_default_owner_that_does_not_exist_is_found(
    hubspot: HubSpot, connect: Connect, owner: str
) -> None:
    assert [finding.ok for finding in await connect(default_owner="7001").check()] == [True]
    [finding] = await connect(default_owner=owner).check()
    assert finding.code == "unknown_owner"
    assert hubspot.writes == []


# --- setting up -------------------------------------------------------------------------------


async def test_a_set_up_makes_what_is_missing_once_and_calls_can_be_brought(
    hubspot: HubSpot, connect: Connect
) -> None:
    hubspot.calls.properties.pop("cloudtalk_call_id")
    hubspot.tasks.properties.pop("cloudtalk_task_id")
    client = connect(on_merge="mark")
    assert await client.setup() == [
        "calls.cloudtalk_call_id: created",
        "tasks.cloudtalk_task_id: created",
        "calls.cloudtalk_merged_into: created",
    ]
    assert {line.partition(": ")[2] for line in await client.setup()} == {"exists already"}
    assert [finding.ok for finding in await client.check()] == [True]
    assert words(await client.upsert([first(call())])) == ["delivered"]


async def test_a_set_up_that_may_not_says_so(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.calls.properties.pop("cloudtalk_call_id")
    hubspot.scopes.discard("crm.schemas.contacts.write")
    lines = await connect(follow_up_tasks=False).setup()
    assert len(lines) == 1
    assert "could not be created" in lines[0]
    assert "scopes" in lines[0]


def test_the_printed_requests_do_the_same() -> None:
    with running_hubspot() as running:
        text = client_of(running.url).setup_text()
        for url, body in re.findall(r"POST '(.+?)'.*?-d '(.+?)'\n", text, re.DOTALL):
            # The group is looked up, as the comment above each request says.
            content = re.sub(r'"groupName":"(\w+)"', r'"groupName":"\1_information"', body)
            headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
            assert httpx.post(url, content=content, headers=headers).status_code == 201
        assert running.hubspot.calls.properties["cloudtalk_call_id"].unique
        assert running.hubspot.tasks.properties["cloudtalk_task_id"].unique
