"""What stands where in HubSpot: properties, the body, and the team's own mapping."""

from datetime import UTC, datetime
from typing import Any

import pytest

from crm_clients.base import Push
from crm_clients.hubspot.call_records import call_time, call_title, changed_properties
from crm_clients.hubspot.settings import HubSpotSettings
from crm_clients.hubspot.text import MAX_TEXT_LENGTH, html_to_text, sections_to_html
from relay.call import Status
from tests.support.hubspot import call, first, later, missed

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def said(push: Push, *, owner: str = "", **settings: Any) -> dict[str, str]:
    chosen = HubSpotSettings.model_validate({"client": "hubspot", "token": "pat", **settings})
    return changed_properties(push, chosen, owner_id=owner, now=NOW)


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        ({}, "Inbound call from +34600111222"),
        ({"direction": "outbound", "contact_name": "Ana\nRuiz"}, "Outbound call to Ana Ruiz (+34600111222)"),
        ({"status": Status.MISSED}, "Missed call from +34600111222"),
        ({"status": Status.VOICEMAIL, "external_number": None}, "Voicemail from an unknown number"),
        ({"direction": None, "contact_name": "Ana"}, "Call with Ana (+34600111222)"),
        ({"contact_name": "x" * 300, "external_number": None}, f"Inbound call from {'x' * 200}…"),
    ],
)
def test_titles_say_what_happened_and_with_whom(fields: dict[str, Any], title: str) -> None:
    assert call_title(call(**fields)) == title


def test_texts_are_escaped_and_lines_stay_lines() -> None:
    body = said(first(call(notes='<script>alert("1")</script>\n& more')))["hs_call_body"]
    assert body == (
        "<p><strong>Notes</strong><br>&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;<br>&amp; more</p>"
    )


@pytest.mark.parametrize("text", ["x" * 100_000, "&" * 100_000, "\n" * 100_000, "漢" * 100_000])
def test_a_long_transcript_is_cut_and_says_so(text: str) -> None:
    body = said(first(call(summary="short", transcript=text)))["hs_call_body"]
    assert len(body) <= MAX_TEXT_LENGTH
    assert len(body) > MAX_TEXT_LENGTH - 300
    assert body.endswith(" … [cut]</p>")
    assert "<p><strong>Summary</strong><br>short</p>" in body


def test_what_has_no_room_left_is_left_out() -> None:
    assert sections_to_html([("One", "x" * 70_000), ("Two", "y")]).count("<p>") == 1


def test_nul_and_halves_of_surrogates_are_cut_out() -> None:
    assert said(first(call(notes="a\0b\ud800c")))["hs_call_body"] == "<p><strong>Notes</strong><br>abc</p>"


def test_plain_text_is_the_same_however_it_is_marked_up() -> None:
    assert html_to_text("<p>One<br>two &amp; three</p>") == html_to_text(
        '<div dir="auto">One <br/>\n two &amp; three</div>'
    )


@pytest.mark.parametrize("url", ["http://example.test/a.wav", "javascript:alert(1)", None])
def test_only_a_recording_at_https_is_played(url: str | None) -> None:
    assert "hs_call_recording_url" not in said(first(call(recording_url=url)))


def test_a_call_that_goes_on_has_no_disposition_and_one_that_ends_later_gets_it() -> None:
    going_on = call(status=Status.ANSWERED)
    assert "hs_call_disposition" not in said(first(going_on))
    ended = said(later(going_on, status=Status.COMPLETED))
    assert ended["hs_call_disposition"] == "f240bbac-87c9-4f6e-bf70-924b57d47db7"


def test_what_became_empty_is_cleared_later_and_left_out_at_first() -> None:
    assert said(later(call(), notes=None, duration_seconds=None)) == {
        "hs_call_body": "",
        "hs_call_duration": "",
    }
    assert "hs_call_duration" not in said(first(call(duration_seconds=None)))


