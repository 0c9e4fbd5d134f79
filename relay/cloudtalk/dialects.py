"""What every dialect declares: its name, how it is recognised, and how its sender takes a refusal."""

from collections.abc import Callable
from typing import Any

import msgspec

from relay.cloudtalk.flatten import FlatBody, flatten
from relay.cloudtalk.request import RawRequest


class Dialect(msgspec.Struct, frozen=True):
    """A shape in which events arrive. A `always_ack` one's sender must not hear of a refusal; in a `typed`
    one `type` is the event's name, known or not, and `event_id` is its own.
    """

    name: str
    recognises: Callable[[dict[str, Any], RawRequest], bool]
    always_ack: bool = False
    quarantine_unknown: bool = True
    """Whether what looks like a call and bears neither name nor id is kept for a person."""
    typed: bool = False
    shape: Callable[[dict[str, Any], str], FlatBody] = flatten
    """A quicker way to its shape, for bodies that a program writes and that are always alike."""
