"""Every answer of HubSpot's table becomes the outcome that it calls for, on its way through the client."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from starlette.responses import HTMLResponse, Response

from crm_clients.base import Misconfigured, Outcome, Rejected, Retry, Throttled, Unauthorised, Unknown
from crm_clients.hubspot.errors import ApiError, parse_error, to_outcome
from tests.crm_clients.hubspot.conftest import Connect
from tests.fakes.hubspot import TOKEN, HubSpot
from tests.fakes.hubspot_answers import missing_scope, problem, throttled
from tests.support.hubspot import call, first

NOW = datetime(2026, 11, 24, 22, 30, tzinfo=ZoneInfo("Europe/Madrid"))


def after(response: Response, seconds: int) -> Response:
    response.headers["Retry-After"] = str(seconds)
    return response


@pytest.mark.parametrize(
    ("response", "kind", "code"),
    [
        (
            problem(401, "Authentication failed", "INVALID_AUTHENTICATION"),
            Unauthorised,
            "INVALID_AUTHENTICATION",
        ),
        (missing_scope("crm.objects.contacts.write"), Misconfigured, "missing_scope"),
        (problem(400, "Invalid", "VALIDATION_ERROR"), Rejected, "VALIDATION_ERROR"),
        (problem(404, "resource not found", "NOT_FOUND"), Misconfigured, "NOT_FOUND"),
        (problem(409, "Existing ID: 7", "CONFLICT"), Retry, "CONFLICT"),
        (problem(423, "Locked", "LOCKED"), Retry, "LOCKED"),
        (problem(477, "Migration in progress", "MIGRATION"), Retry, "MIGRATION"),
        (problem(500, "Internal error", "INTERNAL_ERROR"), Retry, "INTERNAL_ERROR"),
        (HTMLResponse("<h1>Bad gateway</h1>", 502), Retry, "http_502"),
        (Response(status_code=503), Retry, "http_503"),
        (Response(status_code=504), Retry, "http_504"),
        (Response(status_code=521), Retry, "http_521"),
        (Response(status_code=522), Retry, "http_522"),
        (Response(status_code=523), Retry, "http_523"),
        (Response(status_code=524), Retry, "http_524"),
        (throttled("TEN_SECONDLY_ROLLING"), Throttled, "TEN_SECONDLY_ROLLING"),
        (throttled("SECONDLY"), Throttled, "SECONDLY"),
        (throttled("DAILY"), Throttled, "DAILY"),
        (
            Response(status_code=302, headers={"Location": "https://elsewhere.test"}),
            Misconfigured,
            "http_302",
        ),
    ],
)
async def test_what_an_answer_to_an_upsert_comes_to(
    hubspot: HubSpot, connect: Connect, response: Response, kind: type[Outcome], code: str
) -> None:
    hubspot.answer(response, path="calls/batch/upsert")
    [outcome] = await connect().upsert([first(call())])
    assert (type(outcome), outcome.code) == (kind, code)


@pytest.mark.parametrize(
    ("response", "seconds"),
    [
        (problem(423, "Locked", "LOCKED"), 2.0),
        (problem(409, "Conflict", "CONFLICT"), 2.0),
        (after(problem(423, "Locked", "LOCKED"), 5), 5.0),
        (after(problem(477, "Migration in progress", "MIGRATION"), 3600), 3600.0),
        (throttled("TEN_SECONDLY_ROLLING"), 10.0),
        (throttled("SECONDLY"), 1.0),
        (after(throttled("SECONDLY"), 7), 7.0),
        (problem(429, "Too many", "RATE_LIMITS"), None),
    ],
)
async def test_how_long_hubspot_wants_to_be_left_alone(
    hubspot: HubSpot, connect: Connect, response: Response, seconds: float | None
) -> None:
    hubspot.answer(response, path="calls/batch/upsert")
    [outcome] = await connect().upsert([first(call())])
    assert isinstance(outcome, Retry | Throttled)
    assert outcome.after == seconds


async def test_a_throttled_write_stops_the_destination_and_nothing_is_sent_before_it_is_permitted(
    hubspot: HubSpot, connect: Connect
) -> None:
    client = connect()
    hubspot.answer(throttled("TEN_SECONDLY_ROLLING"), path="calls/batch/upsert")
    [outcome] = await client.upsert([first(call())])
    assert isinstance(outcome, Throttled)
    assert outcome.rate_limit is None
    hubspot.log.clear()
    [outcome] = await client.upsert([first(call())])
    assert isinstance(outcome, Throttled)
    assert hubspot.writes == []


def test_the_daily_limit_ends_at_midnight() -> None:
    error = ApiError(429, category="RATE_LIMITS", policy="DAILY")
    outcome = to_outcome(error, records=1, now=NOW)
    assert isinstance(outcome, Throttled)
    assert outcome.after == 5_400


async def test_a_server_that_is_down_is_tried_again(hubspot: HubSpot, connect: Connect) -> None:
    del hubspot
    client = connect(base_url="http://127.0.0.1:1")
    [outcome] = await client.upsert([first(call())])
    assert (type(outcome), outcome.code) == (Retry, "unreachable")


async def test_no_answer_in_time_is_unknown(hubspot: HubSpot, connect: Connect) -> None:
    client = connect(contacts="off", owners_by_email=False, timeout_seconds=0.2)
    hubspot.latency = 0.5
    [outcome] = await client.upsert([first(call())])
    assert (type(outcome), outcome.code) == (Unknown, "no_answer")


async def test_the_token_is_in_no_message(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.answer(problem(400, f"Bad token Bearer {TOKEN}", "VALIDATION_ERROR"), path="calls/batch")
    [outcome] = await connect().upsert([first(call())])
    assert TOKEN not in f"{outcome.message}"
    assert "Bad token" in f"{outcome.message}"


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"message": 1, "category": [], "errors": "no", "context": None},
        {"errors": [None, 1, {"context": {"a": None}}, {"message": {}}]},
        {"context": {"objectWriteTraceId": "cloudtalk-1"}},
    ],
)
def test_bodies_of_any_shape_are_read(said: dict[str, Any]) -> None:
    error = parse_error(400, said)
    assert isinstance(to_outcome(error, records=1, now=NOW), Rejected)


async def test_a_wrong_token_is_unauthorised(hubspot: HubSpot, connect: Connect) -> None:
    [outcome] = await connect(token="pat-of-somebody-else").upsert([first(call())])
    assert isinstance(outcome, Unauthorised)
    assert len(hubspot.calls) == 0


async def test_a_missing_scope_names_itself(hubspot: HubSpot, connect: Connect) -> None:
    hubspot.scopes.discard("crm.objects.owners.read")
    [outcome] = await connect().upsert([first(call())])
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
def test_a_missing_property_is_told_apart_from_a_bad_value(message: str, kind: type[Outcome]) -> None:
    error = parse_error(400, {"category": "VALIDATION_ERROR", "message": message})
    assert isinstance(to_outcome(error, records=1, now=NOW), kind)
