"""Links to recordings in the records that a CRM receives."""

import msgspec

from relay.call import RecordingLinks
from relay.delivery.recording_links import with_recording_link
from relay.ledger.deliveries import DueDelivery
from tests.support.deliveries import due_delivery

LINKS = RecordingLinks("https://calls.example.com", (b"key-of-the-links-0123456789",), 0)


def recorded(url: str | None = "https://my.cloudtalk.io/pub/r/Nw/aa.wav") -> DueDelivery:
    due = due_delivery()
    call = msgspec.structs.replace(due.call, recording_url=url, ended_at="2026-11-20T10:20:00Z")
    return msgspec.structs.replace(
        due, call=call, field_versions={"recording_url": 1, "started_at": 2, "ended_at": 3}
    )


def test_only_a_record_with_a_recording_is_changed() -> None:
    due, silent = recorded(), recorded(None)
    assert with_recording_link(due, None) is due
    assert with_recording_link(silent, LINKS) is silent
    linked = with_recording_link(due, LINKS)
    assert linked.call == msgspec.structs.replace(due.call, recording_url=LINKS.link(due.call))


def test_a_link_that_expires_changes_with_the_times_of_the_call() -> None:
    assert with_recording_link(recorded(), LINKS).field_versions["recording_url"] == 1
    expiring = LINKS._replace(days=30)
    assert with_recording_link(recorded(), expiring).field_versions == {
        "recording_url": 3,
        "started_at": 2,
        "ended_at": 3,
    }
