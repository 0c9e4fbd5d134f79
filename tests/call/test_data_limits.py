"""The data of a call is limited, and does not depend on the order in which its events arrive."""

import json
from functools import reduce
from itertools import permutations
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.call import Call, CallEvent, CallState, Kind, build_record, data_limits, join, state_from_event
from relay.instants import Instant
from tests.support.samples import T0, join_events, make_event

LIMIT = 256 * 1024


def edit(at: int, data: dict[str, Any]) -> CallEvent:
    return make_event(Kind.MODIFIED, T0 + at, data)


def record_of(*events: CallEvent) -> Call:
    return build_record(join_events(*events, received_at=T0), id="cloudtalk-1", version=1)


def size_of(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


# --- sizes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "size"), [("a", "b", 8), ("é", None, 10), ("ab", [1, {"c": True}], 20), ("a", "\n", 9)]
)
def test_a_size_is_that_of_key_and_value_in_json(key: str, value: object, size: int) -> None:
    assert data_limits.size_of(key, value) == size


@pytest.mark.parametrize(
    ("length", "key"),
    [
        (20, "k"),
        (249, "k"),
        (250, "1024:k"),
        (1_017, "1024:k"),
        (1_018, "4096:k"),
        (4_090, "16384:k"),
        (16_378, "65536:k"),
        (65_530, "262144:k"),
        (262_137, "262144:k"),
        (262_138, None),
    ],
)
def test_a_value_is_in_the_class_of_its_size(length: int, key: str | None) -> None:
    text = "x" * length
    small, large, left_out = data_limits.split_by_size({"k": text, "other": 1})
    expected = {} if key is None else {key: text}
    assert (small | large, left_out) == (expected | {"other": 1}, key is None)
    assert large == (expected if key != "k" else {})


@pytest.mark.parametrize(
    ("key", "value", "large_key"),
    [
        # one character takes up to six bytes, in the key too
        ("\x01" * 20, "\x01" * 20, None),
        ("\x01" * 21, "\x01" * 20, None),
        ("\x01" * 21, "\x01" * 21, "1024:" + "\x01" * 21),
        ("k" * 249, None, "1024:" + "k" * 249),
        ("k" * 248, None, None),
        ("k", None, None),
        ("k", 1, None),
        ("k", ["x" * 250], "1024:k"),
        ("k", {"key": "x" * 250}, "1024:k"),
    ],
)
def test_a_value_of_any_type_and_a_long_key_count_with_all_their_bytes(
    key: str, value: object, large_key: str | None
) -> None:
    expected = ({key: value}, {}, False) if large_key is None else ({}, {large_key: value}, False)
    assert data_limits.split_by_size({key: value}) == expected


@pytest.mark.parametrize(("largest", "count"), [(256, 4_096), (1_024, 1_024), (65_536, 16), (262_144, 4)])
def test_a_class_keeps_as_many_values_as_may_fit_into_the_record(largest: int, count: int) -> None:
    assert data_limits.most_values(largest) == count


def test_the_key_of_a_large_value_names_its_class() -> None:
    assert data_limits.large_key("a:b", 1_024) == "1024:a:b"
    assert data_limits.split_large_key("1024:a:b") == (1_024, "a:b")


# --- what is kept -----------------------------------------------------------------------------------


def test_data_within_the_limit_is_kept_whole() -> None:
    data = {"transcript": "x" * 150_000, "notes": "y" * 60_000, "tag": "z", "n": 1, "list": [1, {"a": None}]}
    first = {key: data[key] for key in ("transcript", "tag")}
    assert record_of(edit(0, first), edit(1, data)).cloudtalk_data == data


def test_above_the_limit_the_oldest_values_are_left_out_and_a_key_says_so() -> None:
    record = record_of(*(edit(n, {f"key{n}": str(n) * 30_000}) for n in range(10)))
    kept = {key: value for key, value in record.cloudtalk_data.items() if key != "_left_out"}
    assert sorted(kept) == [f"key{n}" for n in range(2, 10)]
    assert record.cloudtalk_data["_left_out"] is True
    assert size_of(record.cloudtalk_data) <= LIMIT


def test_the_oldest_values_are_left_out_whatever_their_keys_are() -> None:
    events = [edit(n, {key: "x" * 100_000}) for n, key in enumerate(("z", "m", "a"))]
    for order in (events, events[::-1]):
        assert list(record_of(*order).cloudtalk_data) == ["a", "m", "_left_out"]


