"""From "a call is missing" to its reason: one command for each cause, and the sentence in both languages."""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from crm_clients.base import Rejected
from relay.call import Kind
from relay.ledger import quarantine
from relay.ledger.connection import Connection
from relay.ledger.quarantine import NewQuarantinedBody
from relay.operations.calls import CallView, find_call, view_call
from relay.operations.explanation import Situation, situation_of
from relay.operations.explanation_texts import Cause
from relay.operations.languages import Language
from relay.operations.missing_calls import explain_missing_call
from relay.operations.status import list_destinations
from relay.settings import load
from tests.support import causes
from tests.support.cause_cases import CALLS, DELIVERIES, MISSING, Case
from tests.support.causes import UUID, Scene, scene

ROOT = Path(__file__).parents[2]


def in_spanish(prepared: Scene) -> Situation:
    return situation_of(load(prepared.home.path), prepared.relay.ledger.now(), language=Language.ES)


async def read_view(prepared: Scene) -> CallView:
    """Return what the console shows of the call in Spanish."""

    def read(connection: Connection) -> CallView:
        call = find_call(connection, "cloudtalk-1")
        assert call is not None
        return view_call(connection, call, in_spanish(prepared))

    return await prepared.relay.ledger.read(read)


def assert_parts(text: str, parts: tuple[str, ...]) -> None:
    assert [part for part in parts if part not in text] == [], text


@pytest.mark.parametrize("case", DELIVERIES, ids=lambda case: f"{case.cause}-{case.prepare.__name__}")
async def test_one_command_explains_a_delivery(tmp_path: Path, case: Case) -> None:
    async with scene(tmp_path) as prepared:
        await case.prepare(prepared)
        if case.served:
            await prepared.serve()
        shown = json.loads((await prepared.run("calls", "show", "cloudtalk-1", "--json")).stdout)
        (delivery,) = shown["deliveries"]
        assert delivery["explanation_code"] == case.cause
        assert_parts(delivery["explanation"], case.english)
        view = await read_view(prepared)
        assert_parts(view.deliveries[0].explanation, case.spanish)


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.cause)
async def test_one_command_explains_a_destination_without_a_delivery(tmp_path: Path, case: Case) -> None:
    async with scene(tmp_path) as prepared:
        await case.prepare(prepared)
        shown = json.loads((await prepared.run("calls", "show", "cloudtalk-1", "--json")).stdout)
        (explanation,) = shown["explanations"]
        assert explanation["code"] == case.cause
        assert_parts(explanation["text"], case.english)
        view = await read_view(prepared)
        assert_parts(view.explanations[0].text, case.spanish)
        assert explanation["text"] in (await prepared.run("calls", "show", "cloudtalk-1")).stdout


@pytest.mark.parametrize("case", MISSING, ids=lambda case: case.cause)
async def test_one_command_explains_an_id_without_a_call(tmp_path: Path, case: Case) -> None:
    async with scene(tmp_path) as prepared:
        await case.prepare(prepared)
        result = await prepared.run("calls", "show", "42")
        assert (result.exit_code, result.stdout) == (1, "")
        assert_parts(result.stderr, ("no call has the id 42", *case.english))
        found = await prepared.relay.ledger.read(
            partial(explain_missing_call, id_="42", situation=in_spanish(prepared))
        )
        assert found.code == case.cause
        assert_parts(found.text.es, case.spanish)


@pytest.mark.parametrize(("most", "cause"), [(20, "unknown_id"), (21, "quarantined")])
async def test_bodies_in_quarantine_are_searched_up_to_a_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, cause: str
) -> None:
    monkeypatch.setattr("relay.operations.missing_calls._MOST_BYTES", most)
    monkeypatch.setattr("relay.operations.missing_calls._PORTION", 1)
    async with scene(tmp_path) as prepared:
        for raw in (b"42", b"x" * 10, b"x" * 10):  # oldest first
            body = NewQuarantinedBody(prepared.relay.ledger.now(), "not_json", "", "", "", "", "", raw)
            await prepared.relay.ledger.write(partial(quarantine.add, body=body))
        found = await prepared.relay.ledger.read(
            partial(explain_missing_call, id_="42", situation=in_spanish(prepared))
        )
        assert found.code == cause


