"""From "a call is missing" to its reason: one command for each cause, and the sentence in both languages."""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from crm_clients.base import Rejected
from relay.call import Kind
from relay.ledger.connection import Connection
from relay.operations.calls import CallView, find_call, view_call
from relay.operations.explanation import Situation, situation_of
from relay.operations.explanation_texts import Cause
from relay.operations.languages import Language
from relay.operations.missing_calls import explain_missing_call
from relay.operations.status import list_destinations
from relay.settings import load
from tests.support import causes
from tests.support.causes import UUID, Scene, scene

ROOT = Path(__file__).parents[2]


class Case(NamedTuple):
    """A cause, how it is produced, and parts of its sentence. `served`: whether a relay delivers."""

    cause: str
    prepare: Callable[[Scene], Awaitable[None]]
    english: tuple[str, ...]
    spanish: tuple[str, ...]
    served: bool = True


DELIVERIES = [
    Case(
        "delivered", causes.delivered, ("In crm: it has the newest version (1) since 20",), ("Está en crm:",)
    ),
    Case(
        "paused",
        causes.paused_by_a_person,
        ("Not in crm yet: a person paused crm", "`relay destinations resume crm`"),
        ("Aún no está en crm: una persona pausó crm", "`relay destinations resume crm`"),
    ),
    Case(
        "unauthorised",
        causes.unauthorised,
        ("Not in crm yet: crm refuses the credentials (401: bad key)", "the relay tries again at 20"),
        ("crm rechaza las credenciales («401: bad key»)", "el relay lo intenta de nuevo a las 20"),
    ),
    Case(
        "unauthorised",
        causes.unauthorised,
        ("refuses the credentials (401: bad key)", "no relay is running, so start one (`relay serve`)"),
        ("rechaza las credenciales", "ningún relay está en marcha"),
        served=False,
    ),
    Case(
        "throttled",
        causes.throttled,
        ("its rate limit is used up (429: slow down); there is nothing to do",),
        ("se agotó su límite de peticiones («429: slow down»)",),
    ),
    Case(
        "misconfigured",
        causes.misconfigured,
        (
            "crm is not set up for the relay (42P01: no table calls); a check shows",
            "shows what to change (`relay check`)",
        ),
        ("crm no está preparado para el relay («42P01: no table calls»)", "`relay check`"),
    ),
    Case(
        "failing",
        causes.failing,
        ("crm is down or cannot be reached (503: it is down); the relay tries again",),
        ("crm está caído o no responde («503: it is down»)",),
    ),
    Case("disabled", causes.disabled, ("destinations.crm.enabled = true",), ("está desactivado",)),
    Case("orphaned", causes.orphaned, ("the settings no longer have crm",), ("ya no incluye crm",)),
    Case(
        "no_relay", causes.pending, ("Not in crm yet: no relay is running",), ("ningún relay",), served=False
    ),
    Case("being_delivered", causes.pending, ("the relay is sending it now",), ("la está enviando ahora",)),
    Case(
        "retry_scheduled",
        causes.retried,
        ("attempt 1 failed (503: it is {down}); the relay tries again at 20",),
        ("el intento 1 falló («503: it is {down}»)",),
    ),
    Case(
        "rate_limited",
        causes.rate_limited,
        ("this call needs a rate limit of crm that is used up (429: slow down)",),
        ("un límite de peticiones de crm que está agotado",),
    ),
    Case(
        "filtered",
        causes.filtered,
        ("Not in crm yet: the filter", "its direction is inbound and when.directions has only outbound"),
        ("su dirección es inbound y when.directions solo admite outbound",),
    ),
    Case(
        "filter_changed",
        causes.filter_changed,
        ("earlier settings excluded the call", "`relay replay --destination crm --call cloudtalk-1`"),
        ("una configuración anterior excluyó la llamada",),
    ),
    Case("internal", causes.internal, ("cloudtalk.forward_internal is false",), ("la llamada es interna",)),
    Case(
        "rejected",
        causes.rejected,
        (
            "Not in crm: crm rejected the record at 20",
            "(22P05: no such column)",
            "`relay dead replay cloudtalk-1`",
        ),
        ("No está en crm: crm rechazó el registro", "`relay dead replay cloudtalk-1`"),
    ),
    Case(
        "gave_up",
        causes.gave_up,
        ("the relay gave up at 20", "after 2 attempts, while crm accepted other calls (503: it is down)"),
        ("tras 2 intentos, mientras crm aceptaba otras llamadas",),
    ),
    Case(
        "dropped",
        causes.dropped,
        ("a person dropped its dead letter (22P05: no such column)", "relay replay --destination crm"),
        ("una persona descartó su entrega fallida",),
    ),
    Case("retracted", causes.retracted, ("Not in crm: the relay removed the record",), ("el relay quitó",)),
    Case(
        "being_delivered",
        causes.newer_version,
        ("crm has version 1 of the call, and not version 2 yet: the relay is sending it",),
        ("crm tiene la versión 1 de la llamada y aún no la 2: el relay la está enviando",),
    ),
]

CALLS = [
    Case(
        "not_enqueued",
        causes.not_enqueued,
        ("Not in late: it was added after this call", "`relay replay --destination late`"),
        ("No está en late: se añadió después",),
    ),
    Case("no_destination", causes.no_destination, ("The settings have no destination",), ("ningún destino",)),
]

MISSING = [
    Case(
        "waiting_for_link",
        causes.waiting,
        ("An event with 42 arrived at 20", "it waits for an event that names its call, until 20"),
        ("Un evento con 42 llegó a las 20", "como máximo hasta las 20"),
    ),
    Case(
        "not_folded",
        causes.not_folded,
        ("is not folded yet; the relay does it now",),
        ("no se ha procesado",),
    ),
    Case(
        "set_aside",
        causes.set_aside,
        ("the fold failed on it", "`relay quarantine show e1`"),
        ("no se pudo",),
    ),
    Case(
        "quarantined",
        causes.quarantined,
        ("A body with 42 arrived at 20", "in quarantine (unknown_event:", "`relay quarantine show 1`"),
        ("está en cuarentena (unknown_event:",),
    ),
    Case("unknown_id", causes.unknown, ("No event with 42 has arrived (the last event",), ("No ha llegado",)),
    Case("nothing_arrived", causes.nothing, ("No event of any call has arrived",), ("Aún no ha llegado",)),
]


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
