"""Which senders hear of a refusal, and what they hear."""

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from relay.cloudtalk.authentication import AuthProblem
from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.parser import Parser
from relay.cloudtalk.request import RawRequest
from relay.ingest.refusals import (
    refuse_evicted,
    refuse_payload,
    refuse_slow,
    refuse_unauthenticated,
    refuse_unavailable,
    should_refuse,
)
from relay.ingest.responses import Response
from relay.measurements import REQUESTS_REFUSED
from tests.support.measured import read_counter

PATH = "/cloudtalk/webhook"


@pytest.mark.parametrize(
    ("raw", "message_id", "path", "acknowledged"),
    [
        (b'{"event":"call.ended"}', None, PATH, False),
        (b'{"event":"call.ended"}', "m", PATH, True),
        (b'{"event":"call.ended"}', None, PATH + "/flow", True),
        (b'{"event":"call.ended","call.uuid":null}', None, PATH, True),
        (b'{"event_id":"e","type":"call.ended","data":{}}', None, PATH, True),
        (b'{"event":"call.ended","data":{"id":null}}', None, PATH, False),
        (b'{"event":"call.ended","data":{"id":null}}', "m", PATH, True),
        (b"42", None, PATH, False),
        (b"42", "m", PATH, True),
        (b"{", None, PATH, False),
        (b"{", "m", PATH, True),
        (b"{", None, PATH + "/flow", True),
        (b"{", None, PATH + "/flow/call.ended", True),
    ],
)
def test_signed_messages_and_call_flows_get_no_refusal(
    raw: bytes, message_id: str | None, path: str, *, acknowledged: bool
) -> None:
    request = RawRequest(raw, path=path, message_id=message_id)
    with pytest.raises(InvalidPayload) as caught:
        Parser(ZoneInfo("Europe/Madrid"), "ES").parse(request)
    assert should_refuse(request, caught.value) is not acknowledged


# --- responses --------------------------------------------------------------------------------------


def content_of(response: Response) -> tuple[dict[str, Any], dict[str, str]]:
    """The document and the headers of a problem."""
    assert response.content_type == "application/problem+json"
    document = json.loads(response.body)
    assert document["status"] == response.status
    return document, dict(response.headers)


@pytest.mark.parametrize(
    ("status", "title", "errors", "headers"),
    [
        (422, "Unprocessable Entity", [{"pointer": "/data/id", "message": "no id"}], {}),
        (400, "Bad Request", None, {}),
        (413, "Request Entity Too Large", None, {}),
        (405, "Method Not Allowed", None, {"Allow": "GET, PATCH, POST, PUT"}),
    ],
)
@pytest.mark.parametrize("quarantine_id", [None, 7])
def test_a_refused_payload_has_its_place_only_with_422(
    status: int, title: str, errors: Any, headers: dict[str, str], quarantine_id: int | None
) -> None:
    error = InvalidPayload("bad_id", "no id", "/data/id", status=status)
    response = refuse_payload(RawRequest(b"{}", path=PATH), error, quarantine_id=quarantine_id)
    optional = {"errors": errors, "quarantine_id": quarantine_id}
    assert content_of(response) == (
        {
            "type": "urn:cloudtalk-relay:problem:bad_id",
            "title": title,
            "status": status,
            "detail": "no id",
        }
        | {name: value for name, value in optional.items() if value is not None},
        headers,
    )


@pytest.mark.parametrize("quarantine_id", [None, 7])
def test_a_payload_that_is_not_refused_is_acknowledged_as_an_event_is(quarantine_id: int | None) -> None:
    request = RawRequest(b"{}", path=PATH, message_id="m")
    response = refuse_payload(request, InvalidPayload("bad_id", "no id"), quarantine_id=quarantine_id)
    assert (response.status, response.content_type, response.headers) == (200, "application/json", ())
    assert json.loads(response.body) == {
        "success": True,
        "message": "Webhook procesado correctamente",
        "quarantined": True,
        "quarantine_id": quarantine_id,
    }