@pytest.mark.parametrize("wanted", ["cloudtalk-1", "1"])
async def test_a_call_that_retention_deleted_is_explained(tmp_path: Path, wanted: str) -> None:
    async with scene(tmp_path) as prepared:
        await causes.pruned(prepared)
        result = await prepared.run("calls", "show", wanted)
        assert (result.exit_code, f"Retention deleted {wanted} at 20" in result.stderr) == (1, True)


async def test_a_call_that_retention_deleted_and_a_late_event_continued_is_explained(tmp_path: Path) -> None:
    async with scene(tmp_path) as prepared:
        await causes.pruned(prepared)
        await prepared.start_call(summary="late")
        prepared.home.write_settings(causes.TWO)
        shown = json.loads((await prepared.run("calls", "show", "cloudtalk-1", "--json")).stdout)
        assert [found["code"] for found in shown["explanations"]] == ["continued"]
        assert "only late events of it are known" in shown["explanations"][0]["text"]


async def test_the_id_of_a_merged_call_shows_the_call_that_it_was_merged_into(tmp_path: Path) -> None:
    async with scene(tmp_path) as prepared:
        await causes.merged(prepared)
        shown = json.loads((await prepared.run("calls", "show", "cloudtalk-42", "--json")).stdout)
        assert shown["id"] == f"cloudtalk-{UUID}"
        (explanation,) = shown["explanations"]
        assert explanation == {
            "code": "merged",
            "text": f"cloudtalk-42 was merged into cloudtalk-{UUID}, which is shown",
        }


async def test_people_see_times_in_the_zone_of_the_settings_and_programs_in_utc(tmp_path: Path) -> None:
    async with scene(tmp_path) as prepared:
        prepared.relay.clock.now = causes.SUMMER
        await causes.delivered(prepared)
        people = (await prepared.run("calls", "show", "cloudtalk-1")).stdout
        assert "it has the newest version (1) since 2024-07-01 12:00:00+02:00" in people
        programs = (await prepared.run("calls", "show", "cloudtalk-1", "--json")).stdout
        assert "since 2024-07-01T10:00:00" in programs


async def test_the_sentence_is_shown_wherever_a_destination_or_a_dead_letter_is(tmp_path: Path) -> None:
    async with scene(tmp_path) as prepared:
        await causes.rejected(prepared)
        for command in ("dead list", "dead show cloudtalk-1"):
            shown = json.loads((await prepared.run(*command.split(), "--json")).stdout)
            (dead_letter,) = shown if isinstance(shown, list) else shown["dead_letters"]
            assert dead_letter["explanation_code"] == "rejected"
            assert_parts(
                dead_letter["explanation"], ("crm rejected the record", "`relay dead replay cloudtalk-1`")
            )
        for command in ("status", "destinations list"):
            shown = json.loads((await prepared.run(*command.split(), "--json")).stdout)
            (crm,) = shown if isinstance(shown, list) else shown["destinations"]
            assert crm["explanation_code"] == "no_relay"
            assert crm["explanation"] in (await prepared.run(*command.split())).stdout


async def test_a_delivery_of_which_the_crm_refused_a_part_is_explained(tmp_path: Path) -> None:
    async with scene(tmp_path) as prepared:
        await causes.delivered_partly(prepared)
        shown = json.loads((await prepared.run("calls", "show", "cloudtalk-1", "--json")).stdout)
        assert_parts(
            shown["deliveries"][0]["explanation"],
            ("In crm, but not all of it: at 20", "crm refused a part (no_contact: two contacts)"),
        )


async def test_a_record_that_is_to_be_removed_is_explained_as_still_there(tmp_path: Path) -> None:
    async with scene(tmp_path) as prepared:
        await causes.delivered(prepared)
        await prepared.start_call(Kind.ENDED, direction="internal")
        shown = json.loads((await prepared.run("calls", "show", "cloudtalk-1", "--json")).stdout)
        assert_parts(
            shown["deliveries"][0]["explanation"], ("Still in crm, and to be removed there: no relay",)
        )


