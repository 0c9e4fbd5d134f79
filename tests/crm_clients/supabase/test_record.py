import re
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_clients.supabase import SupabaseSettings
from crm_clients.supabase.record import FIXED_KEYS, KEYS, RecordMapper, format_duration
from relay.call import DELIVERED_FIELDS, Status
from tests.support.supabase_calls import BASE, call

MAPPER = RecordMapper(KEYS, {"origen": "CloudTalk"}, lambda status: status.value)
RECORD = MAPPER.build(BASE)

OUTBOUND = call(
    call_id="9",
    direction="outbound",
    status=Status.COMPLETED,
    from_=None,
    to=None,
    contact_id="77",
    contact_name=None,
    agent_name="Ana",
    response_seconds=4,
    duration_seconds=None,
    recording_url="https://example.test/a.wav",
    follow_up=False,
)


GENERATED_NOTES: Final = "Llamada CloudTalk - +34600111222 → +34910000001"


def are_typed(key: str, existing: dict[str, Any]) -> bool:
    """Whether the value under this key is a note that a person typed."""
    notes = existing.get(key)
    return key == "notas" and isinstance(notes, str) and notes.strip() not in {"", GENERATED_NOTES}


json = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda j: st.lists(j, max_size=2))
records = st.dictionaries(st.sampled_from([*RECORD, "origen", "mine", "theirs"]), json)
changes = st.frozensets(st.sampled_from(DELIVERED_FIELDS))


def test_a_record_has_the_values_that_the_crm_shows() -> None:
    assert RECORD == {
        "id": "cloudtalk-1",
        "cloudtalkId": "1",
        "fecha": "2024-01-15T10:00:00Z",
        "notas": "Llamada CloudTalk - +34600000001 → +34910000000",
        "clienteId": "unknown",
        "clienteNombre": "Zoë Ñandú 🎉",
        "tipo": "Entrante",
        "duracion": "1:01",
        "estado": "missed",
        "cloudtalkData": {"id": 1, "nested": {"ключ": [None, True, 1.5]}},
        "telefono": "+34600000001",
        "agente": None,
        "inicio": "2024-01-15T10:00:00Z",
        "fin": "2024-01-15T10:01:01.250Z",
        "tiempoRespuesta": None,
        "grabacionUrl": None,
        "seguimiento": True,
    }
    outbound = MAPPER.build(OUTBOUND)
    assert {key: value for key, value in outbound.items() if value != RECORD[key]} == {
        "notas": "Llamada CloudTalk - Desconocido → Desconocido",
        "clienteId": "77",
        "clienteNombre": "Desconocido",
        "tipo": "Saliente",
        "duracion": "0:00",
        "estado": "completed",
        "agente": "Ana",
        "tiempoRespuesta": 4,
        "grabacionUrl": "https://example.test/a.wav",
        "seguimiento": False,
    }


def test_the_reason_of_a_missed_call_has_a_key_once_it_is_known() -> None:
    known = MAPPER.build(call(missed_reason="nobody picked up"))
    unknown = MAPPER.build(call())
    changed = {"missed_reason", "status"}
    assert MAPPER.merge(None, known, changed)["motivoPerdida"] == "nadie contestó"
    assert "motivoPerdida" not in MAPPER.merge(None, unknown, changed)
    assert "motivoPerdida" not in MAPPER.merge({"id": "x"}, unknown, changed)
    assert MAPPER.merge({"motivoPerdida": "nadie contestó"}, unknown, changed)["motivoPerdida"] is None
    assert MAPPER.build(call(missed_reason="queue was full"))["motivoPerdida"] == "queue was full"


@pytest.mark.parametrize(
    ("changed", "keys"),
    [
        ("started_at", {"fecha", "inicio"}),
        ("from", {"notas"}),
        ("to", {"notas"}),
        ("status", {"estado"}),
        ("contact_name", {"clienteNombre"}),
        ("transcript", set()),
    ],
)
def test_a_changed_field_changes_its_keys(changed: str, keys: set[str]) -> None:
    existing = dict.fromkeys(RECORD, "old") | {"notas": GENERATED_NOTES}
    merged = MAPPER.merge(existing, RECORD, {changed})
    assert {key for key in RECORD if merged[key] != existing[key]} == keys


