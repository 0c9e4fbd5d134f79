"""`check` finds problems and writes nothing; `setup` creates properties, each once."""

import re

import httpx
import pytest

from crm_clients.base import Finding
from crm_clients.hubspot.check import CODES
from tests.crm_clients.hubspot.conftest import Connect
from tests.fakes.hubspot import TOKEN, HubSpot, running_hubspot
from tests.fakes.hubspot_records import Property
from tests.fakes.hubspot_responses import error_response, throttled_response
from tests.support.hubspot import build_client, call, first_push, outcome_names
from tests.support.patience import PATIENCE


async def test_check_of_a_ready_account_finds_no_problem_and_writes_nothing(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect(default_owner="ana@example.test", contacts="create", fields={"notes": "ct_notes"})
    hubspot.calls.properties["ct_notes"] = Property("ct_notes")
    assert await client.check() == [Finding(name="hubspot", ok=True)]
    assert hubspot.writes == []
    assert len(hubspot.calls) == len(hubspot.contacts) == len(hubspot.tasks) == 0


async def test_check_names_every_missing_property(hubspot: HubSpot, connect: Connect) -> None:
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


async def test_check_finds_a_property_that_is_not_unique(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.calls.properties["cloudtalk_call_id"].unique = False
    [finding] = await connect().check()
    assert (finding.code, finding.ok) == ("missing_property", False)
    assert "unique" in f"{finding.problem}"


@pytest.mark.parametrize(
    "scope", ["crm.objects.contacts.read", "crm.objects.contacts.write", "crm.objects.owners.read"]
)
async def test_check_names_a_missing_scope(hubspot: HubSpot, connect: Connect, scope: str) -> None:
    hubspot.scopes.discard(scope)
    found = await connect().check()
    assert {finding.code for finding in found} == {"missing_scope"}
    assert all(scope in f"{finding.hint}" for finding in found)


async def test_check_requires_no_scope_that_the_settings_do_not_need(
    hubspot: HubSpot, connect: Connect
) -> None:
    hubspot.scopes.discard("crm.objects.owners.read")
    assert [finding.ok for finding in await connect(owners_by_email=False).check()] == [True]


async def test_check_reports_a_wrong_token_once(hubspot: HubSpot, connect: Connect) -> None:
    del hubspot
    [finding] = await connect(token="pat-of-somebody-else").check()
    assert finding.code == "unauthorised"
    assert "pat-of-somebody-else" not in f"{finding}"


async def test_check_reports_an_unreachable_or_throttled_account_once(
    hubspot: HubSpot, connect: Connect
) -> None:
    [finding] = await connect(base_url="http://127.0.0.1:1").check()
    assert finding.code == "unreachable"
    hubspot.respond_with(throttled_response("DAILY"))
    [finding] = await connect().check()
    assert finding.code == "throttled"
    assert finding.code in CODES


@pytest.mark.parametrize("category", ["BANNED", "OBJECT_LIMIT"])
async def test_check_reports_a_403_for_another_reason_than_a_scope_as_forbidden(
    hubspot: HubSpot, connect: Connect, category: str
) -> None:
    hubspot.respond_with(error_response(403, "The account is suspended", category))
    [finding] = await connect().check()
    assert finding.code == "forbidden"
    assert "The account is suspended" in f"{finding.problem}"


@pytest.mark.parametrize("owner", ["nobody@example.test", "99"])
async def test_check_finds_an_unknown_default_owner(hubspot: HubSpot, connect: Connect, owner: str) -> None:
    assert [finding.ok for finding in await connect(default_owner="7001").check()] == [True]
    [finding] = await connect(default_owner=owner).check()
    assert finding.code == "unknown_owner"
    assert hubspot.writes == []


async def test_check_names_missing_properties_of_contacts_and_tasks_if_they_are_written(
    hubspot: HubSpot, connect: Connect
) -> None:
    constants = {
        "contact_constants": {"lead_source": "phone", "firstname": "x"},
        "task_constants": {"team": "sales", "hs_task_priority": "LOW"},
    }
    found = await connect(contacts="create", **constants).check()
    assert [finding.problem for finding in found] == [
        "Contacts have no property lead_source.",
        "Tasks have no property team.",
    ]
    assert {finding.code for finding in found} == {"missing_property"}
    assert [f.ok for f in await connect(contacts="match", follow_up_tasks=False, **constants).check()] == [
        True
    ]
    hubspot.contacts.properties["lead_source"] = Property("lead_source")
    hubspot.tasks.properties["team"] = Property("team")
    assert [f.ok for f in await connect(contacts="create", **constants).check()] == [True]


# --- setup ------------------------------------------------------------------------------------


async def test_setup_creates_missing_properties_once_and_then_calls_are_delivered(
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
    assert outcome_names(await client.upsert([first_push(call())])) == ["delivered"]


async def test_setup_without_the_scope_reports_why(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.calls.properties.pop("cloudtalk_call_id")
    hubspot.scopes.discard("crm.schemas.contacts.write")
    lines = await connect(follow_up_tasks=False).setup()
    assert len(lines) == 1
    assert "could not be created" in lines[0]
    assert "scopes" in lines[0]


def test_the_printed_setup_requests_create_the_same_properties() -> None:
    with running_hubspot() as running:
        text = build_client(running.url).setup_text()
        for url, body in re.findall(r"POST '(.+?)'.*?-d '(.+?)'\n", text, re.DOTALL):
            # A person looks up the group, as the comment above each request asks for.
            content = re.sub(r'"groupName":"(\w+)"', r'"groupName":"\1_information"', body)
            headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
            assert httpx.post(url, content=content, headers=headers, timeout=PATIENCE).status_code == 201
        assert running.hubspot.calls.properties["cloudtalk_call_id"].unique
        assert running.hubspot.tasks.properties["cloudtalk_task_id"].unique
