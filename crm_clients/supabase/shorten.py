"""Leave out the largest texts of a call whose record is too large for the database."""

from collections.abc import Collection
from typing import Any, Final

import msgspec

from crm_clients.comparison import is_same
from crm_clients.supabase.batches import encode_json
from relay.call import Call

LEFT_OUT: Final = "[CloudTalk Relay: too large for the database, left out]"
"""What the record shows instead of a text that was left out."""

_REPLACEMENTS: Final[dict[str, Any]] = {
    "cloudtalk_data": {"left_out": LEFT_OUT},
    "transcript": LEFT_OUT,
    "summary": LEFT_OUT,
    "smart_notes": LEFT_OUT,
    "notes": LEFT_OUT,
    "tags": [LEFT_OUT],
}
_SMALLEST_BYTES: Final = 500
"""A smaller value is not the cause; its replacement would hardly be shorter."""


def find_largest(call: Call, fields: Collection[str]) -> str | None:
    """Return which of `fields` has the largest value that may be left out; None if all values are small."""
    sizes = {field: len(encode_json(getattr(call, field))) for field in _REPLACEMENTS if field in fields}
    largest = max(sizes, key=sizes.__getitem__, default=None)
    return largest if largest is not None and sizes[largest] >= _SMALLEST_BYTES else None


def leave_out(call: Call, field: str) -> Call:
    """Return the call with a remark instead of the value of this field."""
    return msgspec.structs.replace(call, **{field: _REPLACEMENTS[field]})


def is_left_out(field: str, stored: Any) -> bool:
    """Whether the record has a remark instead of the value of this field."""
    return field in _REPLACEMENTS and is_same(_REPLACEMENTS[field], stored)
