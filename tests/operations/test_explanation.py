"""From "a call is missing" to its reason: one command for each cause, and the sentence in both languages."""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from crm_clients.base import Rejected
from crm_clients.settings import DestinationSettings
from relay.call import Kind, Status
from relay.instants import SECOND, Duration, Instant
from relay.ledger import quarantine
from relay.ledger.connection import Connection
from relay.ledger.deliveries import DeliveryCounts, DeliveryRow
from relay.ledger.destinations import DestinationRow
from relay.ledger.quarantine import NewQuarantinedBody
from relay.ledger.states import DeliveryState
from relay.operations.calls import CallView, find_call, view_call
from relay.operations.explanation import Situation, explain_delivery, explain_destination, situation_of
from relay.operations.explanation_texts import Cause
from relay.operations.languages import Language
from relay.operations.missing_calls import explain_missing_call
from relay.operations.status import list_destinations
from relay.settings import load
from tests.support import causes
from tests.support.cause_cases import CALLS, DELIVERIES, MISSING, Case
from tests.support.causes import UUID, Scene, scene
from tests.support.samples import make_call

ROOT = Path(__file__).parents[2]


NOW = Instant(1_800_000_000 * SECOND)  # 2027-01-15T08:00:00Z
LATER = Instant(NOW + 90 * SECOND)
CRM = DestinationRow("crm", "local", None, None, None, None, None, None)
NO_RELAY = "no relay is running, so start one (`relay serve`)"


def _settings(**changes: Any) -> DestinationSettings:
    return DestinationSettings.model_validate({"client": "fake", **changes})


def _pending(**changes: Any) -> DeliveryRow:
    """A delivery that was never attempted, in version 2."""
    row = DeliveryRow(
        destination="crm",
        call="c",
        state=DeliveryState.PENDING,
        version=2,
        delivered_version=0,
        first_delivered_at=None,
        pending_since=NOW,
        due_at=NOW,
        attempts=0,
        attempted_at=None,
        failing_for=Duration(0),
        remote_id=None,
        outcome=None,
        code=None,
        message=None,
        not_before=None,
    )
    return msgspec.structs.replace(row, **changes)


_HELD = {"due_at": LATER, "not_before": LATER, "pending_since": LATER}
_FAILED = {
    "outcome": "retry",
    "due_at": LATER,
    "attempts": 3,
    "attempted_at": NOW,
    "code": "503",
    "message": "it is down",
}
_FILTER = {"when": {"directions": ["inbound"]}}


