"""The texts of CloudTalk's Conversation Intelligence."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from relay.cloudtalk.ai_texts import (
    read_page,
    read_segments,
    smart_notes_text,
    summary_text,
    transcript_text,
)
from tests.support.enrichment import SMART_NOTES, transcription


def test_a_transcript_has_a_line_for_each_turn() -> None:
    page = transcription(
        ("agent", "Good morning."), ("agent", "Sol &amp; Mar."), ("contact", "Hello."), ("agent", "Yes?")
    )
    segments = read_segments(page)
    assert transcript_text(segments) == "Agent: Good morning. Sol & Mar.\nCustomer: Hello.\nAgent: Yes?"


def test_a_speaker_whom_nobody_declares_has_no_name() -> None:
    page = {"data": {"segments": [{"caller": "x", "text": "One"}, {"caller": "y", "text": "Two"}]}}
    assert transcript_text(read_segments(page)) == "One\nTwo"


def test_a_page_says_how_many_segments_there_are() -> None:
    page = transcription(("agent", "Hello"), ("agent", " "))
    assert read_page(page | {"pagination": {"limit": 2, "offset": 0, "total": 10}}) == (2, 10)
    assert read_page(page | {"pagination": {"total": "10"}}) == (2, None)
    assert read_page({}) == (0, None)


def test_smart_notes_have_a_heading_for_each_section_that_has_items() -> None:
    assert smart_notes_text(SMART_NOTES) == (
        "Reservation 4711\n"
        "Action items:\n- Send the offer\n- Call again on Monday\n"
        "Important dates and deadlines:\n- 2024-01-11T10:00:00Z: The offer ends"
    )


def test_a_section_that_is_new_at_cloudtalk_is_kept() -> None:
    assert smart_notes_text({"smartNotes": {"nextSteps": ["Wait"]}}) == "Next steps:\n- Wait"


def test_smart_notes_without_any_item_are_none() -> None:
    assert smart_notes_text({"smartNotes": {"callDetails": {}, "actionItems": []}}) is None
    assert smart_notes_text({}) is None


def test_a_summary_may_quote_a_template() -> None:
    assert summary_text({"callId": 1, "summary": " They asked about {{name}} & more. "}) == (
        "They asked about {{name}} & more."
    )
    assert summary_text({"summary": ""}) is None


_KEYS = st.sampled_from(
    [
        *("data", "segments", "callers", "caller", "text", "localIdentifier", "type", "pagination", "total"),
        *(
            "smartNotes",
            "callDetails",
            "callMetadata",
            "actionItems",
            "eventDescription",
            "dateMention",
            "summary",
        ),
    ]
)
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
_JSON = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=6),
    max_leaves=30,
)


@given(st.dictionaries(_KEYS, _JSON, max_size=6))
def test_any_answer_is_read_to_texts(answer: dict[str, Any]) -> None:
    for text in (summary_text(answer), smart_notes_text(answer), transcript_text(read_segments(answer))):
        assert text is None or text.strip()
    number, total = read_page(answer)
    assert number >= 0
    assert total is None or total >= 0


@given(_JSON)
def test_any_stored_segments_are_read(segments: Any) -> None:
    assert transcript_text(segments) is None or isinstance(transcript_text(segments), str)
