"""The right contact for each number, made once where the team wants that."""

import asyncio

import pytest
from starlette.responses import Response

from crm_clients.base import Retry, Throttled
from crm_clients.state import InMemoryClientState
from tests.crm_clients.hubspot.conftest import Connect
from tests.fakes.hubspot import HubSpot
from tests.fakes.hubspot_answers import problem, throttled
from tests.support.hubspot import call, first, later, missed, remote_id, words


@pytest.mark.parametrize(
    "written",
    [
        "+34600111222",
        "600111222",
        "600 11 22 33 ext. 4",
        "+34 600-11-12-22",
        "0034600111222",
        "(600) 111 222",
        "34 600 111 222",
    ],
)
async def test_a_number_is_found_however_it_was_typed(
    hubspot: HubSpot, connect: Connect, written: str
) -> None:
    number = "+34600112233" if "ext" in written else "+34600111222"
    contact = hubspot.contacts.put(phone=written)
    assert words(await connect().upsert([first(call(external_number=number))])) == ["delivered"]
    assert hubspot.contacts_of("cloudtalk-1") == {contact}


async def test_a_mobile_number_counts_too(hubspot: HubSpot, connect: Connect) -> None:
    contact = hubspot.contacts.put(phone="+34910000000", mobilephone="600 111 222")
    await connect().upsert([first(call())])
    assert hubspot.contacts_of("cloudtalk-1") == {contact}


