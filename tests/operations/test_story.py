"""The story of a call, from the ledger alone."""

import json
import time
from pathlib import Path
from typing import Any

from crm_clients.base import Rejected, Retry
from relay.call import Kind
from relay.instants import SECOND
from relay.operations import story_texts
from tests.support import causes
from tests.support.causes import UUID, Scene, scene
from tests.support.delivering import always, first_then


async def read_story(prepared: Scene, id_: str = "cloudtalk-1") -> list[dict[str, Any]]:
    result = await prepared.run("calls", "show", id_, "--log", "--json")
    assert result.exit_code == 0
    entries: list[dict[str, Any]] = json.loads(result.stdout)
    return entries


async def test_a_call_is_received_folded_refused_and_delivered(tmp_path: Path) -> None:
    async with scene(tmp_path) as prepared:
        prepared.relay.clock.now = causes.SUMMER
        prepared.relay.crm.answer = first_then(always(Rejected(code="22P05", message="no\nNUL")))
        await prepared.start_call()
        async with prepared.relay.worker():
            await prepared.relay.wait_for("dead")
            prepared.relay.clock.advance(60)
            await prepared.start_call(Kind.ENDED, started_at=causes.SUMMER - 5 * SECOND)
            await prepared.relay.wait_for("delivered")
        entries = await read_story(prepared)
    assert [entry["event"] for entry in entries] == [
        *("received", "folded", "refused"),
        *("received", "folded", "delivered"),
        "now",
    ]
    received, folded, refused, _, _, delivered, now = entries
    assert received == {
        "at": "2024-07-01T10:00:00.001Z",
        "event": "received",
        "text": "call.started (mission)",
        "event_seq": 1,
        "kind": "started",
        "dialect": "mission",
        "said_at": None,
        **dict.fromkeys(
            ("destination", "version", "outcome", "code", "message", "who", "duration_ms"),
        ),
    }
    assert folded["text"] == "event 1 is part of cloudtalk-1"
    assert refused["text"] == "crm: write of version 1, rejected (22P05: no NUL)"
    assert (refused["destination"], refused["version"], refused["code"], refused["message"]) == (
        *("crm", 1),
        *("22P05", "no\nNUL"),
    )
    assert refused["duration_ms"] >= 0
    assert (delivered["at"], delivered["text"]) == (
        "2024-07-01T10:01:00.002Z",
        "crm: write of version 2, accepted",
    )
    assert now["text"].startswith("In crm: it has the newest version (2) since 2024-07-01T10:01:00.002Z")


