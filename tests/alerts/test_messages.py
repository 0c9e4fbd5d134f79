"""How an alert is written."""

import json
from typing import Any

import pytest

from relay.alerts.conditions import Condition, Kind
from relay.alerts.decisions import Signal
from relay.alerts.messages import Message, build_message, encode
from relay.operations.languages import Language, Text
from tests.support.operations import NOW

HOSTILE = "<!channel> *bold* [x](http://evil.example) & \u202e name"


def message(
    text: str = "the sentence", kind: Kind = Kind.DESTINATION_PAUSED, signal: Signal = Signal.FIRING
) -> Message:
    condition = Condition(kind, "crm", True, Text(text, "la frase"))
    return build_message(
        "alert_1", condition, signal, Language.EN, at=NOW, url="https://relay.example.com/console"
    )


def encoded(format_: str, text: str = "the sentence", signal: Signal = Signal.FIRING) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(encode(message(text, signal=signal), format_))
    return found


def test_a_program_gets_all_fields() -> None:
    assert encoded("json") == {
        "type": "alert.firing",
        "timestamp": "2027-01-15T08:00:00Z",
        "data": {
            "kind": "destination_paused",
            "subject": "crm",
            "state": "firing",
            "title": "crm is paused",
            "message": "the sentence",
            "console_url": "https://relay.example.com/console",
        },
    }
    assert encoded("json", signal=Signal.RESOLVED)["data"]["title"] == "crm delivers again"


def test_slack_gets_blocks_that_are_plain_text() -> None:
    found = encoded("slack", HOSTILE)
    assert found["text"].startswith("🔴 crm is paused: &lt;!channel&gt; *bold*")
    blocks = [block["text"] if "text" in block else block["elements"][0] for block in found["blocks"]]
    assert [block["type"] for block in blocks] == ["plain_text"] * 3
    assert blocks[0]["text"] == "🔴 crm is paused"
    assert encoded("slack", signal=Signal.RESOLVED)["text"].startswith("🟢 crm delivers again")


def test_teams_gets_a_card_without_markdown() -> None:
    (attachment,) = encoded("teams", HOSTILE)["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert [part["type"] for part in card["body"]] == ["RichTextBlock", "RichTextBlock"]
    assert card["body"][0]["inlines"][0]["text"] == "🔴 crm is paused"
    assert card["actions"][0]["url"] == "https://relay.example.com/console"


@pytest.mark.parametrize("format_", ["json", "slack", "teams"])
def test_personal_data_is_masked_and_unprintable_characters_are_shown(format_: str) -> None:
    text = encode(message("contact anna@example.com, +34600111222 \u202e"), format_).decode()
    assert "anna@example.com" not in text
    assert "600111222" not in text
    assert "\u202e" not in text


def test_a_long_answer_of_a_crm_is_cut() -> None:
    assert len(message("word " * 1000).text) == 1501


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("language", list(Language))
def test_each_kind_has_a_title_in_both_languages(kind: Kind, language: Language) -> None:
    condition = Condition(kind, "crm", True, Text("a", "b"))
    found = build_message("1", condition, Signal.FIRING, language, at=NOW, url="")
    assert len(found.title) > 10


def test_a_program_gets_the_numbers_of_a_report() -> None:
    condition = Condition(Kind.AUDIT, "audit", True, Text("a", "b"), report=1, details={"calls": 3})
    written = build_message("alert_1", condition, Signal.FIRING, Language.EN, at=NOW, url="u")
    assert json.loads(encode(written, "json"))["data"]["audit"] == {"calls": 3}