def test_of_values_of_one_event_those_with_the_lowest_keys_are_left_out() -> None:
    for keys in ("abc", "cba"):
        record = record_of(edit(0, dict.fromkeys(keys, "x" * 100_000)))
        assert list(record.cloudtalk_data) == ["b", "c", "_left_out"]


def test_a_value_that_fits_is_kept_although_a_newer_one_does_not() -> None:
    events = [edit(2, {"new": "x" * 200_000}), edit(1, {"old": "x" * 100_000}), edit(0, {"oldest": "x"})]
    data = record_of(*events).cloudtalk_data
    assert list(data) == ["new", "oldest", "_left_out"]


def test_as_many_of_the_largest_small_values_as_fit_are_kept_whole() -> None:
    data = {f"k{n:04}": "x" * 245 for n in range(1_024)}  # 256 bytes each
    assert record_of(edit(0, data)).cloudtalk_data == data


@pytest.mark.parametrize(("length", "keys"), [(262_120, ["a"]), (262_121, ["_left_out"])])
def test_values_up_to_the_limit_and_the_key_for_the_others_are_kept(length: int, keys: list[str]) -> None:
    assert list(record_of(edit(0, {"a": "x" * length})).cloudtalk_data) == keys


def test_the_status_of_a_conversation_is_kept_rather_than_a_later_value() -> None:
    ended = make_event(Kind.ENDED, T0, {"status": "x" * 150_000}, talking=5)
    for order in permutations((ended, edit(9, {"note": "x" * 150_000}))):
        assert list(record_of(*order).cloudtalk_data) == ["status", "_left_out"]


def test_the_keys_of_the_data_are_sorted() -> None:
    record = record_of(edit(0, {"b": 1, "c": "x" * 300}), edit(1, {"a": 2}))
    assert list(record.cloudtalk_data) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "data",
    [
        {f"key{n}": n for n in range(100_000)},
        {f"key{n}": "x" * 200 for n in range(3_000)},
        {f"key{n}": "é" * 200 for n in range(5_000)},
        {f"key{n}": {"list": list(range(1_000))} for n in range(500)},
        {"x" * 1_000_000: 1},
        {"text": "\u0001" * 100_000},
        {"deep": json.loads("[" * 500 + '"' + "x" * 300_000 + '"' + "]" * 500)},
    ],
    ids=["many small", "many short texts", "many texts", "many lists", "a long key", "escapes", "deep"],
)
def test_one_event_with_too_much_data_is_limited(data: dict[str, Any]) -> None:
    record = record_of(edit(0, data | {"id": "1"}))
    assert size_of(record.cloudtalk_data) <= LIMIT
    assert record.cloudtalk_data["_left_out"] is True


def test_the_state_is_limited_however_many_events_have_data() -> None:
    random = Random(1)
    events = [
        edit(
            n, {f"k{n}{index}": "x" * random.choice([10, 300, 3_000, 30_000, 100_000]) for index in range(5)}
        )
        for n in range(300)
    ]
    state = join_events(*events)
    assert size_of([state.data, state.large_data]) < 6_000_000
    assert len(state.stamps) <= 300


def test_many_edits_of_one_long_text_leave_nothing_out() -> None:
    edits = [edit(n, {"notes": "n" * (4_000 + n)}) for n in range(1, 200)]
    record = record_of(edit(0, {"transcript": "t" * 100_000}), *edits)
    assert record.cloudtalk_data == {"transcript": "t" * 100_000, "notes": "n" * 4_199}


def test_a_long_text_that_becomes_short_is_short() -> None:
    record = record_of(edit(0, {"notes": "n" * 5_000}), edit(1, {"notes": "short"}))
    assert record.cloudtalk_data == {"notes": "short"}
    late = record_of(edit(1, {"notes": "short"}), edit(0, {"notes": "n" * 5_000}))
    assert late.cloudtalk_data == {"notes": "short"}


# --- any order of arrival ---------------------------------------------------------------------------

_values = st.one_of(
    st.sampled_from([10, 250, 300, 2_000, 10_000, 50_000, 70_000, 130_000, 250_000, 300_000]).map(
        lambda length: "x" * length
    ),
    st.sampled_from(["", None, 7]),
)
_edits = st.lists(st.dictionaries(st.sampled_from("abcdefgh"), _values, max_size=4), min_size=2, max_size=12)


