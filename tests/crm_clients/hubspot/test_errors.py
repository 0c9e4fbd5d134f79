"""HubSpot's error responses, and the outcome that each becomes, through the whole client."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from starlette.responses import HTMLResponse, Response

from crm_clients.base import Misconfigured, Outcome, Rejected, Retry, Throttled, Unauthorised, Unknown
from crm_clients.hubspot.errors import ApiError, parse_error, to_outcome
from tests.crm_clients.hubspot.conftest import Connect
from tests.fakes.hubspot import TOKEN, HubSpot
from tests.fakes.hubspot_responses import error_response, missing_scope_response, throttled_response
from tests.support.hubspot import call, first_push

NOW = datetime(2026, 11, 24, 22, 30, tzinfo=ZoneInfo("Europe/Madrid"))


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
    outcome = to_outcome(error, records=1, now=NOW)
    assert isinstance(outcome, Throttled)
    assert outcome.after == 5_400


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


async def test_a_wrong_token_is_unauthorised(hubspot: HubSpot, connect: Connect) -> None:
    [outcome] = await connect(token="pat-of-somebody-else").upsert([first_push(call())])
    assert isinstance(outcome, Unauthorised)
    assert len(hubspot.calls) == 0


async def test_a_missing_scope_is_misconfigured(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.scopes.discard("crm.objects.owners.read")
    [outcome] = await connect().upsert([first_push(call())])
    assert (type(outcome), outcome.code) == (Misconfigured, "missing_scope")


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