async def test_a_replayed_record_is_explained_as_to_be_compared(tmp_path: Path) -> None:
    async with scene(tmp_path) as prepared:
        await causes.delivered(prepared)
        await prepared.relay.replay("1")
        await prepared.serve()
        shown = json.loads((await prepared.run("calls", "show", "cloudtalk-1", "--json")).stdout)
        assert_parts(shown["deliveries"][0]["explanation"], ("In crm, and to be compared again: the relay",))


@pytest.mark.parametrize(
    ("prepare", "code", "english", "spanish"),
    [
        (causes.nothing, "nothing_yet", "crm has got no call yet", "crm aún no ha recibido llamadas"),
        (causes.delivered, "up_to_date", "crm has all its calls (1)", "crm tiene todas sus llamadas (1)"),
        (causes.rejected, "dead_letters", "crm takes calls, but 1 failed for good", "pero 1 fallaron"),
        (
            causes.pending,
            "being_delivered",
            "crm has 1 calls pending: the relay",
            "crm tiene 1 llamadas pendientes",
        ),
        (
            causes.unauthorised,
            "unauthorised",
            "to crm (1 pending): crm refuses",
            "a crm (1 pendientes): crm",
        ),
        (causes.disabled, "disabled", "destinations.crm.enabled = true", "está desactivado"),
    ],
)
async def test_a_destination_is_explained(
    tmp_path: Path, prepare: Callable[[Scene], Awaitable[None]], code: str, english: str, spanish: str
) -> None:
    async with scene(tmp_path) as prepared:
        await prepare(prepared)
        await prepared.serve()
        (crm,) = json.loads((await prepared.run("destinations", "list", "--json")).stdout)
        assert (crm["explanation_code"], english in crm["explanation"]) == (code, True)
        (shown,) = await prepared.relay.ledger.read(
            partial(list_destinations, situation=in_spanish(prepared))
        )
        assert spanish in shown.explanation


@pytest.mark.parametrize(
    ("when", "facts", "english"),
    [
        ({"statuses": ["missed"]}, {}, "its status is completed and when.statuses has only missed"),
        (
            {"own_numbers": ["+34910000000"]},
            {},
            "the company's number is unknown and when.own_numbers has only +34910000000",
        ),
        ({"minimum_seconds": 10}, {"duration": 3}, "it has 3 seconds and when.minimum_seconds is 10"),
    ],
)
async def test_the_condition_of_the_filter_is_named(
    tmp_path: Path, when: dict[str, Any], facts: dict[str, Any], english: str
) -> None:
    async with scene(tmp_path) as prepared:
        prepared.filter(**when)
        await prepared.start_call(Kind.ENDED, **facts)
        shown = json.loads((await prepared.run("calls", "show", "cloudtalk-1", "--json")).stdout)
        assert english in shown["deliveries"][0]["explanation"]


async def test_a_long_message_of_a_crm_is_cropped(tmp_path: Path) -> None:
    async with scene(tmp_path) as prepared:
        await prepared.start_call()
        await prepared.deliver(Rejected(code="500", message="x" * 5_000), until="dead")
        shown = json.loads((await prepared.run("calls", "show", "cloudtalk-1", "--json")).stdout)
        assert f"(500: {'x' * 194}…)" in shown["deliveries"][0]["explanation"]


def test_every_cause_has_a_case() -> None:
    elsewhere = {"delivered_partly", "merged", "pruned", "continued"}  # below, or in a test of its own
    of_destinations = {"dead_letters", "up_to_date", "nothing_yet"}
    cases = {case.cause for case in (*DELIVERIES, *CALLS, *MISSING)}
    assert cases | elsewhere | of_destinations == set(Cause)
    assert len(cases) >= 20


def test_every_code_is_documented() -> None:
    documented = (ROOT / "docs" / "operations.md").read_text()
    assert [cause for cause in Cause if f"`{cause}`" not in documented] == []
