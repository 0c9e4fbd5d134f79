"""The contact of a number: found, cached, or created once; and its association with the call."""

import asyncio
from typing import Literal

import pytest
from starlette.responses import JSONResponse, Response

from crm_clients.base import Retry, Throttled
from crm_clients.hubspot.contact_search import Contact
from crm_clients.hubspot.contacts import choose_contacts
from crm_clients.state import InMemoryClientState
from relay.call import Call
from tests.crm_clients.hubspot.conftest import Connect
from tests.fakes.hubspot import HubSpot
from tests.fakes.hubspot_records import Property, Record
from tests.fakes.hubspot_responses import error_response, throttled_response
from tests.support.fake_time import FakeTime
from tests.support.hubspot import (
    NUMBER,
    call,
    first_push,
    later_push,
    missed_call,
    outcome_names,
    remote_id,
    retraction,
)


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
        "600111222x5",
        "Ana: 600111222",
    ],
)
async def test_a_contact_is_found_in_every_notation_of_its_number(
    hubspot: HubSpot, connect: Connect, written: str
) -> None:
    number = "+34600112233" if "ext" in written else "+34600111222"
    contact = hubspot.contacts.add(phone=written)
    assert outcome_names(await connect().upsert([first_push(call(external_number=number))])) == ["delivered"]
    assert hubspot.contact_ids_of_call("cloudtalk-1") == {contact}


@pytest.mark.parametrize(
    "written", ["+52 1 55 1234 5678", "+5215512345678", "+52 55 1234 5678", "52 55 1234 5678"]
)
async def test_a_mexican_contact_is_found_with_and_without_the_old_1(
    hubspot: HubSpot, connect: Connect, written: str
) -> None:
    hubspot.region = "MX"
    contact = hubspot.contacts.add(phone=written)
    await connect().upsert([first_push(call(external_number="+525512345678"))])
    assert hubspot.contact_ids_of_call("cloudtalk-1") == {contact}


@pytest.mark.parametrize("external", ["+86282452253", "+266696687", "101", "+917878787xyz"])
async def test_no_contact_is_created_for_a_number_that_cannot_be_called(
    hubspot: HubSpot, connect: Connect, external: str
) -> None:
    pushed = first_push(call(external_number=external))
    assert outcome_names(await connect(contacts="create").upsert([pushed])) == ["delivered"]
    assert len(hubspot.contacts) == 0


async def test_a_contact_is_found_by_its_mobile_number(hubspot: HubSpot, connect: Connect) -> None:
    contact = hubspot.contacts.add(phone="+34910000000", mobilephone="600 111 222")
    await connect().upsert([first_push(call())])
    assert hubspot.contact_ids_of_call("cloudtalk-1") == {contact}