@pytest.mark.parametrize(
    ("delivery", "record", "pause", "settings", "code", "sentence"),
    [
        ({}, {}, {}, None, "orphaned", "Not in crm yet: the settings no longer have crm, so nothing is"),
        ({}, {}, {}, {"enabled": False}, "disabled", "Not in crm yet: crm is disabled in the settings"),
        ({}, {}, {"paused_reason": "paused"}, {}, "paused", "Not in crm yet: a person paused crm, until"),
        (
            _FAILED,
            {},
            {
                "paused_reason": "unauthorised",
                "paused_until": LATER,
                "paused_code": "401",
                "paused_message": "no\n  such   key",
            },
            {},
            "unauthorised",
            (
                "Not in crm yet: crm refuses the credentials (401: no such key); correct them in the"
                " settings; the relay tries again at 2027-01-15T08:01:30Z"
            ),
        ),
        (
            {"delivered_version": 1},
            {},
            {"paused_reason": "failing", "paused_until": NOW},
            {},
            "failing",
            (
                "crm has version 1 of the call, and not version 2 yet: crm is down or cannot be reached"
                " (without details); the relay tries again now"
            ),
        ),
        ({}, {"merged_into": "d"}, {}, {}, "merged", "Not in crm yet: the call was merged into d, and crm"),
        ({}, {"direction": "internal"}, {}, {}, "internal", "Not in crm yet: the call is internal,"),
        (
            {"delivered_version": 1},
            {"direction": "internal"},
            {},
            {},
            "being_delivered",
            "Still in crm, and to be removed there: the relay is sending it now",
        ),
        (
            {},
            {"direction": "outbound"},
            {},
            _FILTER,
            "filtered",
            (
                "Not in crm yet: the filter of crm excludes the call, since its direction is outbound and"
                " when.directions has only inbound; after"
            ),
        ),
        (
            {"outcome": "retry"},
            {"direction": "outbound"},
            {},
            _FILTER,
            "being_delivered",
            "Not in crm yet: the relay is sending it now",
        ),
        (
            {},
            {"direction": None},
            {},
            {"when": {"directions": ["inbound", "outbound"]}},
            "filtered",
            (
                "Not in crm yet: the filter of crm excludes the call, since its direction is unknown and"
                " when.directions has only inbound, outbound; after"
            ),
        ),
        (
            _HELD,
            {"status": Status.ANSWERED},
            {},
            {},
            "incomplete",
            (
                "Not in crm yet: waiting until the call is complete (destinations.crm.update); it is not"
                " over, and the relay sends it without its end only after 30 hours without an event"
            ),
        ),
        (
            _HELD,
            {"status": Status.COMPLETED},
            {},
            {},
            "incomplete",
            (
                "Not in crm yet: waiting until the call is complete (destinations.crm.update); its recording"
                " and notes may still arrive, and the relay looks again at 2027-01-15T08:01:30Z"
            ),
        ),
        (
            dict.fromkeys(_HELD, NOW),
            {},
            {},
            {},
            "being_delivered",
            "Not in crm yet: the relay is sending it now",
        ),
        ({"due_at": LATER}, {}, {}, {}, "being_delivered", "Not in crm yet: the relay is sending it now"),
        (
            _FAILED,
            {},
            {},
            {},
            "retry_scheduled",
            (
                "Not in crm yet: attempt 3 failed (503: it is down); the relay tries again at"
                " 2027-01-15T08:01:30Z"
            ),
        ),
        (_FAILED | {"due_at": NOW}, {}, {}, {}, "being_delivered", "Not in crm yet: the relay is sending it"),
        (
            _FAILED | {"outcome": "throttled", "message": None, "code": None},
            {},
            {},
            {},
            "rate_limited",
            "Not in crm yet: this call needs a rate limit of crm that is used up (throttled); the relay",
        ),
        (
            {"delivered_version": 2},
            {},
            {},
            {},
            "being_delivered",
            "In crm, and to be compared again: the relay is sending it now",
        ),
        (
            {"state": DeliveryState.DELIVERED, "delivered_version": 2, "attempted_at": NOW},
            {},
            {},
            {},
            "delivered",
            "In crm: it has the newest version (2) since 2027-01-15T08:00:00Z",
        ),
        (
            {"state": DeliveryState.DELIVERED, "delivered_version": 1},
            {},
            {},
            {"update": "never"},
            "not_updated",
            (
                "In crm as version 1: crm is never updated after its first write (destinations.crm.update),"
                " so version 2 is not written"
            ),
        ),
        (
            _FAILED | {"state": DeliveryState.DEAD, "outcome": "rejected", "delivered_version": 1},
            {},
            {},
            {},
            "rejected",
            (
                "crm has version 1 of the call, and not version 2 yet: crm rejected the record at"
                " 2027-01-15T08:00:00Z (503: it is down); correct the cause"
            ),
        ),
        (
            _FAILED | {"state": DeliveryState.DEAD},
            {},
            {},
            {},
            "gave_up",
            "Not in crm: the relay gave up at 2027-01-15T08:00:00Z after 3 attempts, while crm accepted",
        ),
        (_FAILED | {"state": DeliveryState.DROPPED}, {}, {}, {}, "dropped", "Not in crm: a person dropped"),
        (
            {"state": DeliveryState.RETRACTED, "outcome": "retracted"},
            {"direction": "internal"},
            {},
            {},
            "retracted",
            "Not in crm: the relay removed the record",
        ),
        (
            {"state": DeliveryState.RETRACTED, "outcome": "retracted"},
            {"merged_into": "d"},
            {},
            {},
            "merged",
            "Not in crm: the call was merged into d",
        ),
        (
            {"state": DeliveryState.FILTERED},
            {"direction": "outbound", "status": Status.COMPLETED},
            {},
            _FILTER,
            "filtered",
            "Not in crm: the filter of crm excludes the call",
        ),
        (
            {"state": DeliveryState.FILTERED},
            {"direction": "outbound", "status": Status.IN_PROGRESS},
            {},
            _FILTER,
            "filtered",
            "Not in crm yet: the filter of crm excludes the call",
        ),
        (
            {"state": DeliveryState.FILTERED},
            {"status": Status.COMPLETED},
            {},
            {},
            "filter_changed",
            "Not in crm: earlier settings excluded the call",
        ),
        (
            {"state": DeliveryState.FILTERED},
            {"status": Status.COMPLETED},
            {},
            None,
            "filter_changed",
            "Not in crm: earlier settings excluded the call",
        ),
    ],
)
def test_a_delivery_is_explained_by_its_row(
    delivery: dict[str, Any],
    record: dict[str, Any],
    pause: dict[str, Any],
    settings: dict[str, Any] | None,
    code: str,
    sentence: str,
) -> None:
    found = explain_delivery(
        _pending(**delivery),
        msgspec.structs.replace(make_call(), **record),
        msgspec.structs.replace(CRM, **pause),
        Situation({} if settings is None else {"crm": _settings(**settings)}, NOW),
        is_served=True,
    )
    assert (found.code, found.text.en[: len(sentence)]) == (code, sentence)


