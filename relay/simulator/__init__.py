"""A simulated CloudTalk: it sends events over real HTTP in all dialects, and knows the resulting records.

Each dialect states the expected record itself. It is never computed with the relay's own parser or
join: their faults would then be expected too. `answered_at` and `response_seconds` are not part of it:
an Answered has no time of its own, so the relay uses the time of arrival.

Time is compressed: what CloudTalk spreads over minutes is sent at once, in the order of real deliveries.
All people and numbers are made up.

Import from this package; `relay.simulator.demo` has the relay process of the demo.
"""

from relay.simulator.calls import DIALECTS, generate_calls
from relay.simulator.message import Body, Message, SimulatedCall
from relay.simulator.report import Report
from relay.simulator.run import simulate
from relay.simulator.sender import ClientFactory, OnProgress, RequestBuilder, Sender
from relay.simulator.sequences import build_sequences

__all__ = [
    "DIALECTS",
    "Body",
    "ClientFactory",
    "Message",
    "OnProgress",
    "Report",
    "RequestBuilder",
    "Sender",
    "SimulatedCall",
    "build_sequences",
    "generate_calls",
    "simulate",
]
