"""Which errors of SQLite are about a damaged database."""

import sqlite3

import pytest

from relay.standards.sqlite_errors import is_damage


def error_with(code: int) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError("x")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("code", [11, 26, 11 | 1 << 8, 11 | 3 << 8])
def test_a_database_is_damaged_by_the_primary_code(code: int) -> None:
    assert is_damage(error_with(code)) is True


@pytest.mark.parametrize("code", [0, 1, 5, 10, 13, 27, 10 | 1 << 8, 5 | 11 << 8])
def test_another_code_is_no_damage(code: int) -> None:
    assert is_damage(error_with(code)) is False


@pytest.mark.parametrize("error", [None, OSError(11), sqlite3.DatabaseError("x")])
def test_an_error_without_a_code_is_no_damage(error: BaseException | None) -> None:
    assert is_damage(error) is False
