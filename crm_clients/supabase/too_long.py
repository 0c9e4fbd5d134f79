"""Name the columns whose values caused an error: PostgreSQL names their type, but not the column."""

import re
from typing import Any, Final

import msgspec

from crm_clients.supabase.errors import ApiError

TOO_LONG: Final = "22001"
_DATA_EXCEPTION: Final = "22"
_LIMIT: Final = re.compile(r"too long for type [a-z ]+\((\d+)\)")
_VALUE: Final = re.compile(r'"(.+)"', re.DOTALL)


def name_columns(error: ApiError, row: bytes) -> ApiError:
    """Add to the message which columns of the row, a JSON object, have a value that the message is about.

    The message states the limit of a text, or the value. Several columns may have such a value.
    """
    if not (error.code or "").startswith(_DATA_EXCEPTION):
        return error
    texts = {column: _text(value) for column, value in msgspec.json.decode(row).items()}
    limit, value = _LIMIT.search(error.message or ""), _VALUE.search(error.message or "")
    if limit:
        sizes = {column: len(text) for column, text in texts.items() if len(text) > int(limit[1])}
        named = ", ".join(f"{column} with {size} characters" for column, size in sizes.items())
    else:
        named = ", ".join(column for column, text in texts.items() if value and text == value[1])
    return msgspec.structs.replace(error, message=f"{error.message}: {named}") if named else error


def _text(value: Any) -> str:
    """Return the text that the database converts to the type of the column."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