async def test_a_foreign_number_without_its_plus_is_found(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.region = "GB"  # HubSpot reads what people typed by the account's country
    contact = hubspot.contacts.put(phone="44 7911 123456")
    await connect().upsert([first(call(external_number="+447911123456"))])
    assert hubspot.contacts_of("cloudtalk-1") == {contact}


async def test_the_same_national_number_of_another_country_is_not_the_contact(
    hubspot: HubSpot, connect: Connect
) -> None:
    hubspot.contacts.put(phone="+48600111222")
    assert words(await connect().upsert([first(call())])) == ["delivered"]
    assert hubspot.contacts_of("cloudtalk-1") == set()


async def test_of_several_contacts_the_oldest_is_taken(hubspot: HubSpot, connect: Connect) -> None:
    ids = [hubspot.contacts.put(phone="+34600111222") for _ in range(3)]
    await connect().upsert([first(call())])
    assert hubspot.contacts_of("cloudtalk-1") == {min(ids, key=int)}


async def test_many_numbers_are_one_search_and_pages_are_followed(hubspot: HubSpot, connect: Connect) -> None:
    for n in range(100):
        for _ in range(3):
            hubspot.contacts.put(phone=f"+346000000{n:02}")
    calls = [call(f"cloudtalk-{n}", external_number=f"+346000000{n:02}") for n in range(100)]
    assert {*words(await connect().upsert([first(each) for each in calls]))} == {"delivered"}
    searches = [seen for seen in hubspot.log if seen.action == "search"]
    assert [seen.body["after"] for seen in searches] == ["0", "200"]
    assert len(hubspot.links) == 100


async def test_a_few_numbers_are_looked_for_in_all_four_fields_at_once(
    hubspot: HubSpot, connect: Connect
) -> None:
    await connect().upsert([first(call())])
    [search] = [seen for seen in hubspot.log if seen.action == "search"]
    filters = [each["filters"] for each in search.body["filterGroups"]]
    assert filters == [
        [{"propertyName": name, "operator": "IN", "values": [value]}]
        for name, value in [
            ("hs_searchable_calculated_phone_number", "600111222"),
            ("hs_searchable_calculated_mobile_number", "600111222"),
            ("phone", "+34600111222"),
            ("mobilephone", "+34600111222"),
        ]
    ]


@pytest.mark.parametrize(("country", "searches"), [("+34600000", 1), ("+49151000000", 2)])
async def test_no_search_is_longer_than_hubspot_takes_and_few_are_needed(
    hubspot: HubSpot, connect: Connect, country: str, searches: int
) -> None:
    numbers = [f"{country}{n:03}" for n in range(100)]
    for number in numbers:
        hubspot.contacts.put(phone=number)
    calls = [call(f"cloudtalk-{n}", external_number=number) for n, number in enumerate(numbers)]
    assert {*words(await connect().upsert([first(each) for each in calls]))} == {"delivered"}
    assert len(hubspot.links) == 100
    assert [seen.status for seen in hubspot.log if seen.action == "search"] == [200] * searches


async def test_what_hubspot_has_not_made_searchable_is_found_as_it_was_typed(
    hubspot: HubSpot, connect: Connect
) -> None:
    hubspot.unsearchable = True
    numbers = [f"+34600000{n:03}" for n in range(100)]
    for number in numbers:
        hubspot.contacts.put(mobilephone=number)
    calls = [call(f"cloudtalk-{n}", external_number=number) for n, number in enumerate(numbers)]
    assert {*words(await connect().upsert([first(each) for each in calls]))} == {"delivered"}
    assert len(hubspot.links) == 100


async def test_what_was_found_is_remembered_after_a_restart(hubspot: HubSpot, connect: Connect) -> None:
    contact = hubspot.contacts.put(phone="+34600111222")
    await connect().upsert([first(call())])
    await connect().upsert([first(call("cloudtalk-2"))])
    assert hubspot.count("search") == 1
    assert hubspot.contacts_of("cloudtalk-2") == {contact}


async def test_an_unknown_number_is_not_searched_for_again_at_once(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    await client.upsert([first(call())])
    await client.upsert([first(call("cloudtalk-2"))])
    assert hubspot.count("search") == 1
    assert len(hubspot.contacts) == 0


async def test_a_call_without_contact_is_linked_at_a_later_delivery(
    hubspot: HubSpot, connect: Connect, memory: InMemoryClientState
) -> None:
    client = connect()
    [outcome] = await client.upsert([first(call())])
    contact = hubspot.contacts.put(phone="+34600111222")
    await memory.set_many({"no_contact:+34600111222": None})  # as after some minutes
    for tag in ("one", "two"):
        await client.upsert([later(call(), remote_id=remote_id(outcome), tags=[tag])])
    assert hubspot.contacts_of("cloudtalk-1") == {contact}
    assert hubspot.count("contacts/batch/create") == 1


async def test_a_number_that_becomes_known_later_is_linked(hubspot: HubSpot, connect: Connect) -> None:
    contact = hubspot.contacts.put(phone="+34600111222")
    client = connect()
    withheld = call(external_number=None, from_=None)
    [outcome] = await client.upsert([first(withheld)])
    await client.upsert([later(withheld, remote_id=remote_id(outcome), external_number="+34600111222")])
    assert hubspot.contacts_of("cloudtalk-1") == {contact}


@pytest.mark.parametrize("number", [None, "201", "+1"])
async def test_who_is_withheld_or_an_extension_is_nobody(
    hubspot: HubSpot, connect: Connect, number: str | None
) -> None:
    assert words(await connect(contacts="create").upsert([first(call(external_number=number))])) == [
        "delivered"
    ]
    assert hubspot.count("search") == 0
    assert len(hubspot.contacts) == 0


async def test_without_contacts_nothing_is_looked_for(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.contacts.put(phone="+34600111222")
    assert words(await connect(contacts="off").upsert([first(missed())])) == ["delivered"]
    assert hubspot.count("search") == 0
    assert hubspot.links == set()


# --- gone meanwhile ---------------------------------------------------------------------------


@pytest.mark.parametrize("all_or_none", [False, True])
async def test_a_remembered_contact_that_was_deleted_is_looked_for_anew(
    hubspot: HubSpot, connect: Connect, *, all_or_none: bool
) -> None:
    client = connect()
    hubspot.links_all_or_none = all_or_none
    gone, other = hubspot.contacts.put(phone="+34600111222"), hubspot.contacts.put(phone="+34600999888")
    await client.upsert([first(call())])
    hubspot.delete_contact(gone)
    successor = hubspot.contacts.put(phone="+34600111222")
    pushes = [first(call("cloudtalk-2")), first(call("cloudtalk-3", external_number="+34600999888"))]
    assert words(await client.upsert(pushes)) == ["delivered", "delivered"]
    assert hubspot.contacts_of("cloudtalk-2") == {successor}
    assert hubspot.contacts_of("cloudtalk-3") == {other}


async def test_a_deleted_contact_without_successor_leaves_the_call_unlinked(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    contact = hubspot.contacts.put(phone="+34600111222")
    await client.upsert([first(call())])
    hubspot.delete_contact(contact)
    assert words(await client.upsert([first(call("cloudtalk-2"))])) == ["delivered"]
    assert hubspot.contacts_of("cloudtalk-2") == set()


async def test_a_link_that_failed_is_made_by_the_next_attempt(hubspot: HubSpot, connect: Connect) -> None:
    contact = hubspot.contacts.put(phone="+34600111222")
    client = connect()
    hubspot.answer(problem(503, "Try later", "INTERNAL_ERROR"), path="associations")
    assert words(await client.upsert([first(call())])) == ["retry"]
    assert words(await client.upsert([first(call())])) == ["delivered"]
    assert hubspot.contacts_of("cloudtalk-1") == {contact}
    assert len(hubspot.calls) == 1


# --- made -------------------------------------------------------------------------------------


async def test_an_unknown_number_becomes_a_contact(hubspot: HubSpot, connect: Connect) -> None:
    named = call("cloudtalk-2", external_number="+34600999888", contact_name="Ana Ruiz")
    await connect(contacts="create").upsert([first(call()), first(named)])
    assert sorted(map(sorted, (each.items() for each in hubspot.contacts))) == [
        [("firstname", "+34600111222"), ("phone", "+34600111222")],
        [("firstname", "Ana Ruiz"), ("phone", "+34600999888")],
    ]
    assert hubspot.contacts_of("cloudtalk-1") == {hubspot.contacts.one(phone="+34600111222").id}


async def test_no_contact_is_doubled_while_the_search_lags_and_pushes_run_side_by_side(
    hubspot: HubSpot, connect: Connect
) -> None:
    hubspot.search_lag, hubspot.latency = 60, 0.02
    client = connect(contacts="create")
    await asyncio.gather(
        *(client.upsert([first(call(f"cloudtalk-{batch}-{n}")) for n in range(5)]) for batch in range(4))
    )
    [contact] = hubspot.contacts.records
    assert all(
        hubspot.contacts_of(f"cloudtalk-{batch}-{n}") == {contact} for batch in range(4) for n in range(5)
    )
    await connect(contacts="create").upsert([first(call("cloudtalk-after-a-restart"))])
    assert len(hubspot.contacts) == 1


async def test_a_contact_whose_making_was_not_confirmed_is_not_made_again_until_a_search_would_show_it(
    hubspot: HubSpot, connect: Connect, memory: InMemoryClientState
) -> None:
    hubspot.search_lag = 60
    client = connect(contacts="create")
    hubspot.lose_answer(path="contacts/batch/create")
    assert words(await client.upsert([first(call())])) == ["retry"]
    [outcome] = await client.upsert([first(call())])
    assert isinstance(outcome, Retry)
    assert outcome.code == "contact_pending"
    hubspot.search_lag = 0  # a minute later
    assert words(await client.upsert([first(call())])) == ["delivered"]
    assert len(hubspot.contacts) == 1
    assert "contact_making:+34600111222" not in memory.entries


async def test_a_refused_contact_rejects_its_calls_alone(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.contacts.rules.append(lambda said: "Not this one" if said["phone"] == "+34600111222" else None)
    pushes = [first(call()), first(call("cloudtalk-2", external_number="+34600999888"))]
    assert words(await connect(contacts="create").upsert(pushes)) == ["rejected", "delivered"]
    assert [each["phone"] for each in hubspot.contacts] == ["+34600999888"]


# --- searches have a rate_limit of their own ------------------------------------------------------


async def test_a_throttled_search_holds_up_its_own_calls_only(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    known = hubspot.contacts.put(phone="+34600999888")
    await client.upsert([first(call("cloudtalk-0", external_number="+34600999888"))])
    hubspot.answer(throttled("SECONDLY"), path="search")
    outcomes = await client.upsert(
        [first(call("cloudtalk-1")), first(call("cloudtalk-2", external_number="+34600999888"))]
    )
    assert isinstance(outcomes[0], Throttled)
    assert (outcomes[0].rate_limit, outcomes[0].after) == ("search", 1.0)
    assert words(outcomes) == ["throttled", "delivered"]
    assert hubspot.contacts_of("cloudtalk-2") == {known}
    searches = hubspot.count("search")
    assert words(await client.upsert([first(call("cloudtalk-1"))])) == ["throttled"]
    assert hubspot.count("search") == searches, "nobody asks before HubSpot permits it again"


async def test_a_search_that_fails_names_no_wrong_contact(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.answer(Response(status_code=502), path="search")
    assert words(await connect(contacts="create").upsert([first(call())])) == ["retry"]
    assert len(hubspot.contacts) == 0


async def test_a_search_that_hubspot_does_not_take_is_no_calls_fault(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    pushes = [first(call(f"cloudtalk-{n}", external_number=f"+3460000000{n}")) for n in range(5)]
    hubspot.answer(
        problem(400, "There was a problem with the request.", "VALIDATION_ERROR"), path="search", times=9
    )
    assert {*words(await client.upsert(pushes))} == {"misconfigured"}
    hubspot.answers_again()
    hubspot.log.clear()
    assert {*words(await client.upsert(pushes))} == {"delivered"}
    assert hubspot.count("search") == 1


@pytest.mark.parametrize(
    ("policy", "rate_limit"), [("SECONDLY", "search"), ("TEN_SECONDLY_ROLLING", None), ("DAILY", None)]
)
async def test_a_search_stops_the_destination_only_where_its_limit_is_everybodys(
    hubspot: HubSpot, connect: Connect, policy: str, rate_limit: str | None
) -> None:
    hubspot.answer(throttled(policy), path="search")
    [outcome] = await connect().upsert([first(call())])
    assert isinstance(outcome, Throttled)
    assert outcome.rate_limit == rate_limit