@pytest.mark.parametrize(
    ("delivery", "pause", "code", "reason"),
    [
        ({}, {}, "no_relay", "Not in crm yet: " + NO_RELAY),
        (_HELD, {}, "no_relay", "Not in crm yet: " + NO_RELAY),
        ({}, {"paused_reason": "failing"}, "failing", f"reached (without details); {NO_RELAY}"),
    ],
)
def test_a_delivery_that_no_relay_makes_is_explained(
    delivery: dict[str, Any], pause: dict[str, Any], code: str, reason: str
) -> None:
    found = explain_delivery(
        _pending(**delivery),
        make_call(),
        msgspec.structs.replace(CRM, **pause),
        Situation({"crm": _settings()}, NOW),
        is_served=False,
    )
    assert (found.code, found.text.en[-len(reason) :]) == (code, reason)


@pytest.mark.parametrize(
    ("counts", "served", "pause", "code", "sentence"),
    [
        ({"pending": 2}, False, {}, "no_relay", f"Nothing is sent to crm (2 pending): {NO_RELAY}"),
        ({"dead": 3, "pending": 2}, True, {}, "dead_letters", "crm takes calls, but 3 failed for good"),
        ({"pending": 2}, True, {}, "being_delivered", "crm has 2 calls pending: the relay sends them"),
        (
            {"pending": 2, "held": 2, "oldest_pending_since": LATER},
            True,
            {},
            "incomplete",
            "crm has 2 calls pending, which all wait until they are complete",
        ),
        ({"pending": 2, "held": 1, "oldest_pending_since": LATER}, True, {}, "being_delivered", "crm has 2"),
        ({"pending": 2, "held": 2, "oldest_pending_since": NOW}, True, {}, "being_delivered", "crm has 2"),
        ({"delivered": 5}, True, {}, "up_to_date", "crm has all its calls (5)"),
        ({}, True, {}, "nothing_yet", "crm has got no call yet"),
        (
            {"dead": 3},
            True,
            {"paused_reason": "failing", "paused_until": LATER, "paused_message": "x" * 201},
            "failing",
            (
                f"Nothing is sent to crm (0 pending): crm is down or cannot be reached ({'x' * 199}…); the"
                " relay tries again at 2027-01-15T08:01:30Z"
            ),
        ),
        (
            {},
            True,
            {"paused_reason": "failing", "paused_code": "x" * 200},
            "failing",
            (
                f"Nothing is sent to crm (0 pending): crm is down or cannot be reached ({'x' * 200}); the"
                " relay tries again now"
            ),
        ),
    ],
)
def test_a_destination_is_explained_by_its_numbers(
    counts: dict[str, Any], pause: dict[str, Any], code: str, sentence: str, *, served: bool
) -> None:
    destination = msgspec.structs.replace(CRM, **pause)
    situation = Situation({"crm": _settings()}, NOW)
    found = explain_destination(destination, DeliveryCounts(**counts), situation, is_served=served)
    assert (found.code, found.text.en[: len(sentence)]) == (code, sentence)


