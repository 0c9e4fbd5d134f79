"""The record of the layout kv, and what may be written into one that is there."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_clients.supabase import SupabaseSettings
from crm_clients.supabase.record import FIXED, KEYS, RecordMapper, clock
from relay.call import DELIVERED_FIELDS
from tests.support.supabase_calls import BASE, call

SHAPE = RecordMapper(KEYS, {"origen": "CloudTalk"}, lambda status: status.value)
OURS = SHAPE.record(BASE)

json = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda j: st.lists(j, max_size=2))
records = st.dictionaries(st.sampled_from([*OURS, "origen", "mine", "theirs"]), json)
changes = st.frozensets(st.sampled_from(DELIVERED_FIELDS))


@given(records, changes)
def test_a_key_changes_only_where_a_field_that_it_shows_did(
    there: dict[str, Any], changed: frozenset[str]
) -> None:
    merged = SHAPE.merged(there, OURS, changed)
    for key in merged.keys() | there.keys():
        if key in OURS and SHAPE._sources[key] & changed:
            assert merged[key] == OURS[key]
        else:
            assert merged.get(key) == there.get(key)
            assert (key in merged) == (key in there)


@given(records)
def test_a_first_delivery_says_all_of_ours_and_keeps_all_of_theirs(there: dict[str, Any]) -> None:
    merged = SHAPE.merged(there, OURS, None)
    assert {key: merged[key] for key in OURS} == OURS
    assert {k: v for k, v in merged.items() if k not in OURS} == {
        "origen": "CloudTalk",
        **{k: v for k, v in there.items() if k not in OURS},
    }


@given(changes)
def test_a_record_that_is_not_there_is_written_whole_whatever_changed(changed: frozenset[str]) -> None:
    assert SHAPE.merged(None, OURS, changed) == {"origen": "CloudTalk", **OURS}


@given(records, changes, changes)
def test_merging_is_idempotent_and_in_any_order(
    there: dict[str, Any], one: frozenset[str], other: frozenset[str]
) -> None:
    merged = SHAPE.merged(there, OURS, one)
    assert SHAPE.merged(merged, OURS, one) == merged
    assert SHAPE.merged(merged, OURS, other) == SHAPE.merged(there, OURS, one | other)


def test_every_key_comes_from_a_field_or_is_fixed() -> None:
    assert OURS.keys() == {*FIXED, *KEYS.values()}
    assert KEYS.keys() <= set(DELIVERED_FIELDS)
    assert all(SHAPE._sources[key] for key in OURS.keys() - {"id", "cloudtalkId"})


def test_the_documented_record_is_the_one_that_is_written() -> None:
    text = (Path(__file__).parents[3] / "docs" / "supabase.md").read_text("utf-8")
    [shown] = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert msgspec.json.decode(shown).keys() == OURS.keys()


def test_every_canonical_field_can_be_given_a_key() -> None:
    wanted = {f: f"x_{f}" for f in SupabaseSettings.MAPPABLE if f not in {"id", "version"}}
    settings = SupabaseSettings.model_validate(
        {"client": "supabase", "url": "https://a.supabase.co", "key": "k", "layout": "kv", "fields": wanted}
    )
    record = RecordMapper(settings.places, {}, settings.label).record(call())
    assert record.keys() == {*FIXED, *wanted.values()}
    assert (record["x_from"], record["x_state"], record["x_tags"]) == (BASE.from_, "missed", BASE.tags)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "0:00"), (0, "0:00"), (9, "0:09"), (61, "1:01"), (120, "2:00"), (600, "10:00"), (3_725, "62:05")],
)
def test_a_duration_is_shown_as_minutes_and_seconds(seconds: int | None, shown: str) -> None:
    assert clock(seconds) == shown
