"""The properties of a call record: HubSpot's own, the body, and those that the settings map."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from crm_clients.base import Push
from crm_clients.follow_up import call_time
from crm_clients.hubspot.call_records import (
    BODY_FIELDS,
    call_title,
    changed_properties,
    upsert_input,
)
from crm_clients.hubspot.languages import TEXTS
from crm_clients.hubspot.settings import HubSpotSettings
from crm_clients.hubspot.text import MAX_TEXT_LENGTH, merge_sections
from relay.call import Status
from tests.support.hubspot import call, first_push, later_push, missed_call

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def properties(push: Push, *, owner: str = "", **settings: Any) -> dict[str, str]:
    parsed = HubSpotSettings.model_validate({"client": "hubspot", "token": "pat", **settings})
    return changed_properties(push, parsed, owner_id=owner, now=NOW)


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
def test_the_title_names_the_kind_of_call_and_the_customer(fields: dict[str, Any], title: str) -> None:
    assert call_title(call(**fields), TEXTS["en"]) == title


def test_the_body_is_escaped_and_keeps_its_line_breaks() -> None:
    body = properties(first_push(call(notes='<script>alert("1")</script>\n& more')))["hs_call_body"]
    assert body == (
        "<p><strong>Notes</strong><br>&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;<br>&amp; more</p>"
    )


@pytest.mark.parametrize(
    ("language", "reason", "notes"),
    [
        (
            "en",
            "<strong>Why it was missed</strong><br>nobody picked up",
            "<strong>Smart notes</strong><br>- One",
        ),
        (
            "es",
            "<strong>Motivo de la llamada perdida</strong><br>nadie contestó",
            "<strong>Notas inteligentes</strong><br>- One",
        ),
    ],
)
def test_the_body_says_why_a_call_was_missed_in_the_language_of_the_account(
    language: str, reason: str, notes: str
) -> None:
    push = first_push(missed_call(missed_reason="nobody picked up", smart_notes="- One"))
    body = properties(push, language=language)["hs_call_body"]
    assert reason in body
    assert notes in body


@pytest.mark.parametrize("text", ["x" * 100_000, "&" * 100_000, "\n" * 100_000, "漢" * 100_000])
def test_a_long_transcript_is_cut_and_ends_in_a_marker(text: str) -> None:
    body = properties(first_push(call(summary="short", transcript=text)))["hs_call_body"]
    assert len(body) <= MAX_TEXT_LENGTH
    assert len(body) > MAX_TEXT_LENGTH - 300
    assert body.endswith(" … [cut]</p>")
    assert "<p><strong>Summary</strong><br>short</p>" in body


def test_nul_and_unpaired_surrogates_are_removed() -> None:
    assert (
        properties(first_push(call(notes="a\0b\ud800c")))["hs_call_body"]
        == "<p><strong>Notes</strong><br>abc</p>"
    )


@pytest.mark.parametrize("url", ["http://example.test/a.wav", "javascript:alert(1)", None])
def test_only_an_https_recording_url_is_written(url: str | None) -> None:
    assert "hs_call_recording_url" not in properties(first_push(call(recording_url=url)))


def test_a_recording_has_its_property_and_is_the_first_section_of_the_body() -> None:
    url = "https://example.test/a.wav?a=1&b=2\0"
    found = properties(later_push(call(notes="n"), recording_url=url))
    assert found == {
        "hs_call_recording_url": "https://example.test/a.wav?a=1&b=2",
        "hs_call_body": "<p><strong>Recording</strong><br>https://example.test/a.wav?a=1&amp;b=2</p>"
        "<p><strong>Notes</strong><br>n</p>",
    }
    assert properties(later_push(call(), recording_url=None)) == {
        "hs_call_recording_url": "",
        "hs_call_body": "",
    }
    assert properties(later_push(call(recording_url=url, summary="s"), "tags"))["hs_call_body"] == (
        "<p><strong>Recording</strong><br>https://example.test/a.wav?a=1&amp;b=2</p>"
        "<p><strong>Summary</strong><br>s</p>"
    )


def test_the_sections_of_a_body_have_one_order_whatever_changed() -> None:
    of = call(transcript="t", tags=["a", "b"], notes="n", summary="s")
    sections = _sections(("Summary", "s"), ("Notes", "n"), ("Tags", "a, b"), ("Transcript", "t"))
    for field in ("transcript", "tags", "notes", "summary"):
        assert properties(later_push(of, field)) == {"hs_call_body": sections}
    added = {"missed_reason", "smart_notes"}
    assert {"summary", "notes", "tags", "transcript", "recording_url"} | added == BODY_FIELDS


def test_the_headings_of_a_body_are_in_the_language_of_the_settings() -> None:
    push = later_push(call(), notes="n", recording_url="https://example.test/a.wav")
    assert properties(push, language="es")["hs_call_body"] == (
        "<p><strong>Grabación</strong><br>https://example.test/a.wav</p><p><strong>Notas</strong><br>n</p>"
    )


@pytest.mark.parametrize(("written", "value"), [("+34600111222\0", "+34600111222"), (None, "")])
def test_a_number_is_written_without_nul_and_an_unknown_one_is_empty(written: str | None, value: str) -> None:
    assert properties(later_push(call(from_=written), "from")) == {"hs_call_from_number": value}
    assert properties(later_push(call(to=written), "to")) == {"hs_call_to_number": value}


@pytest.mark.parametrize(("seconds", "milliseconds"), [(None, ""), (0, "0"), (1, "1000"), (61, "61000")])
def test_a_duration_is_written_in_milliseconds(seconds: int | None, milliseconds: str) -> None:
    assert properties(later_push(call(), duration_seconds=seconds)) == {"hs_call_duration": milliseconds}


def test_a_call_gets_its_disposition_when_it_ends() -> None:
    in_progress = call(status=Status.ANSWERED)
    assert "hs_call_disposition" not in properties(first_push(in_progress))
    ended = properties(later_push(in_progress, status=Status.COMPLETED))
    assert ended["hs_call_disposition"] == "f240bbac-87c9-4f6e-bf70-924b57d47db7"


@pytest.mark.parametrize(
    ("direction", "written"),
    [("inbound", "INBOUND"), ("outbound", "OUTBOUND"), ("internal", "OUTBOUND"), (None, "")],
)
def test_the_direction_is_one_that_hubspot_has(direction: str | None, written: str) -> None:
    found = properties(later_push(call(), direction=direction))
    assert found["hs_call_direction"] == written


NO_ANSWER = "73a0d17f-1163-4015-bdd5-ec830791da20"


@pytest.mark.parametrize(
    ("status", "written", "disposition", "voicemail"),
    [
        (Status.IN_PROGRESS, "IN_PROGRESS", "", ""),
        (Status.ANSWERED, "IN_PROGRESS", "", ""),
        (Status.COMPLETED, "COMPLETED", "f240bbac-87c9-4f6e-bf70-924b57d47db7", ""),
        (Status.MISSED, "NO_ANSWER", NO_ANSWER, ""),
        (Status.VOICEMAIL, "NO_ANSWER", "b2cf5968-551e-4856-9783-52b3da59a7d0", "true"),
        (Status.NO_ANSWER, "NO_ANSWER", NO_ANSWER, ""),
    ],
)
def test_each_status_has_its_disposition(
    status: Status, written: str, disposition: str, voicemail: str
) -> None:
    found = properties(later_push(call(), status=status))
    found.pop("hs_call_title")
    assert found == {
        "hs_call_status": written,
        "hs_call_disposition": disposition,
        "hs_call_has_voicemail": voicemail,
    }


def test_a_new_record_has_exactly_the_properties_of_its_call() -> None:
    assert properties(first_push(call(tags=["a", "b"])), owner="7001") == {
        "hs_timestamp": "1795513331000",
        "hs_call_title": "Inbound call from +34600111222",
        "hs_call_status": "COMPLETED",
        "hs_call_disposition": "f240bbac-87c9-4f6e-bf70-924b57d47db7",
        "hs_call_source": "INTEGRATIONS_PLATFORM",
        "hs_call_direction": "INBOUND",
        "hs_call_from_number": "+34600111222",
        "hs_call_to_number": "+34910000001",
        "hs_call_duration": "61000",
        "hubspot_owner_id": "7001",
        "hs_call_body": "<p><strong>Tags</strong><br>a, b</p>",
    }


@pytest.mark.parametrize("field", ["direction", "status", "external_number", "contact_name"])
def test_each_part_of_the_title_changes_it(field: str) -> None:
    assert "hs_call_title" in properties(later_push(call(), field))
    assert "hs_call_title" not in properties(later_push(call(), "agent_name"))


@pytest.mark.parametrize(
    ("unknown", "is_written"),
    [("contact_name", True), ("external_number", False), ("direction", False), ("started_at", True)],
)
def test_a_partial_push_writes_a_title_only_if_its_parts_are_known(unknown: str, *, is_written: bool) -> None:
    push = msgspec.structs.replace(later_push(call(contact_name="Ana"), "status"), partial=True)
    push = msgspec.structs.replace(push, call=msgspec.structs.replace(push.call, **{unknown: None}))
    assert ("hs_call_title" in properties(push)) is is_written


def test_an_empty_field_clears_its_property_except_in_a_new_record() -> None:
    assert properties(later_push(call(), notes=None, duration_seconds=None)) == {
        "hs_call_body": "",
        "hs_call_duration": "",
    }
    assert "hs_call_duration" not in properties(first_push(call(duration_seconds=None)))


def test_an_agent_without_an_owner_does_not_clear_the_owner() -> None:
    assert properties(later_push(call(), agent_email="nobody@example.test")) == {}
    assert properties(later_push(call(), agent_email="bea@example.test"), owner="7002") == {
        "hubspot_owner_id": "7002"
    }


def test_the_timestamp_is_the_start_else_the_earliest_other_time_else_now() -> None:
    start = call()
    assert call_time(start) == datetime(2026, 11, 24, 9, 42, 11, tzinfo=UTC)
    assert properties(first_push(start))["hs_timestamp"] == "1795513331000"
    end_only = call(started_at=None, answered_at=None)
    assert call_time(end_only) == datetime(2026, 11, 24, 9, 43, 12, tzinfo=UTC)
    nothing = call(started_at=None, answered_at=None, ended_at=None)
    assert properties(first_push(nothing))["hs_timestamp"] == str(int(NOW.timestamp() * 1000))
    assert properties(later_push(nothing, notes="x")).keys() == {"hs_call_body"}
    assert properties(later_push(nothing, started_at=start.started_at)) == {"hs_timestamp": "1795513331000"}


@pytest.mark.parametrize(
    ("answered", "ended", "time"),
    [
        ("2026-11-24T09:42:20Z", "2026-11-24T09:43:12Z", datetime(2026, 11, 24, 9, 42, 20, tzinfo=UTC)),
        ("2026-11-24T09:43:12Z", "2026-11-24T09:42:20Z", datetime(2026, 11, 24, 9, 42, 20, tzinfo=UTC)),
        ("2026-11-24T09:42:20Z", None, datetime(2026, 11, 24, 9, 42, 20, tzinfo=UTC)),
        (None, None, None),
    ],
)
def test_without_a_start_the_time_is_the_earliest_other_one(
    answered: str | None, ended: str | None, time: datetime | None
) -> None:
    assert call_time(call(started_at=None, answered_at=answered, ended_at=ended)) == time


@pytest.mark.parametrize("field", ["started_at", "answered_at", "ended_at"])
@pytest.mark.parametrize("partial", [False, True])
def test_each_changed_time_writes_the_timestamp_if_the_start_is_known(field: str, *, partial: bool) -> None:
    push = msgspec.structs.replace(later_push(call(), field), partial=partial)
    assert properties(push) == {"hs_timestamp": "1795513331000"}
    without_start = msgspec.structs.replace(push, call=call(started_at=None))
    # An unknown start of a partial call may be in HubSpot.
    assert properties(without_start) == ({} if partial else {"hs_timestamp": "1795513340000"})


def test_times_that_became_unknown_do_not_change_the_timestamp() -> None:
    timeless = call(started_at=None, answered_at=None, ended_at=None)
    assert properties(later_push(timeless, "started_at", "answered_at", "ended_at")) == {}


def test_the_first_delivery_of_a_partial_call_has_a_timestamp() -> None:
    push = msgspec.structs.replace(first_push(call(started_at=None)), partial=True)
    assert properties(push)["hs_timestamp"] == "1795513340000"


def test_the_timestamp_keeps_milliseconds() -> None:
    assert (
        properties(first_push(call(started_at="2026-11-24T09:42:11.250Z")))["hs_timestamp"] == "1795513331250"
    )


# --- the mapping of the settings --------------------------------------------------------------


def test_mapped_fields_are_written_unconverted_to_the_properties_of_the_settings() -> None:
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
    of = missed_call(call_id="77", tags=["a", "b"], notes="n", cloudtalk_data={"x": 1})
    found = properties(first_push(of), fields=fields, labels={"missed": "Perdida!"})
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
    assert "hs_timestamp" in found, "HubSpot requires a timestamp"


def test_a_changed_status_also_changes_the_mapped_state() -> None:
    push = later_push(missed_call(), status=Status.COMPLETED)
    assert properties(push, fields={"state": "ct_state"})["ct_state"] == "completed"


def test_a_field_mapped_to_an_empty_name_is_not_written() -> None:
    nowhere = dict.fromkeys(["notes", "recording_url", "agent_email", "from"], "")
    of = call(notes="secret", recording_url="https://example.test/a.wav", summary="s")
    found = properties(first_push(of), owner="7001", fields=nowhere)
    assert found["hs_call_body"] == "<p><strong>Summary</strong><br>s</p>"
    assert not {"hs_call_recording_url", "hubspot_owner_id", "hs_call_from_number"} & found.keys()


def test_any_field_can_be_mapped_to_the_body() -> None:
    found = properties(first_push(call(agent_name="Ana", notes="n")), fields={"agent_name": "hs_call_body"})
    assert found["hs_call_body"] == (
        "<p><strong>Notes</strong><br>n</p><p><strong>Agent name</strong><br>Ana</p>"
    )


def test_constants_are_written_only_to_a_new_record() -> None:
    constants = {"ct_source": "CloudTalk", "ct_flag": True, "ct_number": 3}
    assert properties(first_push(call()), constants=constants).items() >= {
        ("ct_source", "CloudTalk"),
        ("ct_flag", "true"),
        ("ct_number", "3"),
    }
    assert properties(later_push(call(), notes="n"), constants=constants).keys() == {"hs_call_body"}


def test_a_rewrite_writes_the_constants_to_an_existing_record_again() -> None:
    push = msgspec.structs.replace(later_push(call(), notes="n"), rewrite=True)
    assert properties(push, constants={"ct_source": "CloudTalk", "ct_empty": ""}) == {
        "hs_call_body": "<p><strong>Notes</strong><br>n</p>",
        "ct_source": "CloudTalk",
    }


def test_the_mapped_state_is_written_if_it_or_the_status_changed() -> None:
    fields = {"state": "ct_state"}
    assert properties(later_push(missed_call(), "state"), fields=fields) == {"ct_state": "missed"}
    assert "ct_state" not in properties(later_push(missed_call(), "notes"), fields=fields)


@pytest.mark.parametrize(
    ("remote_id", "changed", "written"),
    [("7", "internal_number", False), (None, "internal_number", True), ("7", "to", True), (None, "to", True)],
)
def test_an_input_is_sent_if_the_record_is_unknown_or_something_changed(
    remote_id: str | None, changed: str, *, written: bool
) -> None:
    settings = HubSpotSettings.model_validate({"client": "hubspot", "token": "pat"})
    push = later_push(call(), changed, remote_id=remote_id)
    assert (upsert_input(push, settings, owner_id="", now=NOW) is not None) is written


def test_changed_sections_are_merged_into_the_body_that_the_record_has() -> None:
    settings = HubSpotSettings.model_validate({"client": "hubspot", "token": "pat"})
    push = later_push(call(), notes="call back", remote_id="7")
    for body, merged in [
        ("<p>by a person</p>", "<p>by a person</p><p><strong>Notes</strong><br>call back</p>"),
        ("", "<p><strong>Notes</strong><br>call back</p>"),
    ]:
        written = upsert_input(push, settings, owner_id="", now=NOW, body=body)
        assert written is not None
        assert written["properties"]["hs_call_body"] == merged


def test_an_existing_body_is_only_written_if_a_section_changed() -> None:
    settings = HubSpotSettings.model_validate({"client": "hubspot", "token": "pat"})
    push = later_push(call(), to="+34910000002", remote_id="7")
    assert upsert_input(push, settings, owner_id="", now=NOW, body="<p>by a person</p>") == {
        "id": "cloudtalk-1",
        "idProperty": "cloudtalk_call_id",
        "objectWriteTraceId": "cloudtalk-1",
        "properties": {"cloudtalk_call_id": "cloudtalk-1", "hs_call_to_number": "+34910000002"},
    }
    unseen = later_push(call(), "internal_number", remote_id="7")
    assert upsert_input(unseen, settings, owner_id="", now=NOW, body="<p>by a person</p>") is None


def _sections(*pairs: tuple[str, str]) -> str:
    return "".join(f"<p><strong>{heading}</strong><br>{text}</p>" for heading, text in pairs)


@pytest.mark.parametrize(
    ("existing", "merged"),
    [
        ("", _sections(("Tags", "new"))),
        (_sections(("Tags", "old")), _sections(("Tags", "new"))),
        (_sections(("Notes", "n"), ("Tags", "old")), _sections(("Notes", "n"), ("Tags", "new"))),
        (_sections(("Notes", "n")), _sections(("Notes", "n"), ("Tags", "new"))),
        ("<div>by a person</div>", "<div>by a person</div>" + _sections(("Tags", "new"))),
        ("<div>Tags: new</div>", "<div>Tags: new</div>"),
        ("x" * 65_000, "x" * 65_000),
    ],
)
def test_the_sections_of_a_partial_call_are_merged_into_the_body(existing: str, merged: str) -> None:
    assert merge_sections(existing, _sections(("Tags", "new"))) == merged
