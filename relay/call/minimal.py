"""The record of a forgotten call: what a CRM client needs to erase the call, and nothing else."""

from collections.abc import Collection
from typing import Any, Final

import msgspec

from relay.call.record import Call
from relay.call.status import Status

_NOTHING: Final[dict[str, Any]] = {
    field.name: None for field in msgspec.structs.fields(Call) if field.required
} | {
    "status": Status.IN_PROGRESS,
    "tags": [],
    "follow_up": False,
    "cloudtalk_data": {},
}


def minimal_call(id_: str, *, version: int, of: Call | None = None, fields: Collection[str] = ()) -> Call:
    """Return a call with this id and version, and these attributes `of` a call, if it is known."""
    kept: dict[str, Any] = {} if of is None else {name: getattr(of, name) for name in fields}
    return Call(**(_NOTHING | kept | {"id": id_, "version": version}))
