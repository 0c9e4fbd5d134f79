"""The texts in the answers of CloudTalk's Conversation Intelligence. Pure, and raises nothing.

Source: CloudTalk's OpenAPI description 1.7. A summary is `{callId, summary}`. A page of a transcription is
`{data: {segments: [{start, end, caller, text}], callers: [{type, id, localIdentifier}], language},
pagination: {limit, offset, total}}`. Smart notes are `{callId, smartNotes: {callDetails, actionItems, …}}`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from relay.cloudtalk.errors import InvalidValue
from relay.cloudtalk.values import parse_display_text, parse_lines

_SPEAKERS: Final = {"agent": "Agent", "contact": "Customer"}
_FIRST: Final = ("actionItems", "decisionsMade", "openQuestions", "importantDatesAndDeadlines")
"""The sections that people look for first."""

_DETAILS: Final = "callDetails"
_CAPITAL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_MOST_ITEMS: Final = 200
_MOST_SECTIONS: Final = 20
_LONGEST_HEADING: Final = 60

Segments = list[list[str]]
"""What was said, in its order: who spoke (`Agent`, `Customer` or ""), and the text."""


def summary_text(answer: Mapping[str, Any]) -> str | None:
    """Return the summary; None if it is missing or empty."""
    return _text(answer.get("summary"))


def read_segments(page: Mapping[str, Any]) -> Segments:
    """Return what a page of a transcription says."""
    data = page.get("data")
    data = data if isinstance(data, dict) else page
    speakers = dict(_speakers(data.get("callers")))
    segments = data.get("segments")
    found = []
    for segment in segments if isinstance(segments, list) else ():
        text = _text(segment.get("text")) if isinstance(segment, dict) else None
        if text:
            found.append([speakers.get(str(segment.get("caller")), ""), text])
    return found


def read_page(page: Mapping[str, Any]) -> tuple[int, int | None]:
    """Return how many segments a page has, the empty ones too, and how many there are; None if unknown."""
    data, pagination = page.get("data"), page.get("pagination")
    segments = data.get("segments") if isinstance(data, dict) else None
    total = pagination.get("total") if isinstance(pagination, dict) else None
    is_count = isinstance(total, int) and not isinstance(total, bool) and total >= 0
    return len(segments) if isinstance(segments, list) else 0, total if is_count else None


def transcript_text(segments: Any) -> str | None:
    """Return one line for each turn of a speaker; None if nobody said anything. `segments`: `Segments`."""
    lines: list[str] = []
    last: str | None = None
    for segment in segments if isinstance(segments, list) else ():
        match segment:
            case [str(speaker), str(text)] if speaker and speaker == last:
                lines[-1] += f" {text}"
            case [str(speaker), str(text)]:
                lines.append(f"{speaker}: {text}" if speaker else text)
                last = speaker
    return "\n".join(lines) or None


def smart_notes_text(answer: Mapping[str, Any]) -> str | None:
    """Return the notes with a heading above each section; None if there are none."""
    notes = answer.get("smartNotes")
    if not isinstance(notes, dict):
        return None
    details = notes.get(_DETAILS)
    about = _text(details.get("callMetadata")) if isinstance(details, dict) else None
    known = [key for key in _FIRST if key in notes]
    others = [key for key in notes if key not in _FIRST and key != _DETAILS]
    sections = [] if about is None else [about]
    for key in (*known, *others)[:_MOST_SECTIONS]:
        items = list(_items(notes[key]))[:_MOST_ITEMS]
        if items:
            sections.append("\n".join([f"{_heading(key)}:", *(f"- {item}" for item in items)]))
    return "\n".join(sections) or None


def _speakers(callers: Any) -> Iterator[tuple[str, str]]:
    for caller in callers if isinstance(callers, list) else ():
        if isinstance(caller, dict):
            yield str(caller.get("localIdentifier")), _SPEAKERS.get(str(caller.get("type")), "")


def _items(value: Any) -> Iterator[str]:
    """Yield the texts of a section. An event with a date has both in one line."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict) and "eventDescription" in item:
            parts = [_text(item.get(key)) for key in ("dateMention", "eventDescription")]
            text = ": ".join(part for part in parts if part)
        else:
            text = _text(item) or ""
        if text:
            yield " ".join(text.split("\n"))


def _heading(key: str) -> str:
    """Return the heading of a section: `openQuestions` becomes "Open questions"."""
    return _CAPITAL.sub(" ", key).replace("_", " ").strip()[:_LONGEST_HEADING].capitalize()


def _text(value: Any) -> str | None:
    """Return the texts in a value. One that looks like a template of a webhook is text here."""
    try:
        return parse_lines(value)
    except InvalidValue:
        return value.strip() or None if isinstance(value, str) else _safe_text(value)


def _safe_text(value: Any) -> str | None:
    """Return the readable texts of a list of which one is not."""
    texts = []
    for item in value if isinstance(value, list) else ():
        try:
            text = parse_display_text(item)
        except InvalidValue:
            text = item.strip() if isinstance(item, str) else None
        if text:
            texts.append(text)
    return "\n".join(texts) or None
