"""HubSpot's error responses, and the outcome that each becomes, through the whole client."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response

from crm_clients.base import Misconfigured, Outcome, Rejected, Retry, Split, Throttled, Unauthorised, Unknown
from crm_clients.hubspot.errors import (
    ApiError,
    as_call_failure,
    as_destination_failure,
    as_refusal,
    describe,
    error_code,
    names_record,
    parse_error,
    to_outcome,
)
from tests.crm_clients.hubspot.conftest import Connect
from tests.fakes.hubspot import TOKEN, HubSpot
from tests.fakes.hubspot_responses import error_response, missing_scope_response, throttled_response
from tests.support.fake_time import FakeTime
from tests.support.hubspot import call, first_push, missed_call, outcome_names, retraction

NOW = datetime(2026, 11, 24, 22, 30, tzinfo=ZoneInfo("Europe/Madrid"))


# --- without a client -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, Misconfigured) for status in (300, 302, 399, 402, 403, 404, 405)),
        (401, Unauthorised),
        *((status, Rejected) for status in (400, 406, 407, 410, 422, 424, 426, 428, 430, 476, 478, 499)),
        *((status, Retry) for status in (408, 409, 423, 425, 477, 500, 501, 503, 521, 599)),
        (429, Throttled),
    ],
)
def test_the_outcome_of_each_status_has_its_code_and_its_message(status: int, kind: type[Outcome]) -> None:
    error = ApiError(status, message="No")
    outcome = to_outcome(error, records=1, now=NOW)
    batch = to_outcome(error, records=2, now=NOW)
    code = "forbidden" if status == 403 else f"http_{status}"
    message = f"HubSpot answered {status}: No"
    assert (type(outcome), outcome.code, outcome.message) == (kind, code, message)
    assert type(batch) is (Split if kind is Rejected else kind)
    assert (batch.code, batch.message) == (code, message)


STATUS_OF_CATEGORY = {
    "EXPIRED_AUTHENTICATION": 401,
    "INVALID_AUTHENTICATION": 401,
    "MISSING_SCOPES": 403,
    "TIMEOUT": 408,
    "REQUEST_TIMEOUT": 408,
    "CONFLICT": 409,
    "LOCKED": 423,
    "TOO_EARLY": 425,
    "RATE_LIMITS": 429,
    "TOO_MANY_REQUESTS": 429,
    "MIGRATION": 477,
    "INTERNAL_ERROR": 500,
    "INTERNAL_SERVER_ERROR": 500,
    "NOT_IMPLEMENTED": 501,
    "BAD_GATEWAY": 502,
    "SERVICE_UNAVAILABLE": 503,
    "GATEWAY_TIMEOUT": 504,
    "INSUFFICIENT_STORAGE": 507,
    # These mean nothing that their status does not say.
    "VALIDATION_ERROR": 418,
    "OBJECT_NOT_FOUND": 418,
    "NOT_FOUND": 418,
    "FORBIDDEN": 418,
    "UNAUTHORIZED": 418,
    "BAD_REQUEST": 418,
}


@pytest.mark.parametrize(("category", "status"), STATUS_OF_CATEGORY.items())
def test_a_category_that_means_a_status_has_this_status(category: str, status: int) -> None:
    assert parse_error(418, {"category": category}).status == status
    assert parse_error(418, {"category": category.lower()}).status == status


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ApiError(403, "MISSING_SCOPES", 'Property "a" does not exist', policy="DAILY"), "missing_scope"),
        (ApiError(403, "OBJECT_LIMIT", 'Property "a" does not exist', policy="DAILY"), "forbidden"),
        (
            ApiError(400, "VALIDATION_ERROR", 'Property "a" does not exist', policy="DAILY"),
            "missing_property",
        ),
        (ApiError(429, "RATE_LIMITS", policy="DAILY"), "DAILY"),
        (ApiError(429, "RATE_LIMITS"), "RATE_LIMITS"),
        (ApiError(429), "http_429"),
    ],
)
def test_the_code_of_an_error_is_the_most_exact_one(error: ApiError, code: str) -> None:
    assert error_code(error) == code


@pytest.mark.parametrize("status", [409, 423])
@pytest.mark.parametrize(
    ("asked", "seconds"), [(None, 2.0), (0.0, 2.0), (1.9, 2.0), (2.0, 2.0), (2.1, 2.1), (60.0, 60.0)]
)
def test_a_locked_record_is_retried_after_two_seconds_or_more(
    status: int, asked: float | None, seconds: float
) -> None:
    outcome = to_outcome(ApiError(status, after=asked), records=1, now=NOW)
    assert isinstance(outcome, Retry)
    assert outcome.after == seconds


@pytest.mark.parametrize("status", [408, 425, 477, 500, 503])
@pytest.mark.parametrize("asked", [None, 0.0, 1.0])
def test_another_retry_has_the_wait_that_hubspot_asked_for(status: int, asked: float | None) -> None:
    outcome = to_outcome(ApiError(status, after=asked), records=1, now=NOW)
    assert isinstance(outcome, Retry)
    assert outcome.after == asked


@pytest.mark.parametrize(
    ("policy", "asked", "seconds", "rate_limit"),
    [
        ("TEN_SECONDLY_ROLLING", None, 10.0, None),
        ("DAILY", None, 5_400.0, None),
        ("SECONDLY", None, 1.0, "search"),
        ("MONTHLY", None, None, "search"),
        (None, None, None, "search"),
        ("TEN_SECONDLY_ROLLING", 0.0, 0.0, None),
        ("DAILY", 3.0, 3.0, None),
        ("SECONDLY", 7.0, 7.0, "search"),
        (None, 7.0, 7.0, "search"),
    ],
)
def test_each_limit_has_its_wait_and_may_be_shared_with_writes(
    policy: str | None, asked: float | None, seconds: float | None, rate_limit: str | None
) -> None:
    error = ApiError(429, policy=policy, after=asked)
    outcome = to_outcome(error, records=1, now=NOW, rate_limit="search")
    assert isinstance(outcome, Throttled)
    assert (outcome.after, outcome.rate_limit) == (seconds, rate_limit)
    other = to_outcome(error, records=1, now=NOW)
    assert isinstance(other, Throttled)
    assert (other.after, other.rate_limit) == (seconds, None)


MISSING_PROPERTY = [
    ApiError(400, "PROPERTY_DOESNT_EXIST"),
    ApiError(400, "VALIDATION_ERROR", details="first PROPERTY_DOESNT_EXIST"),
    ApiError(400, message="property ct_notes doesn't exist"),
    ApiError(400, message="These properties: 'ct_notes' do not exist"),
    ApiError(400, message='PROPERTY "ct_notes" DOES NOT EXIST'),
    ApiError(400, message="Unable to upsert by non-unique property ct_id"),
]
NO_MISSING_PROPERTY = [
    ApiError(400),
    ApiError(400, message="Owner 7 does not exist"),
    ApiError(400, message='The property "ct_notes" is not a number'),
    ApiError(400, message="a subproperty x does not exist"),
    ApiError(400, message="property a b does not exist"),
]


@pytest.mark.parametrize(
    ("error", "is_missing"),
    [*((error, True) for error in MISSING_PROPERTY), *((error, False) for error in NO_MISSING_PROPERTY)],
)
def test_a_missing_property_is_found_in_each_text_of_an_error(error: ApiError, *, is_missing: bool) -> None:
    assert error.is_missing_property is is_missing
    assert isinstance(to_outcome(error, records=1, now=NOW), Misconfigured) is is_missing


def test_only_an_error_about_scopes_names_scopes() -> None:
    ids = frozenset({"crm.objects.a", "7"})
    assert ApiError(403, "MISSING_SCOPES", context_ids=ids).missing_scopes == "crm.objects.a"
    assert ApiError(403, "OTHER", "m", context_ids=ids).missing_scopes == ""
    assert describe(ApiError(403, "OTHER", "m", context_ids=ids)) == "HubSpot answered 403: m"


# --- through the client -----------------------------------------------------------------------


def with_retry_after(response: Response, seconds: int) -> Response:
    response.headers["Retry-After"] = str(seconds)
    return response


@pytest.mark.parametrize(
    ("response", "kind", "code"),
    [
        (
            error_response(401, "Authentication failed", "INVALID_AUTHENTICATION"),
            Unauthorised,
            "INVALID_AUTHENTICATION",
        ),
        (missing_scope_response("crm.objects.contacts.write"), Misconfigured, "missing_scope"),
        (error_response(403, "Limit of calls reached", "OBJECT_LIMIT"), Misconfigured, "forbidden"),
        (error_response(403, "The account is suspended", "BANNED"), Misconfigured, "forbidden"),
        (Response(status_code=403), Misconfigured, "forbidden"),
        (error_response(400, "Invalid", "VALIDATION_ERROR"), Rejected, "VALIDATION_ERROR"),
        (error_response(404, "resource not found", "NOT_FOUND"), Misconfigured, "NOT_FOUND"),
        (error_response(409, "Existing ID: 7", "CONFLICT"), Retry, "CONFLICT"),
        (error_response(423, "Locked", "LOCKED"), Retry, "LOCKED"),
        (error_response(477, "Migration in progress", "MIGRATION"), Retry, "MIGRATION"),
        (error_response(500, "Internal error", "INTERNAL_ERROR"), Retry, "INTERNAL_ERROR"),
        (HTMLResponse("<h1>Bad gateway</h1>", 502), Retry, "http_502"),
        (Response(status_code=503), Retry, "http_503"),
        (Response(status_code=504), Retry, "http_504"),
        (Response(status_code=521), Retry, "http_521"),
        (Response(status_code=522), Retry, "http_522"),
        (Response(status_code=523), Retry, "http_523"),
        (Response(status_code=524), Retry, "http_524"),
        (throttled_response("TEN_SECONDLY_ROLLING"), Throttled, "TEN_SECONDLY_ROLLING"),
        (throttled_response("SECONDLY"), Throttled, "SECONDLY"),
        (throttled_response("DAILY"), Throttled, "DAILY"),
        (
            Response(status_code=302, headers={"Location": "https://elsewhere.test"}),
            Misconfigured,
            "http_302",
        ),
    ],
)
async def test_each_error_response_becomes_its_outcome(
    hubspot: HubSpot, connect: Connect, response: Response, kind: type[Outcome], code: str
) -> None:
    hubspot.respond_with(response, path="calls/batch/upsert")
    [outcome] = await connect().upsert([first_push(call())])
    assert (type(outcome), outcome.code) == (kind, code)


@pytest.mark.parametrize(
    ("response", "seconds"),
    [
        (error_response(423, "Locked", "LOCKED"), 2.0),
        (error_response(409, "Conflict", "CONFLICT"), 2.0),
        (with_retry_after(error_response(423, "Locked", "LOCKED"), 5), 5.0),
        (with_retry_after(error_response(477, "Migration in progress", "MIGRATION"), 3600), 3600.0),
        (throttled_response("TEN_SECONDLY_ROLLING"), 10.0),
        (throttled_response("SECONDLY"), 1.0),
        (with_retry_after(throttled_response("SECONDLY"), 7), 7.0),
        (error_response(429, "Too many", "RATE_LIMITS"), None),
    ],
)
async def test_the_outcome_has_the_wait_that_hubspot_asks_for(
    hubspot: HubSpot, connect: Connect, response: Response, seconds: float | None
) -> None:
    hubspot.respond_with(response, path="calls/batch/upsert")
    [outcome] = await connect().upsert([first_push(call())])
    assert isinstance(outcome, Retry | Throttled)
    assert outcome.after == seconds


async def test_after_a_throttled_write_nothing_is_sent_until_hubspot_permits_it(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    hubspot.respond_with(throttled_response("TEN_SECONDLY_ROLLING"), path="calls/batch/upsert")
    [outcome] = await client.upsert([first_push(call())])
    assert isinstance(outcome, Throttled)
    assert outcome.rate_limit is None
    hubspot.log.clear()
    [outcome] = await client.upsert([first_push(call())])
    assert isinstance(outcome, Throttled)
    assert hubspot.writes == []


def test_the_wait_after_the_daily_limit_ends_at_midnight() -> None:
    error = ApiError(429, category="RATE_LIMITS", policy="DAILY")
    for now, seconds in ((NOW, 5_400), (NOW.replace(second=1, microsecond=500_000), 5_398.5)):
        outcome = to_outcome(error, records=1, now=now)
        assert isinstance(outcome, Throttled)
        assert outcome.after == seconds


async def test_an_unreachable_server_is_a_retry(hubspot: HubSpot, connect: Connect) -> None:
    del hubspot
    client = connect(base_url="http://127.0.0.1:1")
    [outcome] = await client.upsert([first_push(call())])
    assert (type(outcome), outcome.code) == (Retry, "unreachable")


async def test_no_response_in_time_is_unknown(hubspot: HubSpot, connect: Connect) -> None:
    client = connect(contacts="off", owners_by_email=False, timeout_seconds=0.2)
    hubspot.latency = 0.5
    [outcome] = await client.upsert([first_push(call())])
    assert (type(outcome), outcome.code) == (Unknown, "no_answer")


async def test_the_token_is_removed_from_messages(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.respond_with(
        error_response(400, f"Bad token Bearer {TOKEN}", "VALIDATION_ERROR"), path="calls/batch"
    )
    [outcome] = await connect().upsert([first_push(call())])
    assert TOKEN not in f"{outcome.message}"
    assert "Bad token" in f"{outcome.message}"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": 1, "category": [], "errors": "no", "context": None},
        {"errors": [None, 1, {"context": {"a": None}}, {"message": {}}]},
        {"context": {"objectWriteTraceId": "cloudtalk-1"}},
    ],
)
def test_error_bodies_of_any_shape_are_parsed(body: dict[str, Any]) -> None:
    error = parse_error(400, body)
    assert isinstance(to_outcome(error, records=1, now=NOW), Rejected)


def test_an_error_has_the_details_and_the_ids_of_all_its_parts() -> None:
    body = {
        "category": "VALIDATION_ERROR",
        "message": "Invalid input",
        "policyName": "DAILY",
        "context": {"objectWriteTraceId": ["cloudtalk-1"]},
        "errors": [{"message": "first", "code": "CODE", "context": {"id": 7}}, {"message": "second"}],
    }
    error = parse_error(400, body, after=3.0)
    assert error == ApiError(
        400,
        category="VALIDATION_ERROR",
        message="Invalid input",
        details="first CODE second",
        context_ids=frozenset({"cloudtalk-1", "7"}),
        policy="DAILY",
        after=3.0,
    )
    assert describe(error) == "HubSpot answered 400: Invalid input (first CODE second)"


def test_values_that_are_no_texts_count_as_missing() -> None:
    assert parse_error(400, {"category": 7, "message": ["m"], "policyName": ""}) == ApiError(400)


def test_an_error_without_a_text_is_described_by_its_status() -> None:
    error = parse_error(502, {})
    assert describe(error) == "HubSpot answered 502: no explanation was given"
    assert len(describe(ApiError(400, message="x" * 900))) == 500


def test_a_long_description_keeps_its_beginning() -> None:
    description = describe(ApiError(400, message="m" * 480, details="d" * 480))
    assert description == "HubSpot answered 400: " + "m" * 478


def test_all_missing_scopes_are_named() -> None:
    scopes = [f"crm.objects.{name}" for name in "bdface"]
    context = {"requiredGranularScopes": scopes, "requestId": ["7"]}
    error = parse_error(403, {"category": "MISSING_SCOPES", "message": "m", "context": context})
    assert describe(error) == (
        "The service key lacks the scope crm.objects.a, crm.objects.b, crm.objects.c, crm.objects.d, "
        "crm.objects.e, crm.objects.f. HubSpot answered 403: m"
    )


async def test_a_wrong_token_is_unauthorised(hubspot: HubSpot, connect: Connect) -> None:
    [outcome] = await connect(token="pat-of-somebody-else").upsert([first_push(call())])
    assert isinstance(outcome, Unauthorised)
    assert len(hubspot.calls) == 0


async def test_a_missing_scope_is_misconfigured(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.scopes.discard("crm.objects.owners.read")
    [outcome] = await connect().upsert([first_push(call())])
    assert (type(outcome), outcome.code) == (Misconfigured, "missing_scope")
    assert "lacks the scope crm.objects.owners.read" in f"{outcome.message}"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ('Property "ct_notes" does not exist', Misconfigured),
        ('Property values were not valid: [{"message":"Property \\"x\\" does not exist"}]', Misconfigured),
        ("Unable to perform update/upsert by non-unique calls property cloudtalk_call_id", Misconfigured),
        ('Property values were not valid: [{"message":"Owner 7 does not exist"}]', Rejected),
        ("Property values were not valid: hs_call_duration was not a number", Rejected),
    ],
)
def test_a_missing_property_is_misconfigured_and_a_bad_value_is_rejected(
    message: str, kind: type[Outcome]
) -> None:
    error = parse_error(400, {"category": "VALIDATION_ERROR", "message": message})
    assert isinstance(to_outcome(error, records=1, now=NOW), kind)


# --- errors of single records -------------------------------------------------------------------

TEMPORARY = [
    ({"category": "LOCKED"}, Retry, 2.0),
    ({"category": "locked"}, Retry, 2.0),
    ({"category": "CONFLICT"}, Retry, 2.0),
    ({"category": "INTERNAL_ERROR"}, Retry, None),
    ({"category": "INTERNAL_SERVER_ERROR"}, Retry, None),
    ({"category": "SERVICE_UNAVAILABLE"}, Retry, None),
    ({"category": "GATEWAY_TIMEOUT"}, Retry, None),
    ({"category": "TIMEOUT"}, Retry, None),
    ({"category": "MIGRATION"}, Retry, None),
    ({"status": "423"}, Retry, 2.0),
    ({"status": 503}, Retry, None),
    ({"category": "RATE_LIMITS"}, Throttled, None),
    ({"category": "RATE_LIMITS", "policyName": "SECONDLY"}, Throttled, 1.0),
    ({"category": "TOO_MANY_REQUESTS"}, Throttled, None),
]


def failed_batch(trace_id: str, error: dict[str, Any]) -> JSONResponse:
    """A batch of which one named record failed and no other was written."""
    entry = {"status": "error", "message": "Not now", "context": {"objectWriteTraceId": [trace_id]}} | error
    return JSONResponse({"status": "COMPLETE", "results": [], "numErrors": 1, "errors": [entry]}, 207)


@pytest.mark.parametrize(("error", "kind", "seconds"), TEMPORARY)
@pytest.mark.parametrize(
    ("path", "trace_id"),
    [
        ("calls/batch/upsert", "cloudtalk-1"),
        ("contacts/batch/create", "+34600111222"),
        ("tasks/batch/create", "+34600111222:2026-11-24"),
    ],
)
async def test_a_temporary_error_of_one_record_is_retried(
    hubspot: HubSpot,
    connect: Connect,
    path: str,
    trace_id: str,
    error: dict[str, Any],
    kind: type[Outcome],
    seconds: float | None,
) -> None:
    hubspot.respond_with(failed_batch(trace_id, error), path=path)
    [outcome] = await connect(contacts="create").upsert([first_push(missed_call())])
    assert isinstance(outcome, Retry | Throttled)
    assert (type(outcome), outcome.after) == (kind, seconds)


@pytest.mark.parametrize("on_merge", ["delete", "mark"])
async def test_a_locked_record_of_a_retracted_call_is_retried(
    hubspot: HubSpot, connect: Connect, on_merge: str
) -> None:
    client = connect(on_merge=on_merge)
    await client.setup()
    await client.upsert([first_push(missed_call())])
    path, trace_id, into = {
        "delete": ("tasks/batch/update", "+34600111222:2026-11-24", None),
        "mark": ("calls/batch/update", "cloudtalk-1", "cloudtalk-2"),
    }[on_merge]
    hubspot.respond_with(failed_batch(trace_id, {"category": "LOCKED"}), path=path)
    [outcome] = await client.retract([retraction(missed_call(), into=into)])
    assert isinstance(outcome, Retry)
    assert outcome.after == 2.0
    assert outcome_names(await client.retract([retraction(missed_call(), into=into)])) == ["delivered"]


async def test_an_association_that_is_locked_is_retried(hubspot: HubSpot, connect: Connect) -> None:
    contact = hubspot.contacts.add(phone="+34600111222")
    hubspot.respond_with(failed_batch(contact, {"category": "LOCKED"}), path="associations")
    client = connect()
    [outcome] = await client.upsert([first_push(call())])
    assert isinstance(outcome, Retry)
    assert outcome.after == 2.0
    assert outcome_names(await client.upsert([first_push(call())])) == ["delivered"]
    assert hubspot.contact_ids_of_call("cloudtalk-1") == {contact}


@pytest.mark.parametrize(("category", "waits"), [("LOCKED", False), ("INTERNAL_ERROR", True)])
async def test_a_contact_that_an_internal_error_may_have_created_is_not_created_before_a_search_shows_it(
    hubspot: HubSpot, connect: Connect, fake_time: FakeTime, category: str, *, waits: bool
) -> None:
    client = connect(contacts="create")
    hubspot.respond_with(failed_batch("+34600111222", {"category": category}), path="contacts/batch/create")
    assert outcome_names(await client.upsert([first_push(call())])) == ["retry"]
    [outcome] = await client.upsert([first_push(call())])
    assert (outcome.name, len(hubspot.contacts)) == (("retry", 0) if waits else ("delivered", 1))
    fake_time.now += 91
    assert outcome_names(await client.upsert([first_push(call())])) == ["delivered"]
    assert len(hubspot.contacts) == 1


async def test_a_locked_task_does_not_hide_that_another_task_exists(
    hubspot: HubSpot, connect: Connect
) -> None:
    entries = [
        {"status": "error", "category": category, "context": {"objectWriteTraceId": [f"{number}:2026-11-24"]}}
        for number, category in [("+34600000001", "LOCKED"), ("+34600000002", "CONFLICT")]
    ]
    hubspot.tasks.add(cloudtalk_task_id="+34600000002:2026-11-24")
    body = {"status": "COMPLETE", "results": [], "numErrors": 2, "errors": entries}
    hubspot.respond_with(JSONResponse(body, 207), path="tasks/batch/create")
    pushes = [first_push(missed_call(f"cloudtalk-{n}", external_number=f"+3460000000{n}")) for n in (1, 2)]
    assert outcome_names(await connect().upsert(pushes)) == ["retry", "delivered"]


def test_an_outcome_without_a_response_blames_no_record() -> None:
    assert not names_record(Retry(code="7", message="7"), "7")


def test_an_error_blames_only_the_records_that_it_names() -> None:
    error = ApiError(
        status=400, category=None, message="", details="", context_ids=frozenset({"7"}), policy="", after=None
    )
    assert names_record(error, "7")
    assert not names_record(error, "8")


FORBIDDEN = Misconfigured(code="forbidden", message="m")


def test_a_forbidden_contact_or_link_or_task_is_a_refusal_of_that_record() -> None:
    assert as_refusal(FORBIDDEN, records=1) == Rejected(code="forbidden", message="m")
    assert as_refusal(FORBIDDEN, records=2) == Split(code="forbidden", message="m")
    for other in (Misconfigured(code="missing_scope"), Retry(code="503")):
        assert as_refusal(other, records=2) is other


def test_a_fault_of_one_call_is_a_rejection_and_a_fault_of_the_account_is_none() -> None:
    assert as_call_failure(FORBIDDEN) == Rejected(code="forbidden", message="m")
    rejected = Rejected(code="c", message="m")
    assert as_call_failure(rejected) is rejected
    assert as_destination_failure(FORBIDDEN) is FORBIDDEN
    assert as_destination_failure(Rejected(code="c", message="m")) == Misconfigured(code="c", message="m")
    for other in (Retry(code="503"), Unauthorised(code="c")):
        assert as_call_failure(other) is other
        assert as_destination_failure(other) is other
