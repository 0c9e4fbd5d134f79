"""A backlog of calls: no request is refused for its rate, and a call costs few requests."""

import asyncio
import time

import pytest

from tests.crm_clients.hubspot.conftest import Connect
from tests.fakes.hubspot import HubSpot
from tests.fakes.hubspot_api import CALL_TO_CONTACT
from tests.fakes.hubspot_limits import Limits, Window
from tests.support.hubspot import call, first_push, missed_call, outcome_names


async def test_a_backlog_uses_at_least_four_fifths_of_the_limit_without_one_429(
    hubspot: HubSpot, connect: Connect
) -> None:
    """The limits are scaled down: a busy machine can use them too."""
    hubspot.limits = Limits(burst=Window(50, 5.0), search=Window(50, 5.0))
    hubspot.latency = 0.02
    client = connect(contacts="off", rate=None, owners_by_email=False)
    batches = iter([[first_push(call(f"cloudtalk-{batch}-{n}")) for n in range(2)] for batch in range(30)])

    async def drain() -> None:
        for batch in batches:
            assert outcome_names(await client.upsert(batch)) == ["delivered", "delivered"]

    begin = time.monotonic()
    await asyncio.gather(*(drain() for _ in range(4)))
    seconds = time.monotonic() - begin
    assert hubspot.throttled == []
    assert len(hubspot.log) / seconds >= 0.8 * 10


@pytest.mark.parametrize(
    ("mode", "max_requests_per_call", "max_searches_per_number"),
    [("match", 0.05, 0.05), ("create", 0.10, 0.55)],
)
async def test_a_backlog_costs_few_requests_per_call(
    hubspot: HubSpot,
    connect: Connect,
    mode: str,
    max_requests_per_call: float,
    max_searches_per_number: float,
) -> None:
    """The client state is empty; one call in five was missed, and 700 of 1,300 numbers call twice.

    Before a contact is created, five numbers are searched for by their parts, in each of two properties.
    """
    agents = [f"agent-{n}@example.test" for n in range(5)]
    for email in agents:
        hubspot.add_owner(email)
    numbers = [f"+34600{n:06}" for n in range(1_300)]
    if mode == "match":
        for number in numbers:
            hubspot.contacts.add(phone=number)
    builders = [call, call, missed_call, call, call]
    calls = [
        builders[n % 5](f"cloudtalk-{n}", external_number=numbers[n % 1_300], agent_email=agents[n % 5])
        for n in range(2_000)
    ]
    client = connect(contacts=mode)
    for begin in range(0, 2_000, 400):
        batches = [calls[at : at + 100] for at in range(begin, begin + 400, 100)]
        for outcomes in await asyncio.gather(
            *(client.upsert([first_push(c) for c in batch]) for batch in batches)
        ):
            assert {*outcome_names(outcomes)} == {"delivered"}
    searches = hubspot.count_requests("search")
    assert searches / 1_300 <= max_searches_per_number
    assert (len(hubspot.log) - searches) / 2_000 <= max_requests_per_call
    assert len(hubspot.calls) == 2_000
    assert len(hubspot.contacts) == 1_300
    assert len([each for each in hubspot.associations if each[0] == CALL_TO_CONTACT]) == 2_000
    assert len(hubspot.tasks) == len({each.external_number for each in calls if each.follow_up})
    hubspot.log.clear()
    found = await connect().read([first_push(each) for each in calls])
    assert isinstance(found, dict)
    assert found.keys() == {each.id for each in calls}
    assert all(len(records) == 1 and not records[0].different for records in found.values())
    assert hubspot.writes == []