def test_the_status_has_the_label_of_the_settings() -> None:
    mapper = RecordMapper(
        {"status": "estado", "state": "fase"}, {}, lambda status: f"label of {status.value}"
    )
    record = mapper.build(BASE)
    assert (record["estado"], record["fase"]) == ("label of missed", "missed")


def test_the_state_changes_with_the_status() -> None:
    mapper = RecordMapper({"state": "fase"}, {}, lambda _: "Perdida")
    assert mapper.build(BASE)["fase"] == "missed"
    assert mapper.merge({"fase": "answered"}, {"fase": "missed"}, {"status"}) == {"fase": "missed"}


def test_only_a_rewrite_writes_the_constants_to_an_existing_record_again() -> None:
    existing = {"origen": "by a person", "mine": 1}
    assert MAPPER.merge(existing, RECORD, set()) == existing
    assert MAPPER.merge(existing, RECORD, set(), rewrite=True) == {"origen": "CloudTalk", "mine": 1}


def test_a_first_delivery_sets_the_ids_of_an_existing_record() -> None:
    merged = MAPPER.merge({"id": "old", "cloudtalkId": "old", "agente": "Bea"}, RECORD, set(), first=True)
    assert (merged["id"], merged["cloudtalkId"], merged["agente"]) == ("cloudtalk-1", "1", "Bea")


@pytest.mark.parametrize("existing", [{}, {"cloudtalkData": None}, {"cloudtalkData": "a text"}])
def test_raw_data_that_is_no_object_is_replaced(existing: dict[str, Any]) -> None:
    fields = {"cloudtalk_data"}
    merged = MAPPER.merge(existing, RECORD, fields, known=fields)
    assert merged == {"cloudtalkData": {"id": 1, "nested": {"ключ": [None, True, 1.5]}}}


def test_the_raw_data_of_a_whole_push_is_replaced() -> None:
    existing = {"cloudtalkData": {"gone": 1}}
    assert MAPPER.merge(existing, {"cloudtalkData": {}}, {"cloudtalk_data"}) == {"cloudtalkData": {}}


def test_a_partial_push_writes_an_empty_value_of_a_single_field() -> None:
    merged = MAPPER.merge({"agente": "Bea"}, RECORD, {"agent_name"}, known=set())
    assert merged == {"agente": None}


def test_a_partial_push_without_raw_data_keeps_that_of_the_record() -> None:
    merged = MAPPER.merge({"cloudtalkData": {"a": 1}}, RECORD, {"agent_name"}, known={"agent_name"})
    assert merged == {"cloudtalkData": {"a": 1}, "agente": None}


def test_the_keys_of_the_customer_are_those_of_the_mapping() -> None:
    assert MAPPER.customer_keys == ("clienteId", "clienteNombre")
    assert RecordMapper({}, {}, str).customer_keys == (None, None)


@given(records, changes)
def test_a_key_changes_only_if_a_field_that_it_depends_on_changed(
    existing: dict[str, Any], changed: frozenset[str]
) -> None:
    merged = MAPPER.merge(existing, RECORD, changed)
    for key in merged.keys() | existing.keys():
        if key in RECORD and MAPPER._sources[key] & changed and not are_typed(key, existing):
            assert merged[key] == RECORD[key]
        else:
            assert merged.get(key) == existing.get(key)
            assert (key in merged) == (key in existing)


@given(records)
def test_a_first_delivery_writes_every_key_of_the_relay_and_keeps_all_others(
    existing: dict[str, Any],
) -> None:
    merged = MAPPER.merge(existing, RECORD, frozenset(DELIVERED_FIELDS), first=True)
    assert {key: merged[key] for key in RECORD} == {
        key: existing[key] if are_typed(key, existing) else RECORD[key] for key in RECORD
    }
    assert {k: v for k, v in merged.items() if k not in RECORD} == {
        "origen": "CloudTalk",
        **{k: v for k, v in existing.items() if k not in RECORD},
    }


@given(records, changes)
def test_a_first_delivery_of_what_is_known_keeps_the_other_values(
    existing: dict[str, Any], known: frozenset[str]
) -> None:
    merged = MAPPER.merge(existing, RECORD, known, first=True)
    unknown = {key for key in RECORD if MAPPER._sources[key] and not MAPPER._sources[key] & known}
    assert {key: merged[key] for key in unknown & existing.keys()} == {
        key: existing[key] for key in unknown & existing.keys()
    }
    assert RECORD.keys() <= merged.keys()


