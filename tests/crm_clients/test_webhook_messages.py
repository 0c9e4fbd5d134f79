"""What a receiver is told, held against the documented schema."""

import json
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from pydantic import ValidationError as SettingsError

from crm_clients.base import Push, Retraction
from crm_clients.webhook import WebhookSettings
from crm_clients.webhook.messages import Message, forgotten, pushed, retracted
from relay.call import DELIVERED_FIELDS, FIELDS, Status
from tests.support.clients import merged
from tests.support.receiver import SECRET
from tests.support.samples import call_at, call_row

SCHEMA: Final = json.loads((Path(__file__).parents[2] / "docs/webhook.schema.json").read_text())
VALIDATOR: Final = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
ALL: Final = frozenset(DELIVERED_FIELDS)
MOMENT: Final = 1_768_208_525


def settings_of(**said: Any) -> WebhookSettings:
    return WebhookSettings.model_validate(
        {"client": "webhook", "url": "https://hook.example", "secret": SECRET, **said}
    )


def body_of(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(message.body(MOMENT))
    return body


FULL: Final = call_row(
    version=7,
    call_id="1",
    call_uuid="44fe27cd-5268-4670-993e-0129aabbccdd",
    direction="inbound",
    external_number="+34612345678",
    internal_number="+34910000001",
    contact_name="Begoña 漢字 🎉",
    started_at=1_700_000_000_000_000,
    tags=["vip"],
    notes='it\'s\n"quoted" \x00',
).record


# --- the schema ---------------------------------------------------------------------------------


def test_the_schema_is_one_and_names_every_field_of_a_call() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["$defs"]["call"]["properties"]) == {*FIELDS, "status_label"}
    assert SCHEMA["$defs"]["call"]["required"] == list(FIELDS)
    assert SCHEMA["$defs"]["call"]["properties"]["status"]["enum"] == [status.value for status in Status]


@pytest.mark.parametrize("call", [call_at(), FULL], ids=["almost nothing known", "much known"])
@pytest.mark.parametrize("first", [True, False])
def test_a_push_is_as_the_schema_says(call: Any, first: bool) -> None:
    body = body_of(pushed(Push(call, ALL, first=first), "hook", settings_of()))
    VALIDATOR.validate(body)
    assert body["type"] == ("call.created" if first else "call.updated")
    assert body["data"] == msgspec.to_builtins(call)
    assert body["timestamp"] == "2026-01-12T09:02:05Z"


def test_a_merge_names_the_other_call_and_is_as_the_schema_says() -> None:
    body = body_of(retracted(merged("cloudtalk-1", "cloudtalk-2", 3), "hook", settings_of()))
    VALIDATOR.validate(body)
    assert (body["type"], body["data"]["merged_into"]) == ("call.merged", "cloudtalk-2")


def test_a_call_that_is_none_of_the_receivers_is_deleted() -> None:
    body = body_of(retracted(Retraction(FULL), "hook", settings_of()))
    VALIDATOR.validate(body)
    assert (body["type"], body["data"]["id"]) == ("call.deleted", "cloudtalk-1")


def test_of_a_call_that_is_forgotten_the_id_alone_is_said() -> None:
    message = forgotten(Retraction(FULL), "hook")
    VALIDATOR.validate(body_of(message))
    assert (message.type, message.data) == ("call.deleted", {"id": "cloudtalk-1"})
    assert message.id != retracted(Retraction(FULL), "hook", settings_of()).id


@pytest.mark.parametrize(
    "change",
    [
        {"type": "call.started"},
        {"schema_version": 2},
        {"timestamp": "2026-01-12 09:02"},
        {"data": {}},
        {"data": {"id": "cloudtalk-1"}},
        {"data": msgspec.to_builtins(FULL) | {"status": "Completada"}},
        {"data": msgspec.to_builtins(FULL) | {"duration_seconds": "7"}},
        {"data": msgspec.to_builtins(FULL) | {"merged_into": "cloudtalk-2"}},
    ],
)
def test_the_schema_refuses_what_is_never_sent(change: dict[str, Any]) -> None:
    body = body_of(pushed(Push(FULL, ALL), "hook", settings_of()))
    with pytest.raises(ValidationError):
        VALIDATOR.validate(body | change)


# --- mapping ------------------------------------------------------------------------------------


def test_fields_go_where_the_settings_say_and_constants_come_besides() -> None:
    settings = settings_of(
        fields={"external_number": "phone", "notes": "", "cloudtalk_data": ""},
        constants={"source": "cloudtalk", "team": 7},
    )
    data = pushed(Push(FULL, ALL), "hook", settings).data
    assert (data["phone"], data["source"], data["team"]) == ("+34612345678", "cloudtalk", 7)
    assert {"external_number", "notes", "cloudtalk_data"}.isdisjoint(data)
    assert (data["id"], data["version"], data["merged_into"]) == ("cloudtalk-1", 7, None)


def test_the_status_stays_canonical_and_a_label_comes_besides() -> None:
    data = pushed(Push(FULL, ALL), "hook", settings_of(labels={"in_progress": "Läuft"})).data
    assert (data["status"], data["status_label"]) == ("in_progress", "Läuft")
    assert "status_label" not in pushed(Push(FULL, ALL), "hook", settings_of()).data
    asked_for = settings_of(fields={"status_label": "estado"})
    assert pushed(Push(FULL, ALL), "hook", asked_for).data["estado"] == "En Progreso"


@pytest.mark.parametrize(
    "said",
    [
        {"fields": {"notes": "id"}},
        {"fields": {"notes": "summary"}},
        {"constants": {"version": 1}},
        {"fields": {"id": "key"}},
        {"fields": {"state": "status"}},
    ],
)
def test_what_would_go_to_one_key_twice_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        settings_of(**said)


# --- ids ----------------------------------------------------------------------------------------


def test_a_message_keeps_its_id_and_no_other_has_it() -> None:
    push, later = Push(FULL, ALL), Push(msgspec.structs.replace(FULL, version=8), ALL)
    other = Push(msgspec.structs.replace(FULL, id="cloudtalk-2"), ALL)
    ids = {
        pushed(push, "hook", settings_of()).id,
        pushed(later, "hook", settings_of()).id,
        pushed(other, "hook", settings_of()).id,
        pushed(push, "other-hook", settings_of()).id,
        pushed(msgspec.structs.replace(push, first=False), "hook", settings_of()).id,
        retracted(Retraction(FULL), "hook", settings_of()).id,
    }
    assert len(ids) == 6
    assert pushed(push, "hook", settings_of(constants={"a": 1})).id in ids
