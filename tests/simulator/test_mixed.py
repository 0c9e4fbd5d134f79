"""The messages of calls in several dialects."""

from collections import Counter
from typing import Any

from tests.support.simulated import simulated_calls

CALLS = simulated_calls("mixed")


def test_mixed_calls_use_several_dialects() -> None:
    ways: Counter[str] = Counter()
    for call in CALLS:
        used = {dialect_of(body) for body in call.bodies}
        ways.update(used)
        if call.expected["call_id"]:
            assert {"workflow", "signed"} <= used
    assert ways.keys() == {"workflow", "signed", "mission", "flow"}


def dialect_of(body: dict[str, Any]) -> str:
    if "event_id" in body:
        return "signed"
    if "data" in body:
        return "mission"
    return "workflow" if "internal_number" in body or "transcript" in body else "flow"