async def test_people_read_the_story_at_80_columns_in_their_zone(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    async with scene(tmp_path) as prepared:
        prepared.relay.clock.now = causes.SUMMER
        await causes.retried(prepared)
        shown = (await prepared.run("calls", "show", "1", "--log")).stdout
    assert max(map(len, shown.splitlines())) <= 80
    heading, received, *_ = shown.splitlines()
    assert heading.split() == ["at", "event", "what"]
    assert received.split() == ["2024-07-01", "12:00:00+02:00", "received", "call.started", "(mission)"]
    assert "failed    crm: write of version 1, retried later" in shown


async def test_a_pause_a_retraction_and_a_comparison_are_named(tmp_path: Path) -> None:
    async with scene(tmp_path) as prepared:
        await causes.unauthorised(prepared)
        assert [entry["event"] for entry in await read_story(prepared)][2:] == ["paused", "now"]
    (tmp_path / "2").mkdir()
    async with scene(tmp_path / "2") as prepared:
        await causes.delivered(prepared)
        await prepared.relay.replay("1")
        await prepared.deliver(until="delivered", rewrite=False)
        await prepared.start_call(Kind.ENDED, direction="internal")
        await prepared.deliver(until="retracted")
        events = [entry["event"] for entry in await read_story(prepared)]
        assert [event for event in events if event not in {"received", "folded", "now"}] == [
            *("delivered", "verified", "retracted"),
        ]


async def test_a_merge_and_the_pushes_of_the_merged_record_are_part_of_the_story(tmp_path: Path) -> None:
    async with scene(tmp_path) as prepared:
        await causes.merged(prepared)
        prepared.relay.crm.answer = always(Retry(code="503"))
        async with prepared.relay.worker():
            await prepared.relay.wait_for("retracted", "cloudtalk-42")
            await prepared.relay.wait_for("pending", f"cloudtalk-{UUID}", attempts=1)
        entries = await read_story(prepared, "42")
        merged = next(entry for entry in entries if entry["event"] == "merged")
        assert (merged["event_seq"], merged["text"]) == (
            3,
            "cloudtalk-42 was merged into this call, because event 3 names both",
        )


async def test_ids_that_one_event_links_are_named(tmp_path: Path) -> None:
    async with scene(tmp_path) as prepared:
        await causes.linked(prepared)
        entries = await read_story(prepared, UUID)
    linked = next(entry for entry in entries if entry["event"] == "linked")
    assert linked["text"] == f"event 2 states that 42, {UUID} are ids of one call"
    assert [entry["event"] for entry in entries] == [
        *("received", "received", "received", "folded", "folded"),
        *("linked", "folded", "now"),
    ]


async def test_an_unknown_call_has_no_story(tmp_path: Path) -> None:
    async with scene(tmp_path) as prepared:
        result = await prepared.run("calls", "show", "nobody", "--log")
        assert (result.exit_code, "No event of any call has arrived" in result.stderr) == (1, True)


async def test_each_push_is_shown_with_its_delivery(tmp_path: Path) -> None:
    async with scene(tmp_path) as prepared:
        await causes.retried(prepared)
        shown = json.loads((await prepared.run("calls", "show", "1", "--json")).stdout)
        (push,) = shown["deliveries"][0]["pushes"]
        assert (push["version"], push["action"], push["outcome"], push["code"]) == (
            1,
            "upsert",
            "retry",
            "503",
        )
        assert "\npushes\n" in (await prepared.run("calls", "show", "1")).stdout


async def test_what_a_person_did_is_part_of_the_story(tmp_path: Path) -> None:
    async with scene(tmp_path) as prepared:
        assert (await prepared.run("destinations", "pause", "crm")).exit_code == 0  # before the call
        prepared.relay.clock.now = time.time_ns() // 1_000
        await causes.rejected_after_pause(prepared)
        entries = await read_story(prepared)
    assert [(entry["who"], entry["text"]) for entry in entries if entry["event"] == "person"] == [
        ("cli", "crm: resumed (command line)"),
        ("cli", "crm: sent again (command line)"),
        ("cli", "crm: sent again (command line)"),
        ("cli", "crm: paused (command line)"),
        ("cli", "crm: sent again (command line)"),
    ]


def test_the_story_has_the_same_facts_in_spanish() -> None:
    pushed = story_texts.PUSHED.fill(
        destination="crm",
        action=story_texts.word("retract"),
        version=2,
        whose=story_texts.OF_CALL.fill(call="cloudtalk-1"),
        outcome=story_texts.word("of-a-plug-in"),
        answer=story_texts.ANSWER.fill(words="503: {down}"),
    )
    assert pushed.en == "crm: removal of version 2 of cloudtalk-1, of-a-plug-in (503: {down})"
    assert pushed.es == "crm: retirada de la versión 2 de cloudtalk-1, of-a-plug-in («503: {down}»)"


def test_who_did_something_is_named_in_words() -> None:
    names = [story_texts.describe_who(who) for who in ("cli", "nightly audit", "165e989c")]
    assert [(name.en, name.es) for name in names] == [
        ("command line", "línea de comandos"),
        ("audit of the night", "auditoría de la noche"),
        ("session 165e989c of the console", "sesión 165e989c de la consola"),
    ]