async def test_a_foreign_number_typed_without_plus_is_found(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.region = "GB"  # HubSpot interprets typed numbers by the country of the account
    contact = hubspot.contacts.add(phone="44 7911 123456")
    await connect().upsert([first_push(call(external_number="+447911123456"))])
    assert hubspot.contact_ids_of_call("cloudtalk-1") == {contact}


async def test_the_same_national_number_in_another_country_does_not_match(
    hubspot: HubSpot, connect: Connect
) -> None:
    hubspot.contacts.add(phone="+48600111222")
    assert outcome_names(await connect().upsert([first_push(call())])) == ["delivered"]
    assert hubspot.contact_ids_of_call("cloudtalk-1") == set()


async def test_many_numbers_need_one_search_and_all_its_pages_are_read(
    hubspot: HubSpot, connect: Connect
) -> None:
    for n in range(100):
        for _ in range(3):
            hubspot.contacts.add(phone=f"+346000000{n:02}")
    calls = [call(f"cloudtalk-{n}", external_number=f"+346000000{n:02}") for n in range(100)]
    assert {*outcome_names(await connect().upsert([first_push(each) for each in calls]))} == {"delivered"}
    searches = [seen for seen in hubspot.log if seen.action == "search"]
    assert [seen.body["after"] for seen in searches] == ["0", "200"]
    assert len(hubspot.associations) == 100


async def test_a_few_numbers_are_searched_for_in_all_four_properties_at_once(
    hubspot: HubSpot, connect: Connect
) -> None:
    await connect().upsert([first_push(call())])
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
async def test_no_search_exceeds_the_length_limit_and_few_searches_are_sent(
    hubspot: HubSpot, connect: Connect, country: str, searches: int
) -> None:
    numbers = [f"{country}{n:03}" for n in range(100)]
    for number in numbers:
        hubspot.contacts.add(phone=number)
    calls = [call(f"cloudtalk-{n}", external_number=number) for n, number in enumerate(numbers)]
    assert {*outcome_names(await connect().upsert([first_push(each) for each in calls]))} == {"delivered"}
    assert len(hubspot.associations) == 100
    assert [seen.status for seen in hubspot.log if seen.action == "search"] == [200] * searches


async def test_without_national_numbers_a_contact_is_found_by_its_e164_number(
    hubspot: HubSpot, connect: Connect
) -> None:
    hubspot.unsearchable = True
    numbers = [f"+34600000{n:03}" for n in range(100)]
    for number in numbers:
        hubspot.contacts.add(mobilephone=number)
    calls = [call(f"cloudtalk-{n}", external_number=number) for n, number in enumerate(numbers)]
    assert {*outcome_names(await connect().upsert([first_push(each) for each in calls]))} == {"delivered"}
    assert len(hubspot.associations) == 100


async def test_a_found_contact_is_cached_across_restarts(hubspot: HubSpot, connect: Connect) -> None:
    contact = hubspot.contacts.add(phone="+34600111222")
    await connect().upsert([first_push(call())])
    await connect().upsert([first_push(call("cloudtalk-2"))])
    assert hubspot.count_requests("search") == 1
    assert hubspot.contact_ids_of_call("cloudtalk-2") == {contact}


async def test_a_number_without_contact_is_not_searched_for_again_at_once(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    await client.upsert([first_push(call())])
    await client.upsert([first_push(call("cloudtalk-2"))])
    assert hubspot.count_requests("search") == 1
    assert len(hubspot.contacts) == 0


async def test_a_contact_is_searched_for_again_after_a_week(
    hubspot: HubSpot, connect: Connect, fake_time: FakeTime
) -> None:
    hubspot.contacts.add(phone=NUMBER)
    client = connect()
    searches = []
    for n, seconds in enumerate((0, 604_800, 1)):
        fake_time.now += seconds
        await client.upsert([first_push(call(f"cloudtalk-{n}"))])
        searches.append(hubspot.count_requests("search"))
    assert searches == [1, 1, 2]


async def test_the_absence_of_a_contact_is_believed_for_five_minutes(
    hubspot: HubSpot, connect: Connect, fake_time: FakeTime
) -> None:
    client = connect()
    searches = []
    for n, seconds in enumerate((0, 300, 1)):
        fake_time.now += seconds
        await client.upsert([first_push(call(f"cloudtalk-{n}"))])
        searches.append(hubspot.count_requests("search"))
    assert searches == [1, 1, 2]


async def test_the_client_state_has_contacts_owner_and_absence_by_number_until_the_customer_is_forgotten(
    hubspot: HubSpot, connect: Connect, state: InMemoryClientState, fake_time: FakeTime
) -> None:
    def texts_of_numbers() -> dict[str, str]:
        return {key: text for key, (text, _) in state.entries.items() if "+34" in key}

    bea = hubspot.add_owner("bea@example.test")
    add_contacts(hubspot, "1200", hubspot_owner_id=bea)
    add_contacts(hubspot, "98")
    calls = [call("cloudtalk-1"), call("cloudtalk-2", external_number="+34600999888")]
    client = connect(contacts_on_many="all")
    await client.upsert([first_push(each) for each in calls])
    found = {f"contact:all:{NUMBER}": "98,1200", f"contact_owner:{NUMBER}": bea}
    assert texts_of_numbers() == found | {"no_contact:+34600999888": "1"}
    await client.forget([retraction(calls[1])])
    assert texts_of_numbers() == found
    await client.upsert([first_push(calls[1])])
    fake_time.now += 301
    new = hubspot.contacts.add(phone="+34600999888")
    await client.upsert([first_push(calls[1])])
    assert texts_of_numbers() == found | {
        "contact:all:+34600999888": new,
        "contact_owner:+34600999888": "",
    }
    await client.forget([retraction(each) for each in calls])
    assert texts_of_numbers() == {}


async def test_a_deleted_contact_has_no_owner(hubspot: HubSpot, connect: Connect) -> None:
    bea = hubspot.add_owner("bea@example.test")
    add_contacts(hubspot, "98", hubspot_owner_id=bea)
    numbers = {"+34600000001": ("97", "98"), "+34600000002": ("97",)}
    found = await connect()._contacts.find_owners(numbers)
    assert found == {"+34600000001": bea, "+34600000002": ""}


async def test_a_task_waits_only_for_the_owner_of_its_own_contact(
    hubspot: HubSpot, connect: Connect, fake_time: FakeTime
) -> None:
    owners = [hubspot.add_owner(f"owner-{n}@example.test") for n in range(2)]
    numbers = ["+34600000000", "+34600000001"]
    for number, owner in zip(numbers, owners, strict=True):
        hubspot.contacts.add(phone=number, hubspot_owner_id=owner)
    client = connect()
    await client.upsert([first_push(call("cloudtalk-0", external_number=numbers[0]))])
    fake_time.now += 3_601  # the owner of this one is no longer cached
    await client.upsert([first_push(call("cloudtalk-1", external_number=numbers[1]))])
    hubspot.respond_with(Response(status_code=503), path="contacts/batch/read")
    pushes = [first_push(missed_call(f"cloudtalk-{n}", external_number=numbers[n])) for n in range(2)]
    assert outcome_names(await client.upsert(pushes)) == ["retry", "delivered"]
    assert outcome_names(await client.upsert(pushes)) == ["delivered", "delivered"]
    assert [task["hubspot_owner_id"] for task in hubspot.tasks] == [owners[1], owners[0]]


@pytest.mark.parametrize(("seconds", "reads"), [(3_600, 0), (3_601, 1)])
async def test_the_owner_of_a_contact_is_cached_for_an_hour(
    hubspot: HubSpot, connect: Connect, fake_time: FakeTime, seconds: int, reads: int
) -> None:
    hubspot.contacts.add(phone=NUMBER)
    client = connect()
    await client.upsert([first_push(call())])
    fake_time.now += seconds
    for name in ("cloudtalk-2", "cloudtalk-3"):
        await client.upsert([first_push(missed_call(name))])
    assert hubspot.count_requests("batch/read", "contacts") == reads


async def test_an_unlinked_call_is_linked_at_a_later_delivery(
    hubspot: HubSpot, connect: Connect, fake_time: FakeTime
) -> None:
    client = connect()
    [outcome] = await client.upsert([first_push(call())])
    contact = hubspot.contacts.add(phone="+34600111222")
    fake_time.now += 301
    for tag in ("one", "two"):
        await client.upsert([later_push(call(), remote_id=remote_id(outcome), tags=[tag])])
    assert hubspot.contact_ids_of_call("cloudtalk-1") == {contact}
    assert hubspot.count_requests("contacts/batch/create") == 1


async def test_a_call_whose_number_becomes_known_later_is_linked(hubspot: HubSpot, connect: Connect) -> None:
    contact = hubspot.contacts.add(phone="+34600111222")
    client = connect()
    withheld = call(external_number=None, from_=None)
    [outcome] = await client.upsert([first_push(withheld)])
    await client.upsert([later_push(withheld, remote_id=remote_id(outcome), external_number="+34600111222")])
    assert hubspot.contact_ids_of_call("cloudtalk-1") == {contact}


@pytest.mark.parametrize("number", [None, "201", "+1"])
async def test_a_withheld_number_or_an_extension_has_no_contact(
    hubspot: HubSpot, connect: Connect, number: str | None
) -> None:
    assert outcome_names(
        await connect(contacts="create").upsert([first_push(call(external_number=number))])
    ) == ["delivered"]
    assert hubspot.count_requests("search") == 0
    assert len(hubspot.contacts) == 0


async def test_with_contacts_off_no_contact_is_searched_for(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.contacts.add(phone="+34600111222")
    assert outcome_names(await connect(contacts="off").upsert([first_push(missed_call())])) == ["delivered"]
    assert hubspot.count_requests("search") == 0
    assert hubspot.associations == set()


# --- several contacts with one number ---------------------------------------------------------


@pytest.mark.parametrize(
    ("on_many", "chosen"),
    [
        ("oldest", ["98"]),
        ("newest", ["1200"]),
        ("all", ["98", "99", "340", "341", "1200"]),
        ("none", []),
    ],
)
def test_contacts_are_chosen_by_the_number_that_is_their_id(
    on_many: Literal["oldest", "newest", "all", "none"], chosen: list[str]
) -> None:
    contacts = [Contact(id_) for id_ in ("340", "99", "1200", "98", "341")]
    assert choose_contacts(contacts, on_many) == [Contact(id_) for id_ in chosen]
    assert choose_contacts([Contact("77", "7001")], on_many) == [Contact("77", "7001")]
    assert choose_contacts([], on_many) == []


def add_contacts(hubspot: HubSpot, *ids: str, **properties: str) -> None:
    """Add contacts with NUMBER. A search returns them in this order."""
    hubspot.contacts.records |= {id_: Record(id_, {"phone": NUMBER} | properties, created=0) for id_ in ids}


@pytest.mark.parametrize(
    "ids", [("98", "340", "1200"), ("1200", "340", "98"), ("340", "1200", "98"), ("1200", "98", "340")]
)
@pytest.mark.parametrize(
    ("on_many", "linked"),
    [
        ("oldest", {"98"}),
        ("newest", {"1200"}),
        ("all", {"98", "340", "1200"}),
        ("none", set()),
    ],
)
async def test_of_several_contacts_those_are_linked_that_the_setting_says(
    hubspot: HubSpot, connect: Connect, ids: tuple[str, ...], on_many: str, linked: set[str]
) -> None:
    add_contacts(hubspot, *ids)
    client = connect(contacts_on_many=on_many, contacts="create")
    for call_id in ("cloudtalk-1", "cloudtalk-2"):  # the second one from the cache
        [outcome] = await client.upsert([first_push(missed_call(call_id))])
        assert (outcome.name, outcome.code) == ("delivered", None)
        assert hubspot.contact_ids_of_call(call_id) == linked
    assert hubspot.contact_ids_of_task(hubspot.tasks.get_one()) == linked
    assert {*hubspot.contacts.records} == {*ids}


async def test_by_default_the_oldest_contact_of_all_pages_is_linked(
    hubspot: HubSpot, connect: Connect
) -> None:
    add_contacts(hubspot, *(str(id_) for id_ in range(1201, 900, -1)))
    await connect().upsert([first_push(call())])
    assert hubspot.contact_ids_of_call("cloudtalk-1") == {"901"}


@pytest.mark.parametrize("on_many", ["oldest", "newest", "all", "none"])
async def test_one_contact_that_has_the_number_twice_is_linked(
    hubspot: HubSpot, connect: Connect, on_many: str
) -> None:
    add_contacts(hubspot, "77", mobilephone="600 111 222")
    await connect(contacts_on_many=on_many).upsert([first_push(call())])
    assert hubspot.contact_ids_of_call("cloudtalk-1") == {"77"}


@pytest.mark.parametrize(
    ("on_many", "linked"), [("newest", {"1200"}), ("all", {"98", "1200"}), ("none", set())]
)
async def test_several_contacts_with_the_number_among_others_are_treated_alike(
    hubspot: HubSpot, connect: Connect, on_many: str, linked: set[str]
) -> None:
    add_contacts(hubspot, "1200", phone="600111222 / 600999888")
    add_contacts(hubspot, "98", phone="600 111 222 Ana")
    await connect(contacts_on_many=on_many, contacts="create").upsert([first_push(call())])
    assert hubspot.contact_ids_of_call("cloudtalk-1") == linked
    assert len(hubspot.contacts) == 2


async def test_a_call_without_link_is_linked_later_if_only_one_contact_is_left(
    hubspot: HubSpot, connect: Connect
) -> None:
    add_contacts(hubspot, "98", "1200")
    client = connect(contacts_on_many="none")
    [outcome] = await client.upsert([first_push(call())])
    hubspot.delete_contact("98")
    await client.upsert([later_push(call(), remote_id=remote_id(outcome), notes="merged in HubSpot")])
    assert hubspot.contact_ids_of_call("cloudtalk-1") == {"1200"}


async def test_a_number_of_several_contacts_that_is_linked_to_none_is_not_cached(
    hubspot: HubSpot, connect: Connect, state: InMemoryClientState
) -> None:
    add_contacts(hubspot, "98", "1200")
    await connect(contacts_on_many="none").upsert([first_push(call())])
    assert [key for key in state.entries if NUMBER in key] == []


async def test_a_changed_setting_applies_to_cached_numbers(hubspot: HubSpot, connect: Connect) -> None:
    add_contacts(hubspot, "1200", "98")
    await connect(contacts_on_many="oldest").upsert([first_push(call())])
    await connect(contacts_on_many="newest").upsert([first_push(call("cloudtalk-2"))])
    assert hubspot.contact_ids_of_call("cloudtalk-2") == {"1200"}


@pytest.mark.parametrize("with_cached_owner", [True, False])
async def test_the_oldest_of_all_contacts_that_has_an_owner_gives_the_task_its_owner(
    hubspot: HubSpot, connect: Connect, fake_time: FakeTime, *, with_cached_owner: bool
) -> None:
    owners = [hubspot.add_owner(f"owner-{n}@example.test") for n in range(2)]
    add_contacts(hubspot, "1200", hubspot_owner_id=owners[0])
    add_contacts(hubspot, "98")
    add_contacts(hubspot, "340", hubspot_owner_id=owners[1])
    client = connect(contacts_on_many="all")
    await client.upsert([first_push(call("cloudtalk-0"))])
    if not with_cached_owner:
        fake_time.now += 3_601
    await client.upsert([first_push(missed_call())])
    assert hubspot.tasks.get_one().properties["hubspot_owner_id"] == owners[1]


async def test_if_one_of_all_cached_contacts_was_deleted_the_others_are_linked(
    hubspot: HubSpot, connect: Connect
) -> None:
    add_contacts(hubspot, "98", "340", "1200")
    client = connect(contacts_on_many="all")
    await client.upsert([first_push(call())])
    hubspot.delete_contact("340")
    assert outcome_names(await client.upsert([first_push(call("cloudtalk-2"))])) == ["delivered"]
    assert hubspot.contact_ids_of_call("cloudtalk-2") == {"98", "1200"}


@pytest.mark.parametrize("locked", ["98", "1200"])
async def test_a_temporary_failure_of_one_of_all_links_counts_before_the_refusal_of_another(
    hubspot: HubSpot, connect: Connect, locked: str
) -> None:
    add_contacts(hubspot, "98", "1200")
    client = connect(contacts_on_many="all")
    errors = [
        {
            "status": "error",
            "category": "LOCKED" if id_ == locked else "VALIDATION_ERROR",
            "context": {"toObjectId": [id_]},
        }
        for id_ in ("98", "1200")
    ]
    body = {"status": "COMPLETE", "results": [], "numErrors": 2, "errors": errors}
    hubspot.respond_with(JSONResponse(body, 207), path="associations", times=2)
    assert outcome_names(await client.upsert([first_push(call())])) == ["retry"]
    hubspot.clear_canned_responses()
    assert outcome_names(await client.upsert([first_push(call())])) == ["delivered"]
    assert hubspot.contact_ids_of_call("cloudtalk-1") == {"98", "1200"}


# --- deleted contacts -------------------------------------------------------------------------


@pytest.mark.parametrize("all_or_none", [False, True])
async def test_a_cached_contact_that_was_deleted_is_searched_for_again(
    hubspot: HubSpot, connect: Connect, *, all_or_none: bool
) -> None:
    client = connect()
    hubspot.associations_all_or_none = all_or_none
    deleted, other = hubspot.contacts.add(phone="+34600111222"), hubspot.contacts.add(phone="+34600999888")
    await client.upsert([first_push(call())])
    hubspot.delete_contact(deleted)
    successor = hubspot.contacts.add(phone="+34600111222")
    pushes = [
        first_push(call("cloudtalk-2")),
        first_push(call("cloudtalk-3", external_number="+34600999888")),
    ]
    assert outcome_names(await client.upsert(pushes)) == ["delivered", "delivered"]
    assert hubspot.contact_ids_of_call("cloudtalk-2") == {successor}
    assert hubspot.contact_ids_of_call("cloudtalk-3") == {other}


async def test_without_a_successor_of_a_deleted_contact_the_call_stays_unlinked(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    contact = hubspot.contacts.add(phone="+34600111222")
    await client.upsert([first_push(call())])
    hubspot.delete_contact(contact)
    assert outcome_names(await client.upsert([first_push(call("cloudtalk-2"))])) == ["delivered"]
    assert hubspot.contact_ids_of_call("cloudtalk-2") == set()


async def test_the_next_attempt_repeats_a_failed_association(hubspot: HubSpot, connect: Connect) -> None:
    contact = hubspot.contacts.add(phone="+34600111222")
    client = connect()
    hubspot.respond_with(error_response(503, "Try later", "INTERNAL_ERROR"), path="associations")
    assert outcome_names(await client.upsert([first_push(call())])) == ["retry"]
    assert outcome_names(await client.upsert([first_push(call())])) == ["delivered"]
    assert hubspot.contact_ids_of_call("cloudtalk-1") == {contact}
    assert len(hubspot.calls) == 1


# --- numbers among others in one field --------------------------------------------------------


@pytest.mark.parametrize("property_", ["phone", "mobilephone"])
@pytest.mark.parametrize(
    ("number", "written"),
    [
        ("+34600111222", "600999888 / 600111222"),
        ("+34600111222", "600111222/600999888"),
        ("+34600111222", "600 111 222 Ana"),
        ("+34600111222", "600 999 888 600 11 12 22 Ana"),
        ("+34600111222", "Luis +34600999888, Ana +34 600-111-222 (tardes)"),
        ("+34600111222", "casa 910000000; móvil 0034 600.111.222"),
        ("+16263133690", "+1 (626) 313-3690 or +1 212 555 0123"),
        ("+33612345678", "+33 6 12 34 56 78 / +33 1 40 20 50 50"),
        ("+919876543210", "+91 98765 43210 Ravi"),
        ("+4915123456789", "Büro +49 30 901820, mobil +49 151 23456789"),
        ("+41791234567", "+41 79 123 45 67 oder +41 44 668 18 00"),
        ("+393331234567", "+39 333 123 4567 Anna"),
        ("+525512345678", "oficina +52 1 55 1234 5678, casa +52 33 3615 0000"),
    ],
)
async def test_no_contact_is_created_if_a_field_contains_the_number_among_others(
    hubspot: HubSpot, connect: Connect, number: str, written: str, property_: str
) -> None:
    contact = hubspot.contacts.add(**{property_: written})
    hubspot.contacts.add(phone="+34600999888 / 600111223")
    pushed = first_push(call(external_number=number))
    assert outcome_names(await connect(contacts="create").upsert([pushed])) == ["delivered"]
    assert hubspot.contact_ids_of_call("cloudtalk-1") == {contact}
    assert len(hubspot.contacts) == 2
    assert {seen.status for seen in hubspot.log if seen.action == "search"} == {200}


@pytest.mark.parametrize(
    "written",
    ["600111223 / 600999888", "+48 600 111 222 Jan", "1600111222 / 600999888", "22, 12, 11", "111 222 600"],
)
async def test_a_field_with_the_same_parts_of_another_number_does_not_match(
    hubspot: HubSpot, connect: Connect, written: str
) -> None:
    other = hubspot.contacts.add(phone=written)
    await connect(contacts="create").upsert([first_push(call())])
    assert len(hubspot.contacts) == 2
    assert hubspot.contact_ids_of_call("cloudtalk-1") == {*hubspot.contacts.records} - {other}


async def test_only_a_number_that_would_become_a_contact_is_searched_for_by_its_parts(
    hubspot: HubSpot, connect: Connect
) -> None:
    numbers = [f"+346000000{n:02}" for n in range(13)]
    for number in numbers[:3]:
        hubspot.contacts.add(phone=number)
    pushes = [first_push(call(f"cloudtalk-{n}", external_number=each)) for n, each in enumerate(numbers)]
    await connect(contacts="match", state=InMemoryClientState()).upsert(pushes)
    assert hubspot.count_requests("search") == 1
    client = connect(contacts="create")
    hubspot.log.clear()
    await client.upsert(pushes)
    # One by whole numbers, and for twice 5 new numbers one in each property.
    assert hubspot.count_requests("search") == 1 + 2 * 2
    hubspot.log.clear()
    await client.upsert([first_push(call("cloudtalk-99", external_number=numbers[9]))])
    assert hubspot.count_requests("search") == 0, "the new contact is cached"
    assert len(hubspot.contacts) == 13


async def test_a_search_by_parts_compares_digits_that_no_space_divides(
    hubspot: HubSpot, connect: Connect
) -> None:
    numbers = ["+34612345678", "+16263133690", "+919876543210"]
    pushes = [first_push(call(f"cloudtalk-{n}", external_number=each)) for n, each in enumerate(numbers)]
    await connect(contacts="create").upsert(pushes)
    searches = [seen.body["filterGroups"] for seen in hubspot.log if seen.action == "search"][1:]
    assert [
        [(group["filters"][0]["propertyName"], [each["value"] for each in group["filters"]]) for group in one]
        for one in searches
    ] == [
        [
            (name, ["*612*", "*34*", "*78*"]),
            (name, ["*626*", "*13*", "*90*"]),
            (name, ["*987*", "*10*", "*6*"]),
        ]
        for name in ("phone", "mobilephone")
    ]


async def test_a_push_with_many_new_numbers_searches_for_some_and_the_others_wait(
    hubspot: HubSpot, connect: Connect
) -> None:
    numbers = [f"+346000000{n:02}" for n in range(12)]
    contact = hubspot.contacts.add(phone=f"{numbers[11]} Ana")
    # Half of 10 seconds, shared by 32 pushes, permits 3 searches at 20 a second: those for 5 numbers.
    client = connect(contacts="create", search_rate=20, timeout_seconds=10, concurrency=32)
    pushes = [first_push(call(f"cloudtalk-{n}", external_number=each)) for n, each in enumerate(numbers)]
    counts = []
    for _ in range(3):
        outcomes = await client.upsert(pushes)
        counts.append(outcome_names(outcomes).count("delivered"))
        assert {(o.code, getattr(o, "rate_limit", None)) for o in outcomes} <= {
            (None, None),
            ("search_later", "search"),
        }
    assert counts == [5, 10, 12]
    assert hubspot.count_requests("search") == 3 * (1 + 2)
    assert hubspot.contact_ids_of_call("cloudtalk-11") == {contact}
    assert len(hubspot.contacts) == 12


@pytest.mark.parametrize(
    ("response", "name"),
    [
        (Response(status_code=502), "retry"),
        (throttled_response("SECONDLY"), "throttled"),
        (Response(b'{"total":1,"results":[]}'), "retry"),
        (error_response(403, "No search", "MISSING_SCOPES"), "misconfigured"),
    ],
)
@pytest.mark.parametrize("earlier", [1, 2])
async def test_no_contact_is_created_for_a_number_whose_search_by_parts_fails(
    hubspot: HubSpot, connect: Connect, response: Response, name: str, earlier: int
) -> None:
    client = connect(contacts="create")
    contact = hubspot.contacts.add(mobilephone="600111222 / 600999888")
    hubspot.respond_with(JSONResponse({"total": 0, "results": []}), path="contacts/search", times=earlier)
    hubspot.respond_with(response, path="contacts/search")
    assert outcome_names(await client.upsert([first_push(call())])) == [name]
    assert [*hubspot.contacts.records] == [contact]


async def test_a_search_by_parts_that_hubspot_refuses_finds_nothing(
    hubspot: HubSpot, connect: Connect
) -> None:
    hubspot.respond_with(JSONResponse({"total": 0, "results": []}), path="contacts/search")
    refusal = error_response(400, "Invalid operator CONTAINS_TOKEN", "VALIDATION_ERROR")
    hubspot.respond_with(refusal, path="contacts/search", times=2)
    assert outcome_names(await connect(contacts="create").upsert([first_push(call())])) == ["delivered"]
    assert len(hubspot.contacts) == 1


# --- created contacts -------------------------------------------------------------------------


async def test_create_adds_a_contact_for_an_unknown_number(hubspot: HubSpot, connect: Connect) -> None:
    named = call("cloudtalk-2", external_number="+34600999888", contact_name="Ana Ruiz")
    await connect(contacts="create").upsert([first_push(call()), first_push(named)])
    assert sorted(map(sorted, (each.items() for each in hubspot.contacts))) == [
        [("firstname", "+34600111222"), ("phone", "+34600111222")],
        [("firstname", "Ana Ruiz"), ("phone", "+34600999888")],
    ]
    assert hubspot.contact_ids_of_call("cloudtalk-1") == {hubspot.contacts.get_one(phone="+34600111222").id}


async def test_concurrent_pushes_create_one_contact_while_the_search_lags(
    hubspot: HubSpot, connect: Connect
) -> None:
    hubspot.search_lag, hubspot.latency = 60, 0.02
    client = connect(contacts="create")
    await asyncio.gather(
        *(client.upsert([first_push(call(f"cloudtalk-{batch}-{n}")) for n in range(5)]) for batch in range(4))
    )
    [contact] = hubspot.contacts.records
    assert all(
        hubspot.contact_ids_of_call(f"cloudtalk-{batch}-{n}") == {contact}
        for batch in range(4)
        for n in range(5)
    )
    await connect(contacts="create").upsert([first_push(call("cloudtalk-after-a-restart"))])
    assert len(hubspot.contacts) == 1


async def test_an_unconfirmed_contact_is_not_created_again_until_a_search_would_show_it(
    hubspot: HubSpot, connect: Connect, state: InMemoryClientState
) -> None:
    hubspot.search_lag = 60
    client = connect(contacts="create")
    hubspot.lose_response(path="contacts/batch/create")
    assert outcome_names(await client.upsert([first_push(call())])) == ["retry"]
    [outcome] = await client.upsert([first_push(call())])
    assert isinstance(outcome, Retry)
    assert outcome.code == "contact_pending"
    hubspot.search_lag = 0  # a minute later
    assert outcome_names(await client.upsert([first_push(call())])) == ["delivered"]
    assert len(hubspot.contacts) == 1
    assert "contact_making:+34600111222" not in state.entries


async def test_an_unconfirmed_contact_is_forgotten_with_its_number(
    hubspot: HubSpot, connect: Connect, state: InMemoryClientState
) -> None:
    client = connect(contacts="create")
    hubspot.lose_response(path="contacts/batch/create")
    await client.upsert([first_push(call())])
    assert [key for key in state.entries if NUMBER in key] == [f"contact_making:{NUMBER}"]
    await client.forget([retraction(call())])
    assert [key for key in state.entries if NUMBER in key] == []


async def test_a_created_contact_gets_the_constants(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.contacts.properties |= {name: Property(name) for name in ("lead_source", "calls", "vip")}
    constants = {"lead_source": "Teléfono", "calls": 1, "vip": False, "lastname": "(CloudTalk)"}
    assert outcome_names(
        await connect(contacts="create", contact_constants=constants).upsert([first_push(call())])
    ) == ["delivered"]
    assert hubspot.contacts.get_one().properties == {
        "firstname": "+34600111222",
        "phone": "+34600111222",
        "lead_source": "Teléfono",
        "calls": "1",
        "vip": "false",
        "lastname": "(CloudTalk)",
    }


async def test_an_existing_contact_does_not_get_the_constants(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.contacts.add(phone="+34600111222")
    await connect(contacts="create", contact_constants={"lastname": "x"}).upsert([first_push(call())])
    assert hubspot.contacts.get_one().properties == {"phone": "+34600111222"}


@pytest.mark.parametrize(
    ("known", "status"),
    [
        (Property("hs_marketable_status", options=frozenset({"true", "false"})), "false"),
        (Property("hs_marketable_status", read_only=True), None),
        (None, None),
    ],
)
async def test_a_created_contact_is_no_marketing_contact_where_that_can_be_written(
    hubspot: HubSpot, connect: Connect, known: Property | None, status: str | None
) -> None:
    if known is not None:
        hubspot.contacts.properties[known.name] = known
    for n in range(3):
        client = connect(contacts="create")  # as after a restart
        await client.upsert([first_push(call(f"cloudtalk-{n}", external_number=f"+3460000000{n}"))])
    assert [each.get("hs_marketable_status") for each in hubspot.contacts] == [status] * 3
    assert len([seen for seen in hubspot.log if seen.path.endswith("hs_marketable_status")]) == 1


@pytest.mark.parametrize(
    ("response", "created"),
    [
        (Response(status_code=503), 0),
        (Response(b"{}"), 0),
        (throttled_response("TEN_SECONDLY_ROLLING"), 0),
        (error_response(403, "No access to properties", "MISSING_SCOPES"), 1),
    ],
)
async def test_no_contact_is_created_while_it_is_unknown_whether_it_would_be_a_marketing_contact(
    hubspot: HubSpot, connect: Connect, response: Response, created: int
) -> None:
    hubspot.respond_with(response, path="hs_marketable_status")
    [outcome] = await connect(contacts="create").upsert([first_push(call())])
    assert len(hubspot.contacts) == created
    assert (outcome.name == "delivered") == bool(created)


def forbid_contacts(hubspot: HubSpot) -> None:
    hubspot.contacts.rules.append(
        lambda properties: "Not this one" if properties["phone"] == "+34600111222" else None
    )


@pytest.mark.parametrize("of", [call(), missed_call()])
async def test_a_call_whose_contact_is_refused_is_delivered_without_it_and_says_so(
    hubspot: HubSpot, connect: Connect, of: Call
) -> None:
    forbid_contacts(hubspot)
    pushes = [first_push(of), first_push(call("cloudtalk-2", external_number="+34600999888"))]
    outcomes = await connect(contacts="create").upsert(pushes)
    assert outcome_names(outcomes) == ["delivered", "delivered"]
    assert [outcome.code for outcome in outcomes] == ["contact_refused", None]
    assert "Not this one" in f"{outcomes[0].message}"
    assert [each["phone"] for each in hubspot.contacts] == ["+34600999888"]
    assert hubspot.contact_ids_of_call("cloudtalk-1") == set()
    assert len(hubspot.tasks) == of.follow_up


async def test_a_refused_contact_is_created_and_linked_at_a_later_delivery(
    hubspot: HubSpot, connect: Connect
) -> None:
    forbid_contacts(hubspot)
    client = connect(contacts="create")
    [outcome] = await client.upsert([first_push(call())])
    [outcome] = await client.upsert([later_push(call(), remote_id=remote_id(outcome), notes="still refused")])
    assert outcome.code == "contact_refused"
    hubspot.contacts.rules.clear()
    [outcome] = await client.upsert([later_push(call(), remote_id=remote_id(outcome), notes="accepted")])
    assert (outcome.name, outcome.code) == ("delivered", None)
    assert hubspot.contact_ids_of_call("cloudtalk-1") == {hubspot.contacts.get_one().id}


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (error_response(400, "lastname is required", "VALIDATION_ERROR"), "contact_refused"),
        (error_response(409, "Contact already exists. Existing ID: 77", "CONFLICT"), "contact_refused"),
        (error_response(400, "Limit of contacts reached", "OBJECT_LIMIT"), "contact_refused"),
        (error_response(403, "Limit of contacts reached", "OBJECT_LIMIT"), "contact_refused"),
        (error_response(403, "Your plan has no more contacts", "FORBIDDEN"), "contact_refused"),
        (Response(status_code=403), "contact_refused"),
        (error_response(401, "Expired", "EXPIRED_AUTHENTICATION"), "EXPIRED_AUTHENTICATION"),
        (error_response(409, "Another write is running", "CONFLICT"), "CONFLICT"),
        (error_response(423, "Locked", "LOCKED"), "LOCKED"),
        (error_response(403, "No scope", "MISSING_SCOPES"), "missing_scope"),
        (error_response(400, 'Property "team" does not exist', "VALIDATION_ERROR"), "missing_property"),
    ],
)
async def test_only_a_refusal_of_the_contact_itself_leaves_the_call_unlinked(
    hubspot: HubSpot, connect: Connect, response: Response, code: str
) -> None:
    hubspot.respond_with(response, path="contacts/batch/create")
    client = connect(contacts="create")
    [outcome] = await client.upsert([first_push(call())])
    assert outcome.code == code
    assert (outcome.name == "delivered") == (code == "contact_refused")


@pytest.mark.parametrize(
    ("status", "category", "times"),
    [
        (400, "VALIDATION_ERROR", 2),
        (400, "ASSOCIATION_LIMIT_EXCEEDED", 2),
        (422, "UNPROCESSABLE", 1),
        (403, "ASSOCIATION_LIMIT_EXCEEDED", 1),
    ],
)
async def test_a_call_whose_association_is_refused_is_delivered_and_linked_later(
    hubspot: HubSpot, connect: Connect, status: int, category: str, times: int
) -> None:
    contact = hubspot.contacts.add(phone="+34600111222")
    client = connect()
    refusal = error_response(status, "The contact is full", category)
    hubspot.respond_with(refusal, path="associations", times=times)
    [outcome] = await client.upsert([first_push(call())])
    assert (outcome.name, outcome.code) == ("delivered", "contact_refused")
    assert "The contact is full" in f"{outcome.message}"
    [outcome] = await client.upsert([later_push(call(), remote_id=remote_id(outcome), notes="new")])
    assert (outcome.name, outcome.code) == ("delivered", None)
    assert hubspot.contact_ids_of_call("cloudtalk-1") == {contact}


# --- the rate limit of searches ---------------------------------------------------------------


async def test_a_throttled_search_throttles_only_the_calls_that_need_it(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    known = hubspot.contacts.add(phone="+34600999888")
    await client.upsert([first_push(call("cloudtalk-0", external_number="+34600999888"))])
    hubspot.respond_with(throttled_response("SECONDLY"), path="search")
    outcomes = await client.upsert(
        [first_push(call("cloudtalk-1")), first_push(call("cloudtalk-2", external_number="+34600999888"))]
    )
    assert isinstance(outcomes[0], Throttled)
    assert (outcomes[0].rate_limit, outcomes[0].after) == ("search", 1.0)
    assert outcome_names(outcomes) == ["throttled", "delivered"]
    assert hubspot.contact_ids_of_call("cloudtalk-2") == {known}
    searches = hubspot.count_requests("search")
    assert outcome_names(await client.upsert([first_push(call("cloudtalk-1"))])) == ["throttled"]
    assert hubspot.count_requests("search") == searches, "no search is sent before HubSpot permits it"


async def test_a_failed_search_creates_no_contact(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.respond_with(Response(status_code=502), path="search")
    assert outcome_names(await connect(contacts="create").upsert([first_push(call())])) == ["retry"]
    assert len(hubspot.contacts) == 0
    assert hubspot.count_requests("search") == 1, "the number is not searched for by its parts"


async def test_a_search_that_hubspot_rejects_is_misconfigured(hubspot: HubSpot, connect: Connect) -> None:
    client = connect()
    pushes = [first_push(call(f"cloudtalk-{n}", external_number=f"+3460000000{n}")) for n in range(5)]
    hubspot.respond_with(
        error_response(400, "There was a problem with the request.", "VALIDATION_ERROR"),
        path="search",
        times=9,
    )
    assert {*outcome_names(await client.upsert(pushes))} == {"misconfigured"}
    hubspot.clear_canned_responses()
    hubspot.log.clear()
    assert {*outcome_names(await client.upsert(pushes))} == {"delivered"}
    assert hubspot.count_requests("search") == 1


@pytest.mark.parametrize(
    ("policy", "rate_limit"), [("SECONDLY", "search"), ("TEN_SECONDLY_ROLLING", None), ("DAILY", None)]
)
async def test_a_throttled_search_names_its_rate_limit_unless_writes_share_the_limit(
    hubspot: HubSpot, connect: Connect, policy: str, rate_limit: str | None
) -> None:
    hubspot.respond_with(throttled_response(policy), path="search")
    [outcome] = await connect().upsert([first_push(call())])
    assert isinstance(outcome, Throttled)
    assert outcome.rate_limit == rate_limit


async def test_a_limit_of_contacts_delivers_the_calls_of_a_bisected_batch(
    hubspot: HubSpot, connect: Connect
) -> None:
    known = hubspot.contacts.add(phone="+34600999888")
    limit = error_response(403, "Limit of contacts reached", "OBJECT_LIMIT")
    hubspot.respond_with(limit, path="2026-09/contacts/batch/create", times=9)
    client = connect(contacts="create")
    numbers = ["+34600000001", "+34600000002", "+34600999888"]
    pushes = [first_push(call(f"cloudtalk-{n}", external_number=each)) for n, each in enumerate(numbers)]
    assert outcome_names(await client.upsert(pushes)) == ["split", "split", "delivered"]
    for push in pushes[:2]:
        [outcome] = await client.upsert([push])
        assert (outcome.name, outcome.code) == ("delivered", "contact_refused")
        assert "Limit of contacts reached" in f"{outcome.message}"
    assert hubspot.contact_ids_of_call("cloudtalk-2") == {known}
