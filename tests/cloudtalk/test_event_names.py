"""The kind of an event: by its name in body, query, path or settings, else by its facts."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.call import Kind
from relay.cloudtalk.event_names import (
    EventName,
    EventNameResolver,
    _normalize_name,
    has_call_facts,
    infer_kind,
    is_about_another_resource,
    is_event_name,
    kind_of_name,
)
from relay.cloudtalk.fields import FieldParser
from relay.cloudtalk.flatten import flatten
from relay.cloudtalk.request import RawRequest

PATH = "/cloudtalk/webhook"


@pytest.mark.parametrize(
    ("body", "path", "query", "text", "kind"),
    [
        ({"event": "started"}, "/missed", "event=ended", "started", Kind.STARTED),
        ({}, "/missed", "x=1&Event=ended", "ended", Kind.ENDED),
        ({}, "/missed", "+Event+=ended", "ended", Kind.ENDED),
        ({}, "/missed", "event=null&event=ended", "ended", Kind.ENDED),
        ({}, "/missed", "", "missed", Kind.MISSED),
        ({}, "/acme/call.ended/", "", "call.ended", Kind.ENDED),
        ({}, "/call%2Dended", "", "call-ended", Kind.ENDED),
        ({}, "/fin", "", "hangup", Kind.ENDED),
        ({}, "/fin/", "event=", "hangup", Kind.ENDED),
        ({"event": "null"}, "/missed", "", "missed", Kind.MISSED),
        ({"event": "{{event}}"}, "/missed", "", "missed", Kind.MISSED),
        ({"event": "teleported"}, "/missed", "", "teleported", None),
        ({"event": "webhook", "action": "ended"}, "", "", "ended", Kind.ENDED),
        ({"type": "phone"}, "/missed", "", "missed", Kind.MISSED),
        ({"event_type": 17}, "/missed", "", "17", None),
        ({"event": "teleported", "action": "vanished"}, "", "", "teleported", None),
        ({}, "", "", "answered", Kind.ANSWERED),
        ({}, "/", "", "answered", Kind.ANSWERED),
    ],
)
def test_body_query_path_and_settings_give_the_name_in_this_order(
    body: dict[str, Any], path: str, query: str, text: str, kind: Kind | None
) -> None:
    paths = {PATH + "/fin": "hangup", PATH + "/missed": "started", PATH: "answered"}
    resolver = EventNameResolver(PATH + "/", paths)
    request = RawRequest(b"", path=PATH + path, query=query)
    name = resolver.resolve(flatten(body).event_names, request, type_is_name=False)
    assert name is not None
    assert (name.text, name.kind) == (text, kind)


@pytest.mark.parametrize(
    ("paths", "path"),
    [
        *(({}, ""), ({}, "/"), ({}, "/acme"), ({}, "/contact-centre"), ({}, "/endedX")),
        *(({PATH + "/fin": "ended"}, "/acme"), ({PATH + "/finX": "ended"}, "/fin")),
    ],
)
def test_an_event_may_have_no_name(paths: dict[str, str], path: str) -> None:
    candidates = flatten({"type": "phone", "event": None}).event_names
    resolver = EventNameResolver(PATH, paths)
    assert resolver.resolve(candidates, RawRequest(b"", path=PATH + path), type_is_name=False) is None


def test_the_type_of_an_envelope_is_the_name_even_if_it_is_unknown() -> None:
    candidates = flatten({"type": "call.transferred"}).event_names
    request = RawRequest(b"", path=PATH + "/ended")
    name = EventNameResolver(PATH, {}).resolve(candidates, request, type_is_name=True)
    assert name is not None
    assert (name.text, name.is_known) == ("call.transferred", False)


def test_the_webhook_path_itself_is_no_name() -> None:
    request = RawRequest(b"", path="/call.ended")
    assert EventNameResolver("/call.ended", {}).resolve([], request, type_is_name=False) is None
    name = EventNameResolver("/call.ended", {"/call.ended": "missed"}).resolve(
        [], request, type_is_name=False
    )
    assert name is not None
    assert name.text == "missed"


# --- names --------------------------------------------------------------------------------------

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
def test_every_name_has_its_kind_in_every_form(kind: Kind, name: str) -> None:
    assert {kind_of_name(spelling) for spelling in (name, name.upper(), name.title(), f" {name} ")} == {kind}
    assert not is_about_another_resource(name)
    assert is_event_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("message.sent", "Message Received", "contact_created", "contact_updated", "user.deleted"),
        *("user-changed", "agent_status_changed", "agent.status_changed", "agentStatus_statusChanged"),
    ],
)
def test_events_of_messages_contacts_and_users_are_known_and_not_about_calls(name: str) -> None:
    assert is_about_another_resource(name)
    assert is_event_name(name)
    assert kind_of_name(name) is None


@pytest.mark.parametrize(
    "name", ["contact-centre", "user17", "messages", "delivery.updated", "flow", "", "x" * 100]
)
def test_other_ends_of_a_url_are_no_event_names(name: str) -> None:
    assert is_event_name(name) is False


def test_a_name_has_at_most_64_characters() -> None:
    ended, contact = "call.ended" + "." * 54, "contact." + "." * 49 + "updated"
    assert kind_of_name(ended) == Kind.ENDED
    assert kind_of_name(ended + ".") is None
    assert is_about_another_resource(contact)
    assert not is_about_another_resource("." + contact)
    for name in (ended, contact):
        assert is_event_name(name)
        assert not is_event_name("." + name)


def test_the_log_has_the_first_100_characters_of_a_name() -> None:
    assert EventName("x" * 101, None, about_call=True).log_text == "x" * 100


@pytest.mark.parametrize(
    "name", ["", "call", "call.", "call.teleported", "ping", "ended?x", "incoming", "x" * 1_000]
)
def test_other_names_are_unknown(name: str) -> None:
    assert kind_of_name(name) is None


@given(st.text(min_size=65, max_size=200))
def test_long_names_are_not_cached(name: str) -> None:
    before = _normalize_name.cache_info().currsize
    assert kind_of_name(name) is None
    assert not is_about_another_resource(name)
    assert _normalize_name.cache_info().currsize == before


# --- events without a name ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"call_id": 1, "transcript": "x", "talking_time": 2}, Kind.TRANSCRIPT),
        ({"call_id": 1, "transcript": "[object Object]"}, Kind.TRANSCRIPT),
        ({"call_id": 1, "transcript": None, "talking_time": 2}, Kind.ENDED),
        ({"call_id": 1, "transcript": ""}, Kind.UPDATE),
        ({"call_id": 1, "recording_url": "https://x.test/a"}, Kind.RECORDING),
        ({"call_id": 1, "recording_url": "https://x.test/a", "agent_id": 1}, Kind.UPDATE),
        ({"call_id": 1, "call_uuid": "u", "recording_url": "https://x.test/a"}, Kind.UPDATE),
        ({"external_number": "+34612345678", "recording_url": "https://x.test/a"}, Kind.UPDATE),
        ({"call_id": 1, "wrapup_time": 0}, Kind.ENDED),
        ({"call_id": 1, "talking_time": 0}, Kind.ENDED),
        ({"call_id": 1, "ended_at": "2024-11-28T10:30:00Z"}, Kind.ENDED),
        ({"call_id": 1, "transcription": "x"}, Kind.TRANSCRIPT),
        ({"call_id": 1, "transcript": None, "transcription": "x"}, Kind.TRANSCRIPT),
        ({"call_id": 1, "recording_url": "https://x.test/a", "agent_email": "a@b.test"}, Kind.UPDATE),
        ({"call_id": 1, "recording_url": "https://x.test/a", "agent_name": "Ana"}, Kind.UPDATE),
        ({"call_id": 1, "ended_at": "null"}, Kind.UPDATE),
        ({"call_uuid": "u", "agent_id": 1, "contact_id": 2}, Kind.UPDATE),
    ],
)
def test_the_kind_of_an_event_without_a_name_is_inferred(body: dict[str, Any], kind: Kind) -> None:
    fields = flatten(body).fields
    facts = FieldParser(ZoneInfo("Europe/Madrid"), "ES").parse(fields, [])
    assert infer_kind(fields, facts) == kind


@pytest.mark.parametrize(
    "fact",
    [
        *("talking", "wrapup", "ended_at", "external_number", "internal_number", "from", "to"),
        *("direction", "started_at", "recording_url"),
    ],
)
def test_only_a_call_has_these_facts(fact: str) -> None:
    assert has_call_facts({fact: 1, "contact_id": 2})
    assert not has_call_facts({"contact_id": 2, "agent_id": 1, "call_id": 3})
