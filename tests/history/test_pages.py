"""What CloudTalk answers to a request for its history."""

import pytest

from relay.history.errors import ApiFailure, Passing
from relay.history.pages import Page, check_status, parse_page, parse_uuid

WHERE = "https://my.cloudtalk.io/api/calls/index.json"
HTML = b"<!DOCTYPE html><html><body>Forbidden</body></html>"


def test_a_page_has_rows_and_the_numbers_of_the_whole_answer() -> None:
    body = (
        b'{"responseData":{"itemsCount":"1","pageCount":1,"pageNumber":1,"limit":1000,"data":[{"Cdr":{}},7]}}'
    )
    assert parse_page(body, WHERE) == Page([{"Cdr": {}}], 1, 1)


def test_numbers_may_be_missing() -> None:
    assert parse_page(b'{"responseData":{"data":[],"itemsCount":"many"}}', WHERE) == Page([], None, None)


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b'{"success":false,"message":"Try again."}', "refused", "Try again."),
        (b'{"responseData":{"success":false,"data":[]}}', "refused", "it failed"),
        (
            b'{"responseData":{"status":404,"message":"Not found."}}',
            "unreadable",
            "without responseData.data",
        ),
        (b'{"responseData":{"itemsCount":1,', "unreadable", "no JSON, or a part of it"),
        (b"\xff\xfe", "unreadable", "no JSON"),
        (b"[]", "unreadable", "no object"),
        (HTML, "unreadable", "a page for people"),
        (b"", "unreadable", "no JSON"),
    ],
)
def test_an_answer_without_rows_is_no_empty_page(body: bytes, code: str, message: str) -> None:
    with pytest.raises(Passing, match=message) as raised:
        parse_page(body, WHERE)
    assert raised.value.code == code
    assert WHERE in str(raised.value)


@pytest.mark.parametrize(
    ("status", "body", "code", "may_pass", "hint"),
    [
        (401, b'{"responseData":{"message":"Bad key."}}', "unauthorised", False, "cloudtalk.api.key_id"),
        (403, b'{"responseData":{"message":"No."}}', "unauthorised", False, "cloudtalk.api.key_id"),
        (403, HTML, "edge", True, "CloudTalk's edge"),
        (404, b"{}", "not_found", False, "cloudtalk.api.base_url"),
        (406, b"{}", "refused", False, "cloudtalk.api.base_url"),
        (301, b"", "refused", False, "cloudtalk.api.base_url"),
        (408, b"", "unavailable", True, "later"),
        (429, b"{}", "throttled", True, "other programs"),
        (500, b"oops", "unavailable", True, "later"),
        (503, b"", "unavailable", True, "later"),
    ],
)
def test_a_status_says_what_a_person_can_do(
    status: int, body: bytes, code: str, may_pass: bool, hint: str
) -> None:
    with pytest.raises(ApiFailure, match=hint) as raised:
        check_status(status, body, "application/json", WHERE)
    assert (raised.value.code, isinstance(raised.value, Passing)) == (code, may_pass)
    assert f"{WHERE} answered {status}" in str(raised.value)


def test_a_success_is_no_failure() -> None:
    check_status(200, b"{}", "application/json", WHERE)


def test_a_long_text_of_an_error_is_cut() -> None:
    with pytest.raises(ApiFailure) as raised:
        check_status(400, b"x" * 10_000, "text/plain", WHERE)
    assert len(str(raised.value)) < 500


def test_the_analytics_api_states_the_uuid_without_an_envelope() -> None:
    uuid = "44fe27cd-5268-4670-993e-0129aabbccdd"
    assert parse_uuid(f'{{"cdr_id":1,"uuid":"{uuid.upper()}"}}'.encode(), WHERE) == uuid
    assert parse_uuid(b'{"cdr_id":1,"uuid":null}', WHERE) is None


def test_a_text_in_its_place_is_no_uuid() -> None:
    """A row with such a text would count as asked, and the fold would link it to the first call that fits."""
    assert parse_uuid(b'{"cdr_id":1,"uuid":"unknown"}', WHERE) is None
