"""Signed links to recordings."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_clients.conformance.sample_calls import call as sample_call
from relay.call import Call, RecordingLinks, Status, is_signed, with_playable_recording

KEY, OTHER = b"key-of-the-links-0123456789", b"another-key-of-links-012345"
LINKS = RecordingLinks("https://calls.example.com/relay", (KEY,), 0)


def call(**fields: Any) -> Call:
    known: dict[str, Any] = {
        "id": "cloudtalk-7",
        "ended_at": "2026-11-20T10:20:00Z",
        "recording_url": "https://x.test/a.wav",
    }
    known |= fields
    return sample_call(known.pop("id"), known.pop("version", 1), **known)


def query(link: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in link.partition("?")[2].split("&"))


def test_a_link_is_the_same_each_time_and_has_a_fixed_form() -> None:
    expected = "https://calls.example.com/relay/recordings/cloudtalk-7.wav?s=iRjaPeqyX3S54eIzX4H5nn10db9pjt6aZJlyv2L_quM"
    assert LINKS.link(call()) == LINKS.link(call(status=Status.MISSED, version=9)) == expected


def test_an_expiry_counts_from_the_end_of_the_call() -> None:
    links = LINKS._replace(days=1)
    assert query(links.link(call()))["e"] == "1795256400"
    assert (
        query(links.link(call(ended_at=None, answered_at=None, started_at="2026-11-20T10:19:00Z")))["e"]
        == "1795256340"
    )
    assert "e" not in query(links.link(call(ended_at=None, answered_at=None, started_at=None)))


def test_an_id_is_encoded_whole() -> None:
    link = LINKS.link(call(id="a/b?c#d%2F é"))
    assert "/recordings/a%2Fb%3Fc%23d%252F%20%C3%A9.wav?s=" in link


def test_the_record_gets_the_link_only_if_it_has_a_recording() -> None:
    assert LINKS.in_record(call()).recording_url == LINKS.link(call())
    silent = call(recording_url=None)
    assert LINKS.in_record(silent) is silent


def test_without_links_the_record_has_no_recording_that_needs_the_key_of_the_api() -> None:
    in_api = call(recording_url="https://my.cloudtalk.io/api/calls/recording/7.json")
    assert with_playable_recording(in_api, None).recording_url is None
    assert with_playable_recording(in_api, LINKS).recording_url == LINKS.link(in_api)
    public, silent = call(), call(recording_url=None)
    assert with_playable_recording(public, None) is public
    assert with_playable_recording(silent, LINKS) is silent


@pytest.mark.parametrize("days", [0, 30])
def test_every_listed_key_verifies_and_no_other(days: float) -> None:
    given_query = query(LINKS._replace(days=days).link(call()))
    expiry, signature = given_query.get("e"), given_query["s"]
    assert is_signed([KEY], "cloudtalk-7", expiry, signature)
    assert is_signed([OTHER, KEY], "cloudtalk-7", expiry, signature)
    assert not is_signed([OTHER], "cloudtalk-7", expiry, signature)
    assert not is_signed([], "cloudtalk-7", expiry, signature)
    assert not is_signed([KEY], "cloudtalk-8", expiry, signature)
    assert not is_signed([KEY], "cloudtalk-7", "99999999999", signature)
    assert not is_signed([KEY], "cloudtalk-7", None if days else "1795256400", signature)


@given(st.text(), st.none() | st.text(), st.text())
def test_no_text_is_a_signature_or_raises_an_error(id_: str, expiry: str | None, signature: str) -> None:
    assert not is_signed([KEY], id_, expiry, signature)


def test_the_rendering_changes_with_what_changes_links_and_hides_the_key() -> None:
    others = [
        LINKS._replace(public_url="https://other.example"),
        LINKS._replace(keys=(OTHER, KEY)),
        LINKS._replace(days=1),
    ]
    assert len({LINKS.rendering, *(other.rendering for other in others)}) == 4
    assert LINKS._replace(keys=(KEY, OTHER)).rendering == LINKS.rendering
    assert KEY.decode() not in LINKS.rendering


def test_the_rendering_stays_the_same_in_later_releases() -> None:
    """Otherwise each delivered record would count as one of other settings."""
    assert LINKS._replace(days=2.5).rendering == "https://calls.example.com/relay 2.5 9d6ee2a58679"
