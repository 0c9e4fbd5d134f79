"""The texts of an event are limited, so that the state of a call is limited whatever events arrive."""

import json
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from relay.call import CallEvent, CallState, build_record, join_event
from relay.cloudtalk.keys import KEYS
from relay.cloudtalk.parser import Parser
from relay.cloudtalk.request import RawRequest
from relay.instants import Instant
from tests.support.samples import RECEIVED_AT

PARSER = Parser(ZoneInfo("Europe/Madrid"), "ES")
TEXTS = {fact for fact in KEYS if fact.partition("_")[2] != "id" and fact != "call_uuid"}
LONG_TEXTS = {"notes", "transcript", "summary"}


def parse(body: dict[str, Any]) -> CallEvent:
    parsed = PARSER.parse(RawRequest(json.dumps(body).encode(), content_type="application/json"))
    assert isinstance(parsed, list)
    return parsed[0]


def workflow(**facts: Any) -> dict[str, Any]:
    return {"event": "call.ended", "call_uuid": "g1", "talking_time": 5} | facts


def mission(**facts: Any) -> dict[str, Any]:
    return {"event": "call.ended", "data": {"id": "g1", "direction": "inbound"} | facts}


def fold(bodies: list[dict[str, Any]]) -> CallState:
    state: CallState | None = None
    for seq, body in enumerate(bodies, 1):
        state = join_event(state, parse(body), seq=seq, received_at=Instant(RECEIVED_AT + seq))
    assert state is not None
    return state


def size_of(state: CallState) -> int:
    """The size of a state without its data, which has limits of its own."""
    return len(msgspec.json.encode(msgspec.structs.replace(state, data={}, large_data={})))


# --- the state ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["N", "https://x.example/é,"])
def test_the_state_is_limited_however_long_each_fact_of_many_agents_is(text: str) -> None:
    for fact in TEXTS - LONG_TEXTS:
        key = KEYS[fact].split()[0]
        bodies = [workflow(agent_id=str(n), **{key: f"{text}{n}" * 500}) for n in range(20)]
        assert size_of(fold(bodies)) < 60_000, fact


def test_the_state_is_limited_if_all_long_texts_are_used() -> None:
    bodies = [workflow(agent_id=n, **dict.fromkeys(LONG_TEXTS, f"{n}" * 300_000)) for n in range(5)]
    assert size_of(fold(bodies)) < 500_000


def test_the_mission_has_the_same_limits() -> None:
    names = {"contact_name": "é" * 9_000, "agent_name": "ñ" * 9_000, "agent_email": "x" * 9_000}
    state = fold([mission(agent_id=str(n), **names, tags=["t" * 9_000]) for n in range(20)])
    assert size_of(state) < 60_000
    assert state.fact("contact_name") == "é" * 199 + "…"


# --- one fact -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fact", "sent", "expected"),
    [
        ("contact_name", "x" * 200, "x" * 200),
        ("contact_name", "x" * 201, "x" * 199 + "…"),
        ("contact_name", "x" * 190 + " " * 9 + "x" * 9, "x" * 190 + "…"),
        ("agent_name", "漢" * 5_000, "漢" * 199 + "…"),
        ("agent_email", "a" * 320, "a" * 320),
        ("agent_email", "a" * 321, None),
        ("recording_url", "https://x.example/" + "a" * 4_078, "https://x.example/" + "a" * 4_078),
        ("recording_url", "https://x.example/" + "a" * 4_079, None),
        ("notes", "n" * 131_072, "n" * 131_072),
        ("notes", "n" * 131_073, "n" * 131_071 + "…"),
        ("transcript", "n" * 131_073, "n" * 131_071 + "…"),
        ("summary", "n" * 900_000, "n" * 131_071 + "…"),
        ("tags", ["t" * 200] * 3, ["t" * 200]),
        ("tags", ["t" * 201, "t" * 300], ["t" * 199 + "…"]),
        ("tags", [str(n) for n in range(100)], [str(n) for n in range(100)]),
        ("tags", ["t" * 200, "u" * 201], ["t" * 200, "u" * 199 + "…"]),
        ("tags", ["a", "t" * 201, "b"], ["a", "t" * 199 + "…", "b"]),
        ("tags", [str(n) for n in range(101)], [str(n) for n in range(100)]),
        ("tags", ",".join(str(n) for n in range(9_000)), [str(n) for n in range(100)]),
    ],
)
def test_a_text_has_at_most_its_length_and_a_warning_says_so(fact: str, sent: Any, expected: Any) -> None:
    for body in (workflow, mission):
        event = parse(body(**{fact: sent}))
        assert event.fact(fact) == expected
        is_whole = expected in (sent, ["t" * 200])
        assert [warning.partition(":")[0] for warning in event.warnings] == ([] if is_whole else [fact])


def test_the_first_and_the_last_name_of_an_agent_have_one_limit_together() -> None:
    event = parse(workflow(agent_first_name="A" * 150, agent_last_name="B" * 150))
    assert event.fact("agent_name") == "A" * 150 + " " + "B" * 48 + "…"


def test_the_transcript_of_an_hour_is_kept_whole() -> None:
    segments = [
        {"speaker": "agent", "text": f"{n} and some more words in this sentence."} for n in range(1_500)
    ]
    record = build_record(fold([workflow(transcript=segments)]), id="cloudtalk-g1", version=1)
    assert record.transcript == "\n".join(segment["text"] for segment in segments)
    assert len(record.transcript) > 60_000
