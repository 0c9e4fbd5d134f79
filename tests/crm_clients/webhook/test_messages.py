"""Messages match the documented JSON schema."""

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
from crm_clients.webhook.messages import Message, forget_message, retract_message, upsert_message
from relay.call import DELIVERED_FIELDS, FIELDS, Status
from tests.support.clients import make_retraction
from tests.support.receiver import SECRET
from tests.support.samples import make_call, make_call_row

SCHEMA: Final = json.loads((Path(__file__).parents[3] / "docs/webhook.schema.json").read_text())
VALIDATOR: Final = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
ALL: Final = frozenset(DELIVERED_FIELDS)
TIMESTAMP: Final = 1_768_208_525


def settings_of(**values: Any) -> WebhookSettings:
    return WebhookSettings.model_validate(
        {"client": "webhook", "url": "https://hook.example", "secret": SECRET, **values}
    )


def body_of(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(message.encode(TIMESTAMP))
    return body


FULL: Final = make_call_row(
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


def test_the_schema_is_valid_and_has_every_field_of_a_call() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["$defs"]["call"]["properties"]) == {*FIELDS, "status_label"}
    assert SCHEMA["$defs"]["call"]["required"] == list(FIELDS)
    assert SCHEMA["$defs"]["call"]["properties"]["status"]["enum"] == [status.value for status in Status]


@pytest.mark.parametrize("call", [make_call(), FULL], ids=["few fields", "many fields"])
@pytest.mark.parametrize("first", [True, False])
def test_a_push_matches_the_schema(call: Any, first: bool) -> None:
    body = body_of(upsert_message(Push(call, ALL, first=first), "hook", settings_of()))
    VALIDATOR.validate(body)
    assert body["type"] == ("call.created" if first else "call.updated")
    assert body["data"] == msgspec.to_builtins(call)
    assert body["timestamp"] == "2026-01-12T09:02:05Z"


@pytest.mark.parametrize("first", [True, False])
def test_the_body_names_the_keys_that_are_known_or_changed(first: bool) -> None:
    settings = settings_of(fields={"tags": "labels", "notes": ""}, labels={"missed": "Lost"})
    push = Push(make_call(), frozenset({"tags", "notes", "status"}), first=first, partial=True)
    body = body_of(upsert_message(push, "hook", settings))
    assert body["changed"] == ["labels", "status", "status_label"]


def test_only_created_and_updated_calls_name_changed_keys() -> None:
    body = body_of(retract_message(make_retraction("cloudtalk-1", "cloudtalk-2", 3), "hook", settings_of()))
    assert "changed" not in body


def test_a_merge_matches_the_schema_and_names_the_other_call() -> None:
    body = body_of(retract_message(make_retraction("cloudtalk-1", "cloudtalk-2", 3), "hook", settings_of()))
    VALIDATOR.validate(body)
    assert (body["type"], body["data"]["merged_into"]) == ("call.merged", "cloudtalk-2")


def test_a_retraction_without_merged_into_is_a_deletion() -> None:
    body = body_of(retract_message(Retraction(FULL), "hook", settings_of()))
    VALIDATOR.validate(body)
    assert (body["type"], body["data"]["id"]) == ("call.deleted", "cloudtalk-1")


def test_forgetting_a_call_sends_only_its_id() -> None:
    message = forget_message(Retraction(FULL), "hook")
    VALIDATOR.validate(body_of(message))
    assert (message.type, message.data) == ("call.deleted", {"id": "cloudtalk-1"})
    assert message.id != retract_message(Retraction(FULL), "hook", settings_of()).id


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
def test_the_schema_refuses_an_invalid_body(change: dict[str, Any]) -> None:
    body = body_of(upsert_message(Push(FULL, ALL), "hook", settings_of()))
    with pytest.raises(ValidationError):
        VALIDATOR.validate(body | change)


# --- mapping ------------------------------------------------------------------------------------


def test_fields_are_renamed_and_constants_added_as_the_settings_say() -> None:
    settings = settings_of(
        fields={"external_number": "phone", "notes": "", "cloudtalk_data": ""},
        constants={"source": "cloudtalk", "team": 7},
    )
    data = upsert_message(Push(FULL, ALL), "hook", settings).data
    assert (data["phone"], data["source"], data["team"]) == ("+34612345678", "cloudtalk", 7)
    assert {"external_number", "notes", "cloudtalk_data"}.isdisjoint(data)
    assert (data["id"], data["version"], data["merged_into"]) == ("cloudtalk-1", 7, None)


def test_the_status_is_canonical_and_the_label_is_a_field_of_its_own() -> None:
    data = upsert_message(Push(FULL, ALL), "hook", settings_of(labels={"in_progress": "Läuft"})).data
    assert (data["status"], data["status_label"]) == ("in_progress", "Läuft")
    assert "status_label" not in upsert_message(Push(FULL, ALL), "hook", settings_of()).data
    renamed = settings_of(fields={"status_label": "estado"})
    assert upsert_message(Push(FULL, ALL), "hook", renamed).data["estado"] == "En Progreso"


@pytest.mark.parametrize(
    "values",
    [
        {"fields": {"notes": "id"}},
        {"fields": {"notes": "summary"}},
        {"constants": {"version": 1}},
        {"fields": {"id": "key"}},
        {"fields": {"state": "status"}},
    ],
)
def test_a_key_that_is_used_twice_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        settings_of(**values)


# --- ids ----------------------------------------------------------------------------------------


def test_a_message_has_a_stable_and_unique_id() -> None:
    push, later = Push(FULL, ALL), Push(msgspec.structs.replace(FULL, version=8), ALL)
    other = Push(msgspec.structs.replace(FULL, id="cloudtalk-2"), ALL)
    ids = {
        upsert_message(push, "hook", settings_of()).id,
        upsert_message(later, "hook", settings_of()).id,
        upsert_message(other, "hook", settings_of()).id,
        upsert_message(push, "other-hook", settings_of()).id,
        upsert_message(msgspec.structs.replace(push, first=False), "hook", settings_of()).id,
        retract_message(Retraction(FULL), "hook", settings_of()).id,
    }
    assert len(ids) == 6
    assert upsert_message(push, "hook", settings_of(constants={"a": 1})).id in ids
