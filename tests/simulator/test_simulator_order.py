from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from relay.simulator import SimulatedCall, errands, scenarios

NOW = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)


@pytest.fixture(scope="module")
def many() -> list[SimulatedCall]:
    return scenarios(2_000, 1, NOW)


def test_without_chaos_a_call_s_events_are_one_errand_in_their_order(many: list[SimulatedCall]) -> None:
    assert errands(many, chaos=False, seed=1) == [call.messages for call in many]


def spoken(body: dict[str, Any]) -> tuple[str, str]:
    return body["data"]["id"], body["event"]


def sent(many: list[SimulatedCall], seed: int) -> list[tuple[str, str]]:
    return [spoken(message.body) for errand in errands(many, chaos=True, seed=seed) for message in errand]


def test_chaos_keeps_each_event_and_doubles_some(many: list[SimulatedCall]) -> None:
    counts = Counter(sent(many, 1))
    assert counts.keys() == {spoken(body) for call in many for body in call.events}
    assert set(counts.values()) == {1, 2}
    assert 0.25 < sum(count == 2 for count in counts.values()) / len(counts) < 0.35


def test_chaos_turns_the_order_within_calls_and_mixes_calls(many: list[SimulatedCall]) -> None:
    order = sent(many, 1)
    turned = [c for c in many if order.index(spoken(c.events[-1])) < order.index(spoken(c.events[0]))]
    assert turned
    neighbours = [one[0] == other[0] for one, other in pairwise(order)]
    assert sum(neighbours) < len(neighbours) / 4


def test_chaos_is_repeatable(many: list[SimulatedCall]) -> None:
    assert errands(many, chaos=True, seed=5) == errands(many, chaos=True, seed=5)
    assert errands(many, chaos=True, seed=5) != errands(many, chaos=True, seed=6)
