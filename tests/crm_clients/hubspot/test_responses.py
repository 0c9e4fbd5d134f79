"""Successful responses without what HubSpot's API promises: nothing is concluded from them."""

from collections.abc import Mapping

import msgspec
import pytest
from starlette.responses import JSONResponse, Response

from crm_clients.base import Outcome, Retry
from crm_clients.hubspot.errors import ApiError
from crm_clients.hubspot.responses import (
    Archived,
    AssociationObject,
    PropertyObject,
    Record,
    RecordResults,
    Results,
    parse_error_body,
    parse_response,
    to_records,
)
from crm_clients.response_body import MAX_BODY_BYTES
from crm_clients.state import InMemoryClientState
from tests.crm_clients.hubspot.conftest import Connect
from tests.fakes.hubspot import HubSpot
from tests.support.fake_time import FakeTime
from tests.support.hubspot import (
    call,
    first_push,
    later_push,
    missed_call,
    outcome_names,
    remote_id,
    retraction,
)

NO_JSON = [b"", b"<h1>Welcome to our Wi-Fi</h1>", b'{"results":[', b"\xff", b"OK"]
NO_RESULTS = [
    b"{}",
    b"[]",
    b"null",
    b'"COMPLETE"',
    b'{"total":0}',
    b'{"results":null}',
    b'{"results":{}}',
    b'{"results":[null]}',
    b'{"results":[{}]}',
    b'{"results":[{"id":""}]}',
    b'{"results":[{"id":"","properties":{}}]}',
    b'{"results":[{"id":"\xff","properties":{}}]}',
    b'{"results":[{"id":null,"properties":{}}]}',
    b'{"results":[],"paging":{"next":{}}}',
    b'{"status":"error","message":"Something went wrong"}',
]
CONTRADICTIONS = [
    b'{"total":1,"results":[]}',
    b'{"total":250,"results":[],"paging":{"next":{"after":"200"}}}',
    b'{"results":[],"paging":{"next":{"after":"200"}}}',
]
"""Lists that count more results than they contain."""

NO_RECORDS = [
    b'{"results":[{"id":"1"}]}',
    b'{"results":[{"properties":{"phone":"+34600111222"}}]}',
    b'{"status":"PENDING","results":[]}',
    b'{"status":"CANCELED","results":[]}',
]
SAMPLES = [
    b"",
    b"<h1>Welcome to our Wi-Fi</h1>",
    b"{}",
    b'{"results":null}',
    b'{"results":[{}]}',
    *CONTRADICTIONS,
]
"""For the tests through the client, which are slower."""


@pytest.mark.parametrize("body", [*NO_JSON, *NO_RESULTS, *NO_RECORDS, *CONTRADICTIONS])
def test_a_response_without_a_promised_part_is_a_retry(body: bytes) -> None:
    outcome = parse_response(body, RecordResults, "POST /crm/objects")
    assert isinstance(outcome, Retry)
    assert outcome.code == "unexpected_answer"
    assert "POST /crm/objects" in f"{outcome.message}"


def test_a_complete_response_is_parsed_whatever_else_it_holds() -> None:
    body = {
        "results": [{"id": 7, "properties": {"phone": None, "size": 3}, "archived": False, "new": True}],
        "status": "COMPLETE",
        "errors": None,
        "paging": {"next": {"after": 200, "link": "?after=200"}, "prev": None},
        "somethingNew": [],
    }
    response = parse_response(msgspec.json.encode(body), RecordResults, "POST /")
    assert isinstance(response, Results)
    [record] = to_records(response)
    assert (record.id, record.properties, record.created) == ("7", {"size": "3"}, True)
    assert (response.next_page, response.errors) == ("200", [])


@pytest.mark.parametrize(
    "body", [b'{"total":0,"results":[]}', b'{"results":[],"paging":{}}', b'{"total":null,"results":[]}']
)
def test_an_empty_list_that_counts_nothing_is_empty(body: bytes) -> None:
    response = parse_response(body, RecordResults, "POST /")
    assert isinstance(response, Results)
    assert response.results == []


