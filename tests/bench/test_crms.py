"""Only correct records count."""

from typing import Any

import pytest

from bench.crms import check_delivered
from bench.load import generate_calls_now
from bench.result import BenchError
from crm_clients.settings import DEFAULT_LABELS
from relay.call import Status

CALLS = generate_calls_now(3)
ROWS = [call.expected | {"status": DEFAULT_LABELS[Status(call.expected["status"])]} for call in CALLS]


class FixedCrm:
    """A CRM with these rows."""

    settings = ""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows

    def rows(self) -> list[dict[str, Any]]:
        return self._rows


def test_a_crm_with_the_expected_records_is_right() -> None:
    check_delivered(FixedCrm(ROWS), CALLS)


@pytest.mark.parametrize("rows", [ROWS[1:], [*ROWS, ROWS[0]]])
def test_a_missing_or_double_record_fails(rows: list[dict[str, Any]]) -> None:
    with pytest.raises(BenchError, match=f"{len(rows)} records of 3 calls"):
        check_delivered(FixedCrm(rows), CALLS)


def test_a_wrong_field_fails() -> None:
    rows = [ROWS[0], ROWS[1], ROWS[2] | {"duration_seconds": 1_000}]
    with pytest.raises(BenchError, match="1 of 3 records are wrong"):
        check_delivered(FixedCrm(rows), CALLS)
