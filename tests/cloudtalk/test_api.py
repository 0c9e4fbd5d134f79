"""CloudTalk's REST API: its URLs, its headers, and what its answers say about the rate limit."""

import pytest

from relay.cloudtalk.api import ApiAccess, blocked_seconds

API = ApiAccess("id", "secret", "https://my.cloudtalk.io/api", "https://analytics-api.cloudtalk.io/api")


def test_the_key_is_sent_with_the_headers_that_cloudtalk_needs() -> None:
    assert API.headers == {"Authorization": "Basic aWQ6c2VjcmV0", "Accept": "application/json"}


def test_a_call_id_cannot_change_the_path() -> None:
    assert API.recording_url("42") == "https://my.cloudtalk.io/api/calls/recording/42.json"
    assert API.recording_url("../x?") == "https://my.cloudtalk.io/api/calls/recording/..%2Fx%3F.json"
    assert API.analytics_url("../x?") == "https://analytics-api.cloudtalk.io/api/calls/..%2Fx%3F"


def test_the_history_has_a_url_of_its_own() -> None:
    assert API.calls_url == "https://my.cloudtalk.io/api/calls/index.json"


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, {"x-cloudtalkapi-remaining": "5"}, 0),
        (200, {}, 0),
        (200, {"x-cloudtalkapi-remaining": "0", "x-cloudtalkapi-resettime": "1700000130"}, 30),
        (429, {"x-cloudtalkapi-resettime": "1700000130"}, 30),
        (429, {}, 60),
        (429, {"x-cloudtalkapi-resettime": "soon"}, 60),
        (429, {"x-cloudtalkapi-resettime": "1600000000"}, 1),
        (429, {"x-cloudtalkapi-resettime": "1800000000"}, 600),
    ],
)
def test_once_nothing_is_left_no_request_is_sent_until_the_reset(
    status: int, headers: dict[str, str], expected: float
) -> None:
    assert blocked_seconds(status, headers, unix_now=1_700_000_100) == expected