@pytest.mark.parametrize(
    ("total", "results", "next_", "offset", "early"),
    [
        (1, 1, None, 0, False),
        (2, 1, None, 0, True),
        (1, 2, None, 0, False),
        (None, 2, None, 0, False),
        (201, 200, "200", 0, False),
        (201, 1, None, 200, False),
        (203, 1, None, 200, True),
    ],
)
def test_a_search_ends_early_if_its_last_page_ends_before_its_count(
    total: int | None, results: int, next_: str | None, offset: int, *, early: bool
) -> None:
    paging = {"next": {"after": next_}} if next_ else {}
    body = {"total": total, "results": [{"id": "1", "properties": {}}] * results, "paging": paging}
    response = parse_response(msgspec.json.encode(body), RecordResults, "POST /")
    assert isinstance(response, Results)
    assert response.ends_early(offset) is early


@pytest.mark.parametrize(
    ("association", "ends"),
    [
        (b'{"fromObjectId":1,"toObjectId":2}', ("1", "2")),
        (b'{"fromObjectId":"1","toObjectId":"2","labels":[]}', ("1", "2")),
        (b'{"from":{"id":"1"},"to":{"id":"2"}}', ("1", "2")),
        (b'{"fromObjectId":0,"from":{"id":"7"},"to":{"id":2}}', ("0", "2")),
        (b"{}", ("", "")),
    ],
)
def test_an_association_is_parsed_in_both_of_its_forms(association: bytes, ends: tuple[str, str]) -> None:
    assert msgspec.json.decode(association, type=AssociationObject).ends == ends


def test_records_have_the_values_that_are_not_empty_and_what_hubspot_says_of_their_write() -> None:
    first = {"id": 7, "properties": {"phone": "+34", "empty": "", "none": None}, "objectWriteTraceId": "t"}
    second = {"id": "8", "properties": {}, "new": True}
    third = {"id": "9", "properties": {"size": 3}, "new": False}
    body = msgspec.json.encode({"results": [first, second, third]})
    response = parse_response(body, RecordResults, "POST /")
    assert isinstance(response, Results)
    assert to_records(response) == [
        Record("7", {"phone": "+34"}, trace_id="t", created=False),
        Record("8", {}, trace_id="", created=True),
        Record("9", {"size": "3"}, trace_id="", created=False),
    ]
    assert Record("8", {}) == Record("8", {}, trace_id="", created=False)


@pytest.mark.parametrize(
    ("record", "key"),
    [
        (Record("7", {"ct_id": "b"}, trace_id="a"), "a"),
        (Record("7", {"ct_id": "b"}, trace_id="of another write"), "b"),
        (Record("7", {"ct_id": "b"}), "b"),
        (Record("7", {}, trace_id="a"), "a"),
        (Record("7", {"ct_id": "x", "other": "a"}, trace_id="y"), None),
        (Record("a", {}), None),
    ],
)
def test_a_record_is_that_of_its_trace_id_or_else_of_its_unique_property(
    record: Record, key: str | None
) -> None:
    assert record.find_key({"a", "b"}, "ct_id") == key


@pytest.mark.parametrize(
    ("parts", "errors"),
    [
        ({}, []),
        ({"numErrors": 0}, []),
        ({"errors": []}, []),
        ({"numErrors": 1}, [ApiError(503, message="HubSpot did not say what failed.")]),
        ({"numErrors": 2, "errors": [{"message": "m"}]}, [ApiError(400, message="m")]),
        ({"errors": [{"status": "error"}]}, [ApiError(400)]),
        ({"errors": [{"status": "423"}]}, [ApiError(423)]),
        ({"errors": [{"status": 503}]}, [ApiError(503)]),
        ({"errors": [{"status": "error", "category": "LOCKED"}]}, [ApiError(423, "LOCKED")]),
    ],
)
def test_the_errors_of_single_records_have_their_own_status(
    parts: Mapping[str, object], errors: list[ApiError]
) -> None:
    response = parse_response(msgspec.json.encode({"results": [], **parts}), RecordResults, "POST /")
    assert isinstance(response, Results)
    assert response.errors == errors
    assert response.errors_by_id == {}


def test_an_error_is_found_by_each_id_that_it_names() -> None:
    entries = [{"message": "m", "context": {"ids": ["1", "2"]}}, {"message": "n", "context": {"id": ["3"]}}]
    response = parse_response(
        msgspec.json.encode({"results": [], "errors": entries}), RecordResults, "POST /"
    )
    assert isinstance(response, Results)
    one = ApiError(400, message="m", context_ids=frozenset({"1", "2"}))
    other = ApiError(400, message="n", context_ids=frozenset({"3"}))
    assert response.errors_by_id == {"1": one, "2": one, "3": other}


