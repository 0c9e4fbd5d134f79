"""Links to recordings in the records that a CRM receives."""

import msgspec
import pytest

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


def test_without_links_a_record_has_no_recording_that_needs_the_api_key() -> None:
    due = recorded("https://my.cloudtalk.io/api/calls/recording/7.json")
    delivered = with_recording_link(due, None)
    assert delivered.call == msgspec.structs.replace(due.call, recording_url=None)
    assert delivered.field_versions == due.field_versions


@pytest.mark.parametrize(
    ("versions", "of_the_link"),
    [
        ({"recording_url": 1, "started_at": 2, "ended_at": 3}, 3),
        ({"recording_url": 1, "answered_at": 2}, 2),
        ({"recording_url": 1, "started_at": 2}, 2),
        ({"recording_url": 4, "ended_at": 3, "notes": 5}, 4),
        ({}, 0),
    ],
)
def test_a_link_that_expires_changes_with_the_times_of_the_call(
    versions: dict[str, int], of_the_link: int
) -> None:
    due = msgspec.structs.replace(recorded(), field_versions=versions)
    assert with_recording_link(due, LINKS).field_versions == versions
    expiring = with_recording_link(due, LINKS._replace(days=30)).field_versions
    assert expiring == {**versions, "recording_url": of_the_link}
