"""The rate limit of CloudTalk's REST API."""

import pytest

from relay.cloudtalk.api import CloudTalkApi


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds

    def unix(self) -> float:
        return 1_700_000_000 + self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(clock: Clock) -> CloudTalkApi:
    return CloudTalkApi(
        "id",
        "secret",
        "https://my.cloudtalk.io/api",
        requests_per_minute=2,
        monotonic=clock.monotonic,
        clock=clock.unix,
    )


def test_the_key_is_sent_with_the_headers_that_cloudtalk_needs(api: CloudTalkApi) -> None:
    assert api.headers == {"Authorization": "Basic aWQ6c2VjcmV0", "Accept": "application/json"}


def test_a_call_id_cannot_change_the_path(api: CloudTalkApi) -> None:
    assert api.recording_url("42") == "https://my.cloudtalk.io/api/calls/recording/42.json"
    assert api.recording_url("../x?") == "https://my.cloudtalk.io/api/calls/recording/..%2Fx%3F.json"


def test_more_requests_than_the_limit_wait_for_the_end_of_the_minute(api: CloudTalkApi, clock: Clock) -> None:
    assert api.acquire() == 0
    clock.seconds += 20
    assert api.acquire() == 0
    assert api.acquire() == 40
    clock.seconds += 40
    assert api.acquire() == 0
    assert api.acquire() == 20


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
    api: CloudTalkApi, clock: Clock, status: int, headers: dict[str, str], expected: float
) -> None:
    assert api.note_response(status, headers) == expected
    assert api.acquire() == expected
    clock.seconds += expected
    assert api.acquire() == 0


def test_the_request_at_the_reset_counts(api: CloudTalkApi, clock: Clock) -> None:
    api.note_response(429, {})
    clock.seconds += 60
    assert [api.acquire() for _ in range(3)] == [0, 0, 60]


def test_the_first_request_is_sent_at_once_also_on_a_machine_that_just_started(
    api: CloudTalkApi, clock: Clock
) -> None:
    clock.seconds = 0
    assert api.acquire() == 0