@pytest.mark.parametrize(
    ("paging", "next_page"),
    [({}, ""), ({"next": None}, ""), ({"next": {"after": 200}}, "200"), ({"next": {"after": "x"}}, "x")],
)
def test_the_last_page_of_a_list_names_no_other(paging: Mapping[str, object], next_page: str) -> None:
    body = {"results": [{"id": "1", "properties": {}}], "paging": paging}
    response = parse_response(msgspec.json.encode(body), RecordResults, "POST /")
    assert isinstance(response, Results)
    assert response.next_page == next_page
    assert Results[object]([]).next_page == ""


@pytest.mark.parametrize(
    ("definition", "is_writable"),
    [
        (b'{"name":"p"}', True),
        (b'{"name":"p","modificationMetadata":null}', True),
        (b'{"name":"p","modificationMetadata":{}}', True),
        (b'{"name":"p","modificationMetadata":{"readOnlyValue":false}}', True),
        (b'{"name":"p","modificationMetadata":{"readOnlyValue":true}}', False),
    ],
)
def test_a_property_is_writable_unless_hubspot_says_otherwise(
    definition: bytes, *, is_writable: bool
) -> None:
    assert msgspec.json.decode(definition, type=PropertyObject).is_writable is is_writable


@pytest.mark.parametrize(
    ("content", "body"),
    [
        (b'{"message":"m"}', {"message": "m"}),
        (b"[]", {}),
        (b'"m"', {}),
        (b"<h1>", {}),
        (b"\xff", {}),
        (b'{"message":"\xff"}', {}),
        (b"", {}),
    ],
)
def test_an_error_body_that_is_no_object_is_empty(content: bytes, body: Mapping[str, object]) -> None:
    assert parse_error_body(content) == body


def test_an_archived_batch_may_have_an_empty_answer() -> None:
    assert parse_response(b"", Archived, "POST /") == Archived(None)
    assert parse_response(b'{"status":"COMPLETE"}', Archived, "POST /") == Archived("COMPLETE")


# --- through the client -----------------------------------------------------------------------


@pytest.mark.parametrize(("body", "status"), [*((body, 200) for body in SAMPLES), (b"{}", 202), (b"", 204)])
async def test_an_answer_to_a_contact_search_that_says_nothing_duplicates_no_contact(
    hubspot: HubSpot, connect: Connect, body: bytes, status: int
) -> None:
    contact = hubspot.contacts.add(phone="+34600111222")
    client = connect(contacts="create")
    hubspot.respond_with(Response(body, status), path="contacts/search")
    assert outcome_names(await client.upsert([first_push(call())])) == ["retry"]
    assert outcome_names(await client.upsert([first_push(call())])) == ["delivered"]
    assert [*hubspot.contacts.records] == [contact]
    assert hubspot.contact_ids_of_call("cloudtalk-1") == {contact}


async def test_a_search_with_fewer_results_than_it_counts_duplicates_no_contact(
    hubspot: HubSpot, connect: Connect
) -> None:
    contact = hubspot.contacts.add(phone="+34600111222")
    other = {"id": "7", "properties": {"phone": "+34600999888"}}
    client = connect(contacts="create")
    hubspot.respond_with(JSONResponse({"total": 2, "results": [other]}), path="contacts/search")
    assert outcome_names(await client.upsert([first_push(call())])) == ["retry"]
    assert outcome_names(await client.upsert([first_push(call())])) == ["delivered"]
    assert [*hubspot.contacts.records] == [contact]


@pytest.mark.parametrize("body", [*SAMPLES, *NO_RECORDS])
async def test_an_answer_to_a_contact_search_that_says_nothing_is_not_cached(
    hubspot: HubSpot, connect: Connect, state: InMemoryClientState, body: bytes
) -> None:
    hubspot.respond_with(Response(body), path="contacts/search")
    assert outcome_names(await connect().upsert([first_push(call())])) == ["retry"]
    assert [key for key in state.entries if "+34600111222" in key] == []


@pytest.mark.parametrize("agents", [1, 9])
@pytest.mark.parametrize("body", [*SAMPLES, b'{"results":[{"email":"ana@example.test"}]}'])
async def test_an_answer_about_owners_that_says_nothing_is_not_cached_as_nobody(
    hubspot: HubSpot, connect: Connect, body: bytes, agents: int
) -> None:
    for n in range(1, agents):
        hubspot.add_owner(f"agent-{n}@example.test")
    emails = ["ana@example.test", *(f"agent-{n}@example.test" for n in range(1, agents))]
    pushes = [first_push(call(f"cloudtalk-{n}", agent_email=email)) for n, email in enumerate(emails)]
    client = connect()
    hubspot.respond_with(Response(body), path="owners")
    assert {*outcome_names(await client.upsert(pushes))} == {"retry"}
    assert {*outcome_names(await client.upsert(pushes))} == {"delivered"}
    assert hubspot.calls.get_one(cloudtalk_call_id="cloudtalk-0").properties["hubspot_owner_id"] == "7001"
    assert all(record["hubspot_owner_id"] for record in hubspot.calls)


