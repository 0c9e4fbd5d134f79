"""Event names in every spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.call import Kind
from relay.cloudtalk.words import _folded, is_event, is_not_of_calls, kind_of

NAMES = {
    Kind.STARTED: "call.started call_started started dialing new_call",
    Kind.RINGING: "ringing call.ringing ringing_on_agent",
    Kind.ANSWERED: "call.answered call_answered answered",
    Kind.ENDED: "call.ended call_ended CALL_ENDED call-ended ended call.finished call.completed hangup",
    Kind.MISSED: "call.missed call_missed missed no_answer",
    Kind.VOICEMAIL: "voicemail call.voicemail voicemail.received",
    Kind.RECORDING: "call.recording_ready recording.ready recording.uploaded recording_uploaded",
    Kind.TRANSCRIPT: "transcript.ready transcription.created",
    Kind.SUMMARY: "cidata.ready",
    Kind.MODIFIED: "call.modified call.tagged disposition raised_hand",
}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in NAMES.items() for name in names.split()]
)
def test_every_name_stands_for_its_kind(kind: Kind, name: str) -> None:
    assert {kind_of(spelling) for spelling in (name, name.upper(), name.title(), f" {name} ")} == {kind}
    assert not is_not_of_calls(name)
    assert is_event(name)


@pytest.mark.parametrize(
    "name", ["message.sent", "Message Received", "contact_updated", "user.deleted", "agent_status_changed"]
)
def test_messages_contacts_and_users_are_known_not_to_be_calls(name: str) -> None:
    assert is_not_of_calls(name)
    assert is_event(name)
    assert kind_of(name) is None


@pytest.mark.parametrize("name", ["contact-centre", "user17", "messages", "flow", "", "x" * 100])
def test_the_end_of_a_url_may_be_anybody_s_name(name: str) -> None:
    assert not is_event(name)


@pytest.mark.parametrize(
    "name", ["", "call", "call.", "call.teleported", "ping", "ended?x", "incoming", "x" * 1_000]
)
def test_other_names_are_not_known(name: str) -> None:
    assert kind_of(name) is None


@given(st.text(min_size=65, max_size=200))
def test_long_names_are_not_remembered(name: str) -> None:
    before = _folded.cache_info().currsize
    assert kind_of(name) is None
    assert not is_not_of_calls(name)
    assert _folded.cache_info().currsize == before
