"""Links to recordings, as a CRM receives them: computed when a record is pushed, and stored nowhere.

The ledger keeps CloudTalk's own link. So another setting or key changes all links, and
`relay replay --changed-settings` writes the new ones.
"""

from typing import Final

import msgspec

from relay.call import RecordingLinks, with_playable_recording
from relay.ledger.deliveries import DueDelivery

_LINK: Final = "recording_url"
_TIMES: Final = ("ended_at", "answered_at", "started_at")
"""A link that expires changes with them."""


def with_recording_link(due: DueDelivery, links: RecordingLinks | None) -> DueDelivery:
    """Return the delivery with a recording in its record that people can play, if there is one."""
    call = with_playable_recording(due.call, links)
    if call is due.call:
        return due
    versions = due.field_versions
    if links is not None and links.days:
        newest = max(versions.get(field, 0) for field in (_LINK, *_TIMES))
        versions = versions | {_LINK: newest}
    return msgspec.structs.replace(due, call=call, field_versions=versions)