@pytest.mark.parametrize("body", [*SAMPLES, b'{"results":[]}', b'{"results":[{"labels":[]}]}'])
async def test_an_association_that_hubspot_does_not_confirm_is_repeated(
    hubspot: HubSpot, connect: Connect, body: bytes
) -> None:
    contact = hubspot.contacts.add(phone="+34600111222")
    client = connect()
    hubspot.respond_with(Response(body, 201), path="associations")
    assert outcome_names(await client.upsert([first_push(call())])) == ["retry"]
    assert outcome_names(await client.upsert([first_push(call())])) == ["delivered"]
    assert hubspot.contact_ids_of_call("cloudtalk-1") == {contact}


async def test_only_associations_that_hubspot_lists_count_as_made(hubspot: HubSpot, connect: Connect) -> None:
    ids = [hubspot.contacts.add(phone=f"+3460000000{n}") for n in range(3)]
    pushes = [first_push(call(f"cloudtalk-{n}", external_number=f"+3460000000{n}")) for n in range(3)]
    client = connect()
    outcomes = await client.upsert(pushes)
    made = {"fromObjectId": int(remote_id(outcomes[1])), "toObjectId": int(ids[1])}
    hubspot.respond_with(JSONResponse({"results": [made]}, 201), path="associations")
    assert outcome_names(await client.upsert(pushes)) == ["retry", "delivered", "retry"]


@pytest.mark.parametrize("body", [*SAMPLES, NO_RECORDS[0], b'{"results":[]}'])
@pytest.mark.parametrize("path", ["calls/batch/upsert", "tasks/batch/create"])
async def test_a_write_that_hubspot_does_not_confirm_is_repeated(
    hubspot: HubSpot, connect: Connect, path: str, body: bytes
) -> None:
    client = connect()
    hubspot.respond_with(Response(body), path=path)
    assert outcome_names(await client.upsert([first_push(missed_call())])) == ["retry"]
    assert outcome_names(await client.upsert([first_push(missed_call())])) == ["delivered"]
    assert (len(hubspot.calls), len(hubspot.tasks)) == (1, 1)


@pytest.mark.parametrize("body", [*SAMPLES, NO_RECORDS[0], b'{"results":[]}'])
async def test_a_contact_that_hubspot_does_not_confirm_is_created_once(
    hubspot: HubSpot, connect: Connect, fake_time: FakeTime, body: bytes
) -> None:
    client = connect(contacts="create")
    hubspot.respond_with(Response(body, 201), path="contacts/batch/create")
    assert outcome_names(await client.upsert([first_push(call())])) == ["retry"]
    assert outcome_names(await client.upsert([first_push(call())])) == ["retry"]
    fake_time.now += 91
    assert outcome_names(await client.upsert([first_push(call())])) == ["delivered"]
    assert len(hubspot.contacts) == 1


UNREAD = {
    "larger than the limit": Response(b" " * (MAX_BODY_BYTES + 1), 201),
    "broken gzip": Response(b"no gzip", 201, {"content-encoding": "gzip"}),
}


@pytest.mark.parametrize("kind", UNREAD)
async def test_a_contact_whose_confirmation_cannot_be_read_is_created_once(
    hubspot: HubSpot, connect: Connect, fake_time: FakeTime, kind: str
) -> None:
    client = connect(contacts="create")
    hubspot.respond_with(UNREAD[kind], path="contacts/batch/create")
    for _ in range(2):
        assert outcome_names(await client.upsert([first_push(call())])) == ["retry"]
    fake_time.now += 91
    assert outcome_names(await client.upsert([first_push(call())])) == ["delivered"]
    assert len(hubspot.contacts) == 1


@pytest.mark.parametrize("body", NO_JSON[1:])
async def test_a_page_that_is_no_answer_archives_nothing(
    hubspot: HubSpot, connect: Connect, body: bytes
) -> None:
    client = connect()
    [outcome] = await client.upsert([first_push(call())])
    hubspot.respond_with(Response(body), path="calls/batch/archive")
    retractions = [retraction(call(), remote_id=remote_id(outcome))]
    assert outcome_names(await client.retract(retractions)) == ["retry"]
    assert outcome_names(await client.retract(retractions)) == ["delivered"]
    assert len(hubspot.calls) == 0


