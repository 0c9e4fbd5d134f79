"""The pushes of one batch and their outcomes by call."""

from collections.abc import Iterable, Mapping

import msgspec

from crm_clients.base import Delivered, Outcome, Push


def merge_by_call(pushes: Iterable[Push]) -> dict[str, Push]:
    """Return one push per call id: the newest version, with all fields that changed in any version.

    The relay pushes a call at most once per batch. Most CRMs reject or duplicate a record that a
    request names twice, so clients call this function instead of relying on the relay.
    """
    by_id: dict[str, Push] = {}
    for push in pushes:
        earlier = by_id.get(push.call.id)
        by_id[push.call.id] = push if earlier is None else _merge(earlier, push)
    return by_id


def mark_existed(outcomes: Mapping[str, Outcome], ids: Iterable[str]) -> dict[str, Outcome]:
    """Return the outcomes by call id; those of the calls `ids` say that the first delivery found a record."""
    existed = {
        id_: msgspec.structs.replace(outcome, existed=True)
        for id_ in ids
        if isinstance(outcome := outcomes[id_], Delivered)
    }
    return {**outcomes, **existed}


def _merge(left: Push, right: Push) -> Push:
    newer = max(left, right, key=lambda push: push.call.version)
    return msgspec.structs.replace(
        newer,
        changed=left.changed | right.changed,
        first=left.first or right.first,
        remote_id=left.remote_id or right.remote_id,
        partial=left.partial or right.partial,
        rewrite=left.rewrite or right.rewrite,
        delivered_version=min(left.delivered_version, right.delivered_version),
    )