WHAT_TO_DO = {
    AuthProblem.NO_TOKEN: "Authorization: Bearer, the Basic password, X-Webhook-Token or ?token=",
    AuthProblem.WRONG_TOKEN: "none of cloudtalk.tokens",
    AuthProblem.NO_SIGNATURE: "svix-id, svix-timestamp, svix-signature",
    AuthProblem.WRONG_SIGNATURE: "does not match any of cloudtalk.signing_secrets",
    AuthProblem.STALE_SIGNATURE: "off by more than 300 s",
    AuthProblem.FORWARDED: "came through a proxy",
    AuthProblem.NOT_LOCAL: "the relay accepts requests from its machine only",
    AuthProblem.FOREIGN_HOST: "names another host",
    AuthProblem.BODY_TOO_LARGE: "at most 64 KiB and 2000 values",
    AuthProblem.CROSS_SITE: "a web page of another server",
    AuthProblem.SAFE_METHOD: "only by POST, PUT or PATCH",
}


@pytest.mark.parametrize("problem", AuthProblem)
def test_each_problem_of_authentication_says_what_to_do(problem: AuthProblem) -> None:
    document, headers = content_of(refuse_unauthenticated(problem, throttled_seconds=None))
    assert WHAT_TO_DO[problem] in document["detail"]
    assert (document["status"], document["title"]) == (401, "Unauthorized")
    assert document["type"] == "urn:cloudtalk-relay:problem:unauthorised"
    assert headers == {"WWW-Authenticate": 'Bearer realm="cloudtalk"'}


def test_a_throttled_address_hears_when_to_try_again_and_why_it_was_refused() -> None:
    document, headers = content_of(refuse_unauthenticated(AuthProblem.WRONG_TOKEN, throttled_seconds=9))
    assert document == {
        "type": "urn:cloudtalk-relay:problem:throttled",
        "title": "Too Many Requests",
        "status": 429,
        "detail": "too many requests from this address were not authenticated; "
        "the token is none of cloudtalk.tokens in the relay's settings",
    }
    assert headers == {"Retry-After": "9"}


def test_a_slow_request_loses_its_connection() -> None:
    document, headers = content_of(refuse_slow(InvalidPayload("slow", "too slow", "/x", status=408)))
    assert document == {
        "type": "urn:cloudtalk-relay:problem:slow",
        "title": "Request Timeout",
        "status": 408,
        "detail": "too slow",
    }
    assert headers == {"Connection": "close"}


def test_an_evicted_request_may_be_repeated_on_another_connection() -> None:
    document, headers = content_of(refuse_evicted("too many"))
    assert (document["type"], document["detail"]) == ("urn:cloudtalk-relay:problem:overloaded", "too many")
    assert (document["status"], headers) == (503, {"Retry-After": "5", "Connection": "close"})


def test_an_unavailable_relay_asks_for_the_event_again() -> None:
    document, headers = content_of(refuse_unavailable("ledger_unavailable", "disk full"))
    assert document == {
        "type": "urn:cloudtalk-relay:problem:ledger_unavailable",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "the relay cannot accept this event now; send it again",
    }
    assert headers == {"Retry-After": "5"}


# --- what the operator sees -------------------------------------------------------------------------


@pytest.mark.usefixtures("memory")
def test_each_refusal_is_counted_by_its_reason() -> None:
    error = InvalidPayload("slow", "too slow")
    refuse_payload(RawRequest(b"{}", path=PATH), InvalidPayload("bad_id", "no id"), quarantine_id=None)
    refuse_payload(RawRequest(b"{}", path=PATH, message_id="m"), error, quarantine_id=None)
    refuse_unauthenticated(AuthProblem.NO_TOKEN, throttled_seconds=None)
    refuse_unauthenticated(AuthProblem.NO_TOKEN, throttled_seconds=9)
    refuse_slow(error)
    refuse_evicted("too many")
    refuse_unavailable("overloaded", "too many")
    assert read_counter(REQUESTS_REFUSED) == {
        ("bad_id",): 1,
        ("slow",): 2,
        ("no_token",): 2,
        ("evicted",): 1,
        ("overloaded",): 1,
    }


def test_a_refused_payload_and_an_unavailable_relay_are_logged() -> None:
    error = InvalidPayload("bad_id", "no id", "/data/id")
    with capture_logs() as logs:
        refuse_payload(RawRequest(b"{}", path=PATH), error, quarantine_id=7)
        refuse_unavailable("overloaded", "too many")
    assert logs == [
        {
            "event": "ingest.refused",
            "log_level": "warning",
            "status": 422,
            "reason": "bad_id",
            "pointer": "/data/id",
            "quarantine_id": 7,
        },
        {
            "event": "ingest.unavailable",
            "log_level": "error",
            "reason": "overloaded",
            "error": "too many",
        },
    ]