@given(_edits, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_any_order_of_arrival_and_any_duplicates_give_the_same_record(
    edits: list[dict[str, Any]], random: Random
) -> None:
    states = [
        state_from_event(edit(n, data), seq=n + 1, received_at=Instant(T0 + 1_000))
        for n, data in enumerate(edits)
    ]
    shuffled = states + random.choices(states, k=len(states))
    random.shuffle(shuffled)
    assert reduce(join, shuffled) == reduce(join, states)
    pairs = [join(*shuffled[n : n + 2]) for n in range(0, len(shuffled), 2)]
    random.shuffle(pairs)
    assert reduce(join, pairs) == reduce(join, states)
    record = build_record(reduce(join, states), id="1", version=1)
    assert size_of(record.cloudtalk_data) <= LIMIT


def test_more_small_keys_than_are_kept_converge() -> None:
    states = [
        state_from_event(
            edit(n, {f"k{n * 100 + key}": n for key in range(100)} | {"same": n}),
            seq=n + 1,
            received_at=Instant(T0),
        )
        for n in range(50)
    ]
    shuffled = list(states)
    Random(3).shuffle(shuffled)
    joined = reduce(join, states)
    assert reduce(join, shuffled) == joined
    data = build_record(joined, id="1", version=1).cloudtalk_data
    newest = {f"k{n}": n // 100 for n in range(1_000, 5_000)}
    assert {key: data[key] for key in newest} == newest
    assert (data["same"], data["_left_out"], len(data)) == (49, True, 4_097)


# --- agents, legs and aliases -----------------------------------------------------------------------


def ended_leg(number: int) -> CallEvent:
    facts: dict[str, Any] = {
        "call_id": str(number),
        "agent_id": str(number),
        "agent_name": f"Agent {number}",
        "talking": 5,
    }
    return make_event(Kind.ENDED, T0 + number, {"n": number}, **facts)


def test_agents_and_legs_are_limited_in_any_order() -> None:
    states = [state_from_event(ended_leg(n), seq=n + 1, received_at=Instant(T0 + 9_999)) for n in range(300)]
    shuffled: list[CallState] = list(states)
    Random(5).shuffle(shuffled)
    joined = reduce(join, states)
    assert reduce(join, shuffled) == joined
    assert len(joined.agents) == 100
    assert len(joined.legs) == 50
    record = build_record(joined, id="1", version=1)
    assert (record.agent_id, record.status, len(record.legs)) == ("299", "completed", 50)


def test_agents_whose_phones_only_rang_are_left_out_first() -> None:
    talked = make_event(Kind.ENDED, T0, agent_id="first", talking=5)
    ringing = [make_event(Kind.RINGING, T0 + 1 + n, agent_id=str(n)) for n in range(100)]
    for order in ([talked, *ringing], [*ringing, talked]):
        agents = {agent.id for _, agent in join_events(*order).agents.values()}
        assert agents == {"first", *map(str, range(1, 100))}


def test_the_legs_with_the_lowest_keys_are_kept() -> None:
    legs = [make_event(Kind.ENDED, T0 + n, call_id=str(n), talking=5) for n in range(10, 62)]
    for order in (legs, legs[::-1]):
        kept = {leg.call_id for leg in join_events(*order).legs.values()}
        assert kept == set(map(str, range(10, 60)))


def test_a_class_of_large_values_keeps_the_newest() -> None:
    edits = [edit(n, {f"key{99 - n}": "x" * 40_000}) for n in range(17)]
    for order in (edits, edits[::-1]):
        state = join_events(*order)
        assert set(state.large_data) == {f"65536:key{99 - n}" for n in range(1, 17)}
        assert state.left_out is True
        assert join_events(*order[:16]).left_out is False
    small = [edit(n, {f"key{99 - n}": "x" * 9_000}) for n in range(17)]
    assert len(join_events(*edits[:16], *small).large_data) == 33


def test_an_empty_value_is_left_out_before_any_other() -> None:
    state = join_events(edit(0, {f"key{n:04}": n for n in range(4_096)}), edit(9, {"new": None}))
    assert (len(state.data), "new" in state.data, state.left_out) == (4_096, False, True)


def test_the_aliases_of_both_sides_are_united_and_sorted() -> None:
    left, right = (join_events(make_event(name=name), make_event(name="7")) for name in ("5", "9"))
    assert join(left, right).aliases == ["id:5", "id:7", "id:9"]
    assert join(right, left).aliases == ["id:5", "id:7", "id:9"]
