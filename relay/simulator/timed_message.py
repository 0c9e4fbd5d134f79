"""Messages with the time at which CloudTalk would send them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from relay.simulator.message import Message, SimulatedCall
from relay.simulator.script import CallScript


class TimedMessage(NamedTuple):
    """A message and when CloudTalk would send it, in seconds since the call's start."""

    offset: float
    message: Message


def build_simulated_call(
    script: CallScript, messages: Sequence[TimedMessage], expected: dict[str, Any]
) -> SimulatedCall:
    """Put the messages in the order of their times."""
    in_order = sorted(messages, key=lambda timed: timed.offset)
    order_dependent = {"id", "tags"} if len(script.tag_edits) > 1 else {"id"}
    return SimulatedCall(tuple(timed.message for timed in in_order), expected, frozenset(order_dependent))
