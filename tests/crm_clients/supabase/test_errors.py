import msgspec
import pytest

from crm_clients.base import Misconfigured, Outcome, Rejected, Retry, Split, Throttled, Unauthorised
from crm_clients.supabase.errors import (
    ApiError,
    Cause,
    cause_of,
    describe,
    error_details,
    is_too_large,
    parse_error,
    to_outcome,
)

CODES: list[tuple[str, int, type[Outcome], type[Outcome]]] = [
    # code, status, outcome of a single row, outcome of a batch
    ("PGRST000", 503, Retry, Retry),
    ("PGRST001", 503, Retry, Retry),
    ("PGRST002", 503, Retry, Retry),
    ("PGRST003", 504, Retry, Retry),
    ("08006", 503, Retry, Retry),
    ("53300", 503, Retry, Retry),
    ("57P01", 503, Retry, Retry),
    ("58030", 500, Retry, Retry),
    ("57014", 500, Retry, Split),
    ("40001", 500, Retry, Retry),
    ("40P01", 500, Retry, Retry),
    ("55P03", 500, Retry, Retry),
    ("55000", 500, Misconfigured, Misconfigured),
    ("55006", 500, Retry, Retry),
    ("XX000", 500, Retry, Retry),
    ("PGRST301", 401, Unauthorised, Unauthorised),
    ("PGRST302", 401, Unauthorised, Unauthorised),
    ("PGRST303", 401, Unauthorised, Unauthorised),
    ("28P01", 403, Unauthorised, Unauthorised),
    ("42501", 403, Misconfigured, Misconfigured),
    ("42501", 401, Misconfigured, Misconfigured),
    ("PGRST106", 406, Misconfigured, Misconfigured),
    ("PGRST202", 404, Misconfigured, Misconfigured),
    ("PGRST204", 400, Misconfigured, Misconfigured),
    ("PGRST205", 404, Misconfigured, Misconfigured),
    ("42P01", 404, Misconfigured, Misconfigured),
    ("42703", 400, Misconfigured, Misconfigured),
    ("42P10", 400, Misconfigured, Misconfigured),
    ("PGRST116", 406, Rejected, Split),
    ("21000", 500, Rejected, Split),
    ("22P05", 400, Rejected, Split),
    ("23502", 400, Rejected, Split),
    ("23505", 409, Rejected, Split),
    ("P0001", 400, Rejected, Split),
    ("PGRST102", 400, Rejected, Split),
    ("54000", 500, Rejected, Split),
    ("54000", 413, Rejected, Split),
    ("54001", 500, Rejected, Split),
    ("54023", 500, Rejected, Split),
    ("PT401", 401, Rejected, Split),
    ("PT402", 402, Rejected, Split),
    ("PT403", 403, Rejected, Split),
    ("PT404", 404, Rejected, Split),
    ("PT406", 406, Rejected, Split),
    ("PT413", 413, Rejected, Split),
    ("PT422", 422, Rejected, Split),
    ("PT408", 408, Retry, Retry),
    ("PT429", 200, Throttled, Throttled),
    ("PT503", 200, Retry, Retry),
    ("PTxyz", 400, Rejected, Split),
]


@pytest.mark.parametrize(("code", "status", "single", "batch"), CODES)
def test_the_error_code_decides_the_outcome(
    code: str, status: int, single: type[Outcome], batch: type[Outcome]
) -> None:
    error = ApiError(status, code, "said")
    assert type(to_outcome(error, rows=1)) is single
    outcome = to_outcome(error, rows=2)
    assert type(outcome) is batch
    assert (outcome.code, outcome.message) == (code, f"Supabase answered {status}: said")


BY_STATUS = {"55006", "XX000", "PGRST102", "PTxyz"}


@pytest.mark.parametrize(("code", "single"), [(c, kind) for c, _, kind, _ in CODES if c not in BY_STATUS])
@pytest.mark.parametrize("status", [418, 500])
def test_a_known_code_decides_whatever_the_status_is(code: str, status: int, single: type[Outcome]) -> None:
    assert type(to_outcome(ApiError(status, code), rows=1)) is single


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Rejected(code="54000"), True),
        (Rejected(code="54011"), True),
        (Rejected(code="http_413"), True),
        (Rejected(code="PT413"), True),
        (Rejected(code="22001"), False),
        (Rejected(code="5400"), False),
        (Rejected(code=None), False),
        (Split(code="54000"), False),
        (Retry(code="http_413"), False),
    ],
)
def test_only_a_single_record_that_was_rejected_for_its_size_is_too_large(
    outcome: Outcome, *, expected: bool
) -> None:
    assert is_too_large(outcome) is expected


STATUSES: list[tuple[int, type[Outcome], type[Outcome]]] = [
    (301, Misconfigured, Misconfigured),
    (400, Rejected, Split),
    (401, Unauthorised, Unauthorised),
    (402, Misconfigured, Misconfigured),
    (403, Unauthorised, Unauthorised),
    (404, Misconfigured, Misconfigured),
    (405, Misconfigured, Misconfigured),
    (406, Misconfigured, Misconfigured),
    (408, Retry, Retry),
    (409, Rejected, Split),
    (413, Rejected, Split),
    (429, Throttled, Throttled),
    *((status, Retry, Retry) for status in (500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 544)),
    (540, Misconfigured, Misconfigured),
]