def test_an_owner_that_is_unknown_does_not_take_the_present_one_away() -> None:
    assert said(later(call(), agent_email="nobody@example.test")) == {}
    assert said(later(call(), agent_email="bea@example.test"), owner="7002") == {"hubspot_owner_id": "7002"}


def test_the_time_is_the_start_else_the_earliest_known_else_now() -> None:
    start = call()
    assert call_time(start) == datetime(2026, 11, 24, 9, 42, 11, tzinfo=UTC)
    assert said(first(start))["hs_timestamp"] == "1795513331000"
    end_only = call(started_at=None, answered_at=None)
    assert call_time(end_only) == datetime(2026, 11, 24, 9, 43, 12, tzinfo=UTC)
    nothing = call(started_at=None, answered_at=None, ended_at=None)
    assert said(first(nothing))["hs_timestamp"] == str(int(NOW.timestamp() * 1000))
    assert said(later(nothing, notes="x")).keys() == {"hs_call_body"}
    assert said(later(nothing, started_at=start.started_at)) == {"hs_timestamp": "1795513331000"}


def test_a_start_with_milliseconds_keeps_them() -> None:
    assert said(first(call(started_at="2026-11-24T09:42:11.250Z")))["hs_timestamp"] == "1795513331250"


# --- the team's own mapping -------------------------------------------------------------------


def test_fields_go_where_the_settings_say_in_words_of_the_relay() -> None:
    fields = {
        "call_id": "ct_id",
        "tags": "ct_tags",
        "notes": "ct_notes",
        "duration_seconds": "ct_seconds",
        "follow_up": "ct_follow_up",
        "state": "ct_state",
        "status": "ct_status",
        "cloudtalk_data": "ct_data",
        "started_at": "ct_start",
    }
    of = missed(call_id="77", tags=["a", "b"], notes="n", cloudtalk_data={"x": 1})
    found = said(first(of), fields=fields, labels={"missed": "Perdida!"})
    assert {name: value for name, value in found.items() if name.startswith("ct_")} == {
        "ct_id": "77",
        "ct_tags": "a;b",
        "ct_notes": "n",
        "ct_seconds": "61",
        "ct_follow_up": "true",
        "ct_state": "missed",
        "ct_status": "Perdida!",
        "ct_data": '{"x":1}',
        "ct_start": "2026-11-24T09:42:11Z",
    }
    assert not {"hs_call_body", "hs_call_duration", "hs_call_status"} & found.keys()
    assert "hs_timestamp" in found, "HubSpot takes no call without"


def test_a_status_that_changes_moves_its_state_too() -> None:
    push = later(missed(), status=Status.COMPLETED)
    assert said(push, fields={"state": "ct_state"})["ct_state"] == "completed"


def test_a_field_may_go_nowhere() -> None:
    nowhere = dict.fromkeys(["notes", "recording_url", "agent_email", "from"], "")
    of = call(notes="secret", recording_url="https://example.test/a.wav", summary="s")
    found = said(first(of), owner="7001", fields=nowhere)
    assert found["hs_call_body"] == "<p><strong>Summary</strong><br>s</p>"
    assert not {"hs_call_recording_url", "hubspot_owner_id", "hs_call_from_number"} & found.keys()


def test_any_field_may_join_the_body() -> None:
    found = said(first(call(agent_name="Ana", notes="n")), fields={"agent_name": "hs_call_body"})
    assert found["hs_call_body"] == (
        "<p><strong>Notes</strong><br>n</p><p><strong>Agent name</strong><br>Ana</p>"
    )


def test_constants_are_said_at_first_and_left_to_people_afterwards() -> None:
    constants = {"ct_source": "CloudTalk", "ct_flag": True, "ct_number": 3}
    assert said(first(call()), constants=constants).items() >= {
        ("ct_source", "CloudTalk"),
        ("ct_flag", "true"),
        ("ct_number", "3"),
    }
    assert said(later(call(), notes="n"), constants=constants).keys() == {"hs_call_body"}
