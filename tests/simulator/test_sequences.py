from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from relay.simulator import SimulatedCall, build_sequences, generate_calls

NOW = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)


@pytest.fixture(scope="module")
def calls() -> list[SimulatedCall]:
    return generate_calls(2_000, 1, NOW)


def test_without_chaos_a_call_is_one_sequence_in_its_order(calls: list[SimulatedCall]) -> None:
    assert build_sequences(calls, chaos=False, seed=1) == [call.messages for call in calls]


def event_key(body: dict[str, Any]) -> tuple[str, str]:
    return body["data"]["id"], body["event"]


def shuffled_keys(calls: list[SimulatedCall], seed: int) -> list[tuple[str, str]]:
    sequences = build_sequences(calls, chaos=True, seed=seed)
    return [event_key(message.body) for sequence in sequences for message in sequence]


def test_chaos_keeps_each_event_and_duplicates_some(calls: list[SimulatedCall]) -> None:
    counts = Counter(shuffled_keys(calls, 1))
    assert counts.keys() == {event_key(body) for call in calls for body in call.bodies}
    assert set(counts.values()) == {1, 2}
    assert 0.25 < sum(count == 2 for count in counts.values()) / len(counts) < 0.35


def test_chaos_shuffles_within_calls_and_across_calls(calls: list[SimulatedCall]) -> None:
    order = shuffled_keys(calls, 1)
    reversed_calls = [
        call
        for call in calls
        if order.index(event_key(call.bodies[-1])) < order.index(event_key(call.bodies[0]))
    ]
    assert reversed_calls
    same_call = [one[0] == other[0] for one, other in pairwise(order)]
    assert sum(same_call) < len(same_call) / 4


def test_chaos_is_repeatable(calls: list[SimulatedCall]) -> None:
    assert build_sequences(calls, chaos=True, seed=5) == build_sequences(calls, chaos=True, seed=5)
    assert build_sequences(calls, chaos=True, seed=5) != build_sequences(calls, chaos=True, seed=6)
