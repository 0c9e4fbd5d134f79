"""The rows of the layout `kv` that one call writes."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from crm_clients.base import Outcome
from crm_clients.supabase.batches import CallRows, encode_json
from relay.call import Call

COLUMNS: Final = ("key", "value")

Values = Mapping[str, Any]
"""Existing values by key. Keys without a value are absent."""


class KvRows(CallRows, frozen=True, kw_only=True):
    """The rows that one call writes. `values`: the new value of each key."""

    values: Mapping[str, Any]


WriteRows = Callable[[Iterable[KvRows], Values], Awaitable[dict[str, Outcome]]]
"""Writes rows; the second argument has the existing values. Returns outcomes by call id."""


def rows_of(call: Call, values: Mapping[str, Any], existing: Values) -> KvRows:
    """Return the rows for the values that differ from the existing ones."""
    encoded = {key: encode_json({"key": key, "value": value}) for key, value in values.items()}
    decoded = {key: msgspec.json.decode(row)["value"] for key, row in encoded.items()}
    changed = {key: value for key, value in decoded.items() if value != existing.get(key)}
    return KvRows(call, COLUMNS, b",".join(encoded[key] for key in changed), len(changed), values=changed)