@pytest.mark.parametrize(
    ("at", "zone", "midnight"),
    [
        ("2027-01-15T08:00:00Z", "UTC", "2027-01-15T00:00:00Z"),
        ("2027-01-15T23:30:00.900000Z", "Europe/Madrid", "2027-01-15T23:00:00Z"),
        ("2027-03-28T12:00:00Z", "Europe/Madrid", "2027-03-27T23:00:00Z"),  # summer time began at 01:00Z
    ],
)
def test_a_day_begins_at_midnight_in_its_zone(at: str, zone: str, midnight: str) -> None:
    instants = [Instant(int(datetime.fromisoformat(text).timestamp() * SECOND)) for text in (at, midnight)]
    assert Situation({}, instants[0], day_zone=ZoneInfo(zone)).midnight == instants[1]


def test_times_of_a_situation_are_in_utc_unless_it_has_a_zone() -> None:
    for_programs = Situation({}, NOW)
    assert (for_programs.time(NOW), for_programs.time(None)) == ("2027-01-15T08:00:00Z", None)
    for_people = Situation({}, NOW, zone=ZoneInfo("Europe/Madrid"))
    assert (for_people.time(NOW), for_people.time(None)) == ("2027-01-15 09:00:00+01:00", None)
    assert (for_people.show_time(NOW), for_people.show_time(None)) == ("2027-01-15 09:00:00+01:00", "")


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
        assert ("only the newest 2 of 3 were searched" in found.text.en) == (cause == "unknown_id")


@pytest.mark.parametrize("wanted", ["cloudtalk-1", "1"])
async def test_a_call_that_retention_deleted_is_explained(tmp_path: Path, wanted: str) -> None:
    async with scene(tmp_path) as prepared:
        await causes.pruned(prepared)
        result = await prepared.run("calls", "show", wanted)
        assert (result.exit_code, f"Retention deleted {wanted} at 20" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("is_refused", "parts"),
    [
        (False, ("The call 1 was forgotten", "crm has not erased its record", "yet: the relay tries until")),
        (True, ("crm refuses to erase its record", "(The record is locked.): delete it there", "dead drop")),
    ],
)
async def test_a_forgotten_call_that_a_crm_has_not_erased_is_explained(
    tmp_path: Path, parts: tuple[str, ...], *, is_refused: bool
) -> None:
    async with scene(tmp_path) as prepared:
        await causes.forgotten(prepared, is_refused=is_refused)
        result = await prepared.run("calls", "show", "1")
        assert result.exit_code == 1
        assert_parts(result.stderr, ("no call has the id 1", *parts))
        found = await prepared.relay.ledger.read(
            partial(explain_missing_call, id_="cloudtalk-1", situation=in_spanish(prepared))
        )
        assert found.code == ("not_erased" if is_refused else "forgotten")
        assert "La llamada cloudtalk-1 se olvidó" in found.text.es


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
    elsewhere = {
        "delivered_partly",
        "merged",
        "pruned",
        "continued",
        "forgotten",
        "not_erased",
    }  # below, or in a test of its own
    of_destinations = {"dead_letters", "up_to_date", "nothing_yet"}
    cases = {case.cause for case in (*DELIVERIES, *CALLS, *MISSING)}
    assert cases | elsewhere | of_destinations == set(Cause)
    assert len(cases) >= 20


def test_every_code_is_documented() -> None:
    documented = (ROOT / "docs" / "operations.md").read_text()
    assert [cause for cause in Cause if f"`{cause}`" not in documented] == []
