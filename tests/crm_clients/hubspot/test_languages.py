"""The texts in HubSpot follow the setting `language`."""

from typing import Any

import pytest

from crm_clients.hubspot.call_records import call_title
from crm_clients.hubspot.languages import TEXTS, Language
from crm_clients.hubspot.settings import HubSpotSettings
from relay.call import Status
from tests.crm_clients.hubspot.conftest import Connect
from tests.fakes.hubspot import HubSpot
from tests.support.hubspot import call, first_push, later_push, missed_call, remote_id


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("direction", ["inbound", "outbound", "internal", None])
@pytest.mark.parametrize("status", Status)
def test_every_call_has_a_title_in_every_language(
    language: Language, direction: str | None, status: Status
) -> None:
    title = call_title(call(direction=direction, status=status, contact_name="Ana"), TEXTS[language])
    assert title.endswith(" Ana (+34600111222)")
    assert ("call" in title.lower() or "voicemail" in title.lower()) == (language == "en")


def test_the_headings_of_a_translation_are_complete() -> None:
    translations = [texts for language, texts in TEXTS.items() if language != "en"]
    assert all(set(texts.headings) == set(HubSpotSettings.MAPPABLE) for texts in translations)


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        ({}, "Llamada entrante de +34600111222"),
        ({"direction": "outbound", "contact_name": "Ana"}, "Llamada saliente a Ana (+34600111222)"),
        ({"status": Status.MISSED, "external_number": None}, "Llamada perdida de un número desconocido"),
        ({"status": Status.VOICEMAIL}, "Mensaje de voz de +34600111222"),
        ({"direction": "internal"}, "Llamada interna con +34600111222"),
    ],
)
async def test_titles_are_in_spanish(
    hubspot: HubSpot, connect: Connect, fields: dict[str, Any], title: str
) -> None:
    await connect(language="es", follow_up_tasks=False).upsert([first_push(call(**fields))])
    assert hubspot.calls.get_one().properties["hs_call_title"] == title


async def test_the_body_is_in_spanish(hubspot: HubSpot, connect: Connect) -> None:
    of = call(
        summary="Quiere un presupuesto.",
        tags=["vip"],
        agent_name="Bea",
        recording_url="https://x.test/a.wav",
        transcript="x" * 70_000,
    )
    client = connect(language="es", fields={"agent_name": "hs_call_body"})
    await client.upsert([first_push(of)])
    body = hubspot.calls.get_one().properties["hs_call_body"]
    for heading in ("Grabación", "Resumen", "Etiquetas", "Transcripción"):
        assert f"<strong>{heading}</strong>" in body
    assert body.endswith(" … [cortado]</p>")
    assert "<strong>Agente</strong>" not in body, "there is no room for it"


async def test_a_field_of_the_body_has_a_spanish_heading(hubspot: HubSpot, connect: Connect) -> None:
    client = connect(language="es", fields={"agent_name": "hs_call_body"})
    await client.upsert([first_push(call(agent_name="Bea"))])
    body = hubspot.calls.get_one().properties["hs_call_body"]
    assert body == "<p><strong>Agente</strong><br>Bea</p>"


@pytest.mark.parametrize(
    ("status", "kind"), [(Status.MISSED, "Llamada perdida"), (Status.VOICEMAIL, "Mensaje de voz")]
)
async def test_tasks_are_in_spanish_and_completed_with_a_spanish_remark(
    hubspot: HubSpot, connect: Connect, status: Status, kind: str
) -> None:
    client = connect(language="es")
    [outcome] = await client.upsert([first_push(missed_call(status=status, contact_name="Ana {0}"))])
    task = hubspot.tasks.get_one()
    assert task.properties["hs_task_subject"] == "Devolver la llamada a Ana {0} (+34600111222)"
    assert task.properties["hs_task_body"] == (
        f"<p><strong>CloudTalk</strong><br>{kind} el 2026-11-24 10:42 (Europe/Madrid) "
        "de Ana {0} (+34600111222).<br>Llamó al +34910000001.</p>"
    )
    answered = later_push(missed_call(), "status", "follow_up", remote_id=remote_id(outcome), follow_up=False)
    await client.upsert([answered])
    task = hubspot.tasks.get_one()
    assert task.properties["hs_task_status"] == "COMPLETED"
    assert "al final se atendió" in task.properties["hs_task_body"]