async def test_a_merge_that_hubspot_does_not_confirm_is_repeated(hubspot: HubSpot, connect: Connect) -> None:
    client = connect(on_merge="mark")
    await client.setup()
    await client.upsert([first_push(call())])
    merged = [retraction(call(), into="cloudtalk-2")]
    hubspot.respond_with(JSONResponse({"results": []}), path="calls/batch/update")
    assert outcome_names(await client.retract(merged)) == ["retry"]
    assert outcome_names(await client.retract(merged)) == ["delivered"]
    assert hubspot.calls.get_one().properties["cloudtalk_merged_into"] == "cloudtalk-2"


async def test_a_completed_task_that_hubspot_does_not_confirm_is_completed_again(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    [outcome] = await client.upsert([first_push(missed_call())])
    answered = later_push(call(), "status", "follow_up", remote_id=remote_id(outcome))
    hubspot.respond_with(JSONResponse({"results": []}), path="tasks/batch/update")
    assert outcome_names(await client.upsert([answered])) == ["retry"]
    assert outcome_names(await client.upsert([answered])) == ["delivered"]
    assert hubspot.tasks.get_one().properties["hs_task_status"] == "COMPLETED"


# --- reading by batch -------------------------------------------------------------------------


def batch_read_answer(*errors: Mapping[str, object], count: int | None = None) -> JSONResponse:
    body = {"status": "COMPLETE", "results": [], "errors": list(errors)}
    return JSONResponse(body | {"numErrors": len(errors) if count is None else count}, 207)


NOT_FOUND = {"status": "error", "category": "OBJECT_NOT_FOUND", "context": {"ids": ["cloudtalk-1"]}}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (batch_read_answer(NOT_FOUND), {}),
        (JSONResponse({"results": []}), {}),
        (batch_read_answer({"status": "error", "category": "INTERNAL_ERROR"}), "retry"),
        (batch_read_answer(NOT_FOUND, {"status": "error", "category": "VALIDATION_ERROR"}), "retry"),
        (batch_read_answer({"status": "error", "category": "RATE_LIMITS"}), "throttled"),
        (batch_read_answer({"status": "error", "category": "MISSING_SCOPES"}), "misconfigured"),
        (batch_read_answer({}), "retry"),
        (batch_read_answer(count=1), "retry"),
        (JSONResponse({"results": [{"id": "1", "properties": {}}]}), "retry"),
        (JSONResponse({}), "retry"),
        (Response(b""), "retry"),
    ],
)
async def test_only_a_record_that_hubspot_calls_unknown_is_missing(
    hubspot: HubSpot, connect: Connect, answer: Response, expected: dict[str, int | None] | str
) -> None:
    hubspot.respond_with(answer, path="calls/batch/read")
    found = await connect().read([later_push(call())])
    assert (found.name if isinstance(found, Outcome) else found) == expected


async def test_a_contact_that_could_not_be_read_is_not_deleted(hubspot: HubSpot, connect: Connect) -> None:
    contact = hubspot.contacts.add(phone="+34600111222")
    client = connect()
    await client.upsert([first_push(call())])
    searches = hubspot.count_requests("search")
    hubspot.respond_with(JSONResponse({"category": "VALIDATION_ERROR"}, 400), path="associations")
    hubspot.respond_with(batch_read_answer({"category": "INTERNAL_ERROR"}), path="contacts/batch/read")
    assert outcome_names(await client.upsert([first_push(call("cloudtalk-2"))])) == ["retry"]
    assert outcome_names(await client.upsert([first_push(call("cloudtalk-2"))])) == ["delivered"]
    assert hubspot.contact_ids_of_call("cloudtalk-2") == {contact}
    assert hubspot.count_requests("search") == searches


async def test_a_rejected_change_is_retried_if_it_is_unknown_whether_the_record_exists(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    [outcome] = await client.upsert([first_push(call())])
    del hubspot.calls.records[remote_id(outcome)]
    change = later_push(call(), remote_id=remote_id(outcome), to="+34910000002")
    hubspot.respond_with(batch_read_answer({"category": "INTERNAL_ERROR"}), path="calls/batch/read")
    assert outcome_names(await client.upsert([change])) == ["retry"]
    assert outcome_names(await client.upsert([change])) == ["delivered"]
