"""Limits of the texts among the facts of an event: the record of a call repeats them in each of its legs.

The relay keeps what a limit removes: the body is in the journal, and its values are in the call's data.
"""

from collections.abc import MutableMapping
from typing import Any, Final

CUT_MARK: Final = "…"
"""The last character of a text that was cut."""

LONGEST_NAME: Final = 200
LONGEST_EMAIL: Final = 320
LONGEST_ADDRESS: Final = 4_096
LONGEST_TEXT: Final = 131_072
"""Two hours of conversation have about 120,000 characters."""

LONGEST_TAG: Final = 200
MOST_TAGS: Final = 100

_CUT: Final = {
    **dict.fromkeys(("contact_name", "agent_name", "resolved_by", "missed_reason"), LONGEST_NAME),
    **dict.fromkeys(("notes", "transcript", "summary", "smart_notes"), LONGEST_TEXT),
}
_LEFT_OUT: Final = {"agent_email": LONGEST_EMAIL, "recording_url": LONGEST_ADDRESS}
"""A part of an address is another address, so a longer one is no fact at all."""

_LONGEST: Final = _CUT | _LEFT_OUT
_SHORTEST_LIMIT: Final = min(_LONGEST.values())


def limit_texts(facts: MutableMapping[str, Any]) -> list[str]:
    """Cut the facts that are too long, or remove them, and return a warning for each.

    Ids and numbers have limits in `values`.
    """
    warnings = []
    for fact, longest in _find_too_long(facts):
        if fact in _CUT:
            facts[fact] = _cut(facts[fact], longest)
            warnings.append(f"{fact}: cut to {longest} characters")
        else:
            del facts[fact]
            warnings.append(f"{fact}: expected at most {longest} characters")
    tags = facts.get("tags", ())
    if len(tags) > MOST_TAGS or max(map(len, tags), default=0) > LONGEST_TAG:
        facts["tags"] = _limit_tags(tags)
        warnings.append(f"tags: cut to {MOST_TAGS} tags of {LONGEST_TAG} characters")
    return warnings


def _find_too_long(facts: MutableMapping[str, Any]) -> list[tuple[str, int]]:
    return [
        (fact, _LONGEST[fact])
        for fact, value in facts.items()
        if type(value) is str and len(value) > _SHORTEST_LIMIT and len(value) > _LONGEST.get(fact, len(value))
    ]


def _limit_tags(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(_cut(tag, LONGEST_TAG) for tag in tags[:MOST_TAGS]))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + CUT_MARK
