import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_clients.supabase import SupabaseSettings
from crm_clients.supabase.record import FIXED_KEYS, KEYS, RecordMapper, format_duration
from relay.call import DELIVERED_FIELDS
from tests.support.supabase_calls import BASE, call

MAPPER = RecordMapper(KEYS, {"origen": "CloudTalk"}, lambda status: status.value)
RECORD = MAPPER.build(BASE)

json = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda j: st.lists(j, max_size=2))
records = st.dictionaries(st.sampled_from([*RECORD, "origen", "mine", "theirs"]), json)
changes = st.frozensets(st.sampled_from(DELIVERED_FIELDS))


@given(records, changes)
def test_a_key_changes_only_if_a_field_that_it_depends_on_changed(
    existing: dict[str, Any], changed: frozenset[str]
) -> None:
    merged = MAPPER.merge(existing, RECORD, changed)
    for key in merged.keys() | existing.keys():
        if key in RECORD and MAPPER._sources[key] & changed:
            assert merged[key] == RECORD[key]
        else:
            assert merged.get(key) == existing.get(key)
            assert (key in merged) == (key in existing)


@given(records)
def test_a_first_delivery_writes_every_key_of_the_relay_and_keeps_all_others(
    existing: dict[str, Any],
) -> None:
    merged = MAPPER.merge(existing, RECORD, frozenset(DELIVERED_FIELDS), first=True)
    assert {key: merged[key] for key in RECORD} == RECORD
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
    existing = {"notas": "Llamada CloudTalk - +34600111222 → +34910000001"}
    merged = MAPPER.merge(existing, RECORD | {"notas": "new"}, known, known=known)
    assert merged["notas"] == (existing["notas"] if is_kept else "new")


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
    assert RECORD.keys() == {*FIXED_KEYS, *KEYS.values()}
    assert KEYS.keys() <= set(DELIVERED_FIELDS)
    assert all(MAPPER._sources[key] for key in RECORD.keys() - {"id", "cloudtalkId"})


def test_the_documented_record_has_the_same_keys() -> None:
    text = (Path(__file__).parents[3] / "docs" / "supabase.md").read_text("utf-8")
    [example] = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert msgspec.json.decode(example).keys() == RECORD.keys()


def test_every_mappable_field_can_get_a_key() -> None:
    fields = {f: f"x_{f}" for f in SupabaseSettings.MAPPABLE if f not in {"id", "version"}}
    settings = SupabaseSettings.model_validate(
        {"client": "supabase", "url": "https://a.supabase.co", "key": "k", "layout": "kv", "fields": fields}
    )
    record = RecordMapper(settings.mapping, {}, settings.label).build(call())
    assert record.keys() == {*FIXED_KEYS, *fields.values()}
    assert (record["x_from"], record["x_state"], record["x_tags"]) == (BASE.from_, "missed", BASE.tags)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "0:00"), (0, "0:00"), (9, "0:09"), (61, "1:01"), (120, "2:00"), (600, "10:00"), (3_725, "62:05")],
)
def test_a_duration_is_formatted_as_minutes_and_seconds(seconds: int | None, text: str) -> None:
    assert format_duration(seconds) == text
