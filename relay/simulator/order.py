"""In which order messages go out."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

from relay.simulator.message import Message, SimulatedCall

DOUBLED: Final = 0.3
"""How many messages come twice under chaos."""

_WINDOW: Final = 50
"""Calls whose messages chaos mixes: far apart enough to be late, near enough to be seen in a run."""


def errands(calls: Sequence[SimulatedCall], *, chaos: bool, seed: int) -> list[tuple[Message, ...]]:
    """What is sent one after the other, on one connection: the messages of a call in their order.

    Under chaos each message is an errand of its own, some come twice, and those of many calls are mixed.
    """
    if not chaos:
        return [call.messages for call in calls]
    random = Random(seed)  # noqa: S311 - repeatable is the point, secret is not
    return [(message,) for message in _mixed(calls, random)]


def _mixed(calls: Sequence[SimulatedCall], random: Random) -> Iterator[Message]:
    for start in range(0, len(calls), _WINDOW):
        messages = [message for call in calls[start : start + _WINDOW] for message in call.messages]
        messages += [message for message in messages if random.random() < DOUBLED]
        random.shuffle(messages)
        yield from messages
