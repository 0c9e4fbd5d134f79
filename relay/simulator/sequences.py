"""The order in which messages are sent."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

from relay.simulator.message import Message, SimulatedCall

DUPLICATE_SHARE: Final = 0.3
"""The share of messages that are sent twice with `chaos`."""

_SHUFFLE_WINDOW: Final = 50
"""`chaos` shuffles the messages of this many calls: enough that a message may come after its call
seems to be over, few enough that a short run shows it.
"""


def build_sequences(calls: Sequence[SimulatedCall], *, chaos: bool, seed: int) -> list[tuple[Message, ...]]:
    """Build sequences of messages; each is sent in its order over one connection.

    Normally one call is one sequence. With `chaos` each message is a sequence of its own, some
    messages come twice, and the messages of many calls are shuffled.
    """
    if not chaos:
        return [call.messages for call in calls]
    random = Random(seed)  # noqa: S311 - must be repeatable; nothing here is secret
    return [(message,) for message in _shuffle(calls, random)]


def _shuffle(calls: Sequence[SimulatedCall], random: Random) -> Iterator[Message]:
    for start in range(0, len(calls), _SHUFFLE_WINDOW):
        messages = [message for call in calls[start : start + _SHUFFLE_WINDOW] for message in call.messages]
        messages += [message for message in messages if random.random() < DUPLICATE_SHARE]
        random.shuffle(messages)
        yield from messages