def test_a_partial_push_keeps_keys_of_the_raw_data() -> None:
    existing = {"cloudtalkData": {"caller": "+34600111222", "tags": ["old"]}}
    merged = MAPPER.merge(
        existing, RECORD | {"cloudtalkData": {"tags": ["new"]}}, {"cloudtalk_data"}, known={"cloudtalk_data"}
    )
    assert merged["cloudtalkData"] == {"caller": "+34600111222", "tags": ["new"]}


@pytest.mark.parametrize(("known", "is_kept"), [({"to"}, True), ({"from"}, True), ({"from", "to"}, False)])
def test_a_partial_push_writes_a_text_of_several_fields_only_if_all_are_known(
    known: set[str], *, is_kept: bool
) -> None:
    existing = {"notas": GENERATED_NOTES}
    merged = MAPPER.merge(existing, RECORD | {"notas": "new"}, known, known=known)
    assert merged["notas"] == (existing["notas"] if is_kept else "new")


@pytest.mark.parametrize(
    ("notes", "is_kept"),
    [
        ("pide presupuesto", True),
        ("Sobre la Llamada CloudTalk - 1", True),
        (GENERATED_NOTES, False),
        ("", False),
        (" \n", False),
        (None, False),
        ({"text": 1}, False),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_notes_that_a_person_typed_stay(notes: Any, *, is_kept: bool, first: bool) -> None:
    """People typed over the text of the previous system; a first delivery finds their notes."""
    merged = MAPPER.merge({"notas": notes}, RECORD, {"from", "to"}, first=first)
    assert merged["notas"] == (notes if is_kept else RECORD["notas"])


def test_a_rewrite_replaces_the_notes_of_a_person() -> None:
    assert MAPPER.merge({"notas": "mine"}, RECORD, {"from"}, rewrite=True)["notas"] == RECORD["notas"]


@given(changes)
def test_a_missing_record_is_written_whole_whatever_changed(changed: frozenset[str]) -> None:
    assert MAPPER.merge(None, RECORD, changed) == {"origen": "CloudTalk", **RECORD}


@given(records, changes, changes)
def test_merging_is_idempotent_and_independent_of_order(
    existing: dict[str, Any], one: frozenset[str], other: frozenset[str]
) -> None:
    merged = MAPPER.merge(existing, RECORD, one)
    assert MAPPER.merge(merged, RECORD, one) == merged
    assert MAPPER.merge(merged, RECORD, other) == MAPPER.merge(existing, RECORD, one | other)


def test_every_key_is_of_a_field_or_fixed() -> None:
    record = MAPPER.build(call(missed_reason="nobody picked up"))
    assert record.keys() == {*FIXED_KEYS, *KEYS.values()}
    assert KEYS.keys() <= set(DELIVERED_FIELDS)
    assert all(MAPPER._sources[key] for key in record.keys() - {"id", "cloudtalkId"})


def test_the_documented_record_has_the_same_keys() -> None:
    text = (Path(__file__).parents[3] / "docs" / "supabase.md").read_text("utf-8")
    [example] = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert msgspec.json.decode(example).keys() == RECORD.keys()


def test_every_mappable_field_can_get_a_key() -> None:
    fields = {f: f"x_{f}" for f in SupabaseSettings.MAPPABLE if f not in {"id", "version"}}
    settings = SupabaseSettings.model_validate(
        {"client": "supabase", "url": "https://a.supabase.co", "key": "k", "layout": "kv", "fields": fields}
    )
    missed = call(missed_reason="nobody picked up")
    record = RecordMapper(settings.mapping, {}, settings.label).build(missed)
    assert record.keys() == {*FIXED_KEYS, *fields.values()}
    assert (record["x_from"], record["x_state"], record["x_tags"]) == (BASE.from_, "missed", BASE.tags)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "0:00"), (0, "0:00"), (9, "0:09"), (61, "1:01"), (120, "2:00"), (600, "10:00"), (3_725, "62:05")],
)
def test_a_duration_is_formatted_as_minutes_and_seconds(seconds: int | None, text: str) -> None:
    assert format_duration(seconds) == text
