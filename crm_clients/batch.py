"""What a batch of pushes comes to when one call stands in it twice."""

from collections.abc import Iterable

import msgspec

from crm_clients.base import Push


def newest(pushes: Iterable[Push]) -> dict[str, Push]:
    """One push per call, by id: its newest version, with all that changed.

    The courier brings a call once; most CRMs refuse or double a record that a batch names twice, so a
    client that asks here owes nothing to the courier's care.
    """
    by_id: dict[str, Push] = {}
    for push in pushes:
        other = by_id.get(push.call.id)
        by_id[push.call.id] = push if other is None else _joined(other, push)
    return by_id


def _joined(one: Push, other: Push) -> Push:
    newer = max(one, other, key=lambda push: push.call.version)
    return msgspec.structs.replace(
        newer,
        changed=one.changed | other.changed,
        first=one.first or other.first,
        remote_id=one.remote_id or other.remote_id,
    )