@pytest.mark.parametrize(("status", "single", "batch"), STATUSES)
@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"<html>", b"\xff", b'{"code":"\xff"}', b'{"code":7,"message":null}']
)
def test_the_status_decides_if_the_body_has_no_code(
    status: int, body: bytes, single: type[Outcome], batch: type[Outcome]
) -> None:
    error = parse_error(status, body)
    outcomes = to_outcome(error, rows=1), to_outcome(error, rows=2)
    assert [type(outcome) for outcome in outcomes] == [single, batch]
    assert {outcome.code for outcome in outcomes} == {f"http_{status}"}


@pytest.mark.parametrize("status", [429, 503])
def test_the_requested_wait_is_part_of_the_outcome(status: int) -> None:
    outcome = to_outcome(parse_error(status, b"{}", after=7), rows=3)
    assert isinstance(outcome, Retry | Throttled)
    assert outcome.after == 7


def test_a_description_has_message_and_hint_and_not_the_row() -> None:
    body = {"code": "23502", "message": "null value", "details": "Failing row (Ana)", "hint": "look there"}
    error = parse_error(400, msgspec.json.encode(body))
    assert describe(error) == "Supabase answered 400: null value (look there)"


def test_a_long_message_is_truncated() -> None:
    assert len(describe(ApiError(400, "22000", "x" * 10_000))) == 500


def test_an_error_has_the_parts_of_the_body_and_the_wait() -> None:
    body = msgspec.json.encode(
        {"code": "23502", "message": "null value", "hint": "look there", "details": "d"}
    )
    assert parse_error(400, body, after=7.0) == ApiError(400, "23502", "null value", "look there", 7.0)
    assert parse_error(400, b'{"code":"","message":"","msg":"","hint":""}') == ApiError(400)
    assert error_details(body) == "d"
    assert error_details(b'{"details":7}') == error_details(b"<html>") == ""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"msg":"of the gateway"}', "of the gateway"),
        (b'{"message":"of the API","msg":"of the gateway"}', "of the API"),
        (b'{"message":"","msg":"of the gateway"}', "of the gateway"),
        (b'{"message":"","msg":7}', None),
    ],
)
def test_the_message_may_be_that_of_the_gateway(body: bytes, message: str | None) -> None:
    assert parse_error(500, body).message == message


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (401, "the key was refused"),
        (402, "the project is over its quota"),
        (403, "the key was refused"),
        (404, "there is no such table or address"),
        (413, "the request is too large"),
        (429, "too many requests"),
        (540, "the project is paused"),
        (500, "no explanation was given"),
    ],
)
def test_a_status_without_a_message_is_explained(status: int, meaning: str) -> None:
    assert describe(ApiError(status)) == f"Supabase answered {status}: {meaning}"


@pytest.mark.parametrize(
    ("code", "message", "single", "outcome_code"),
    [
        (
            "42501",
            'new row violates row-level security policy (USING expression) for table "calls"',
            Rejected,
            "row_level_security",
        ),
        ("42501", 'new row violates row-level security policy for table "calls"', Misconfigured, "42501"),
        ("42501", None, Misconfigured, "42501"),
        ("23514", "a text (USING expression)", Rejected, "23514"),
    ],
)
def test_only_a_policy_that_hides_one_row_concerns_one_call(
    code: str, message: str | None, single: type[Outcome], outcome_code: str
) -> None:
    outcome = to_outcome(ApiError(403, code, message), rows=1)
    assert (type(outcome), outcome.code) == (single, outcome_code)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(425, Retry), (501, Misconfigured), (399, Misconfigured), (499, Rejected)],
)
def test_the_other_statuses_have_their_outcomes(status: int, kind: type[Outcome]) -> None:
    assert type(to_outcome(ApiError(status), rows=1)) is kind


@pytest.mark.parametrize(
    ("cause", "errors"),
    [
        (Cause.SIZE, [ApiError(413), ApiError(500, "54000"), ApiError(200, "PT413")]),
        (Cause.LOAD, [ApiError(500, "57014")]),
        (Cause.RATE, [ApiError(429), ApiError(200, "PT429")]),
        (Cause.SERVER, [ApiError(503), ApiError(408), ApiError(400, "08006"), ApiError(200, "PT503")]),
        (Cause.CREDENTIALS, [ApiError(401), ApiError(403), ApiError(500, "28P01")]),
        (Cause.SETUP, [ApiError(302), ApiError(404), ApiError(500, "42P01")]),
        (Cause.RECORD, [ApiError(400), ApiError(412), ApiError(414), ApiError(404, "PT404")]),
        (
            Cause.RECORD,
            [ApiError(400, "5400"), ApiError(400, "540000"), ApiError(400, "42501", "(USING expression)")],
        ),
    ],
)
def test_each_error_has_a_cause(cause: Cause, errors: list[ApiError]) -> None:
    assert [cause_of(error) for error in errors] == [cause] * len(errors)
