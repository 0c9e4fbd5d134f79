"""A simulated CloudTalk: it speaks all of CloudTalk's dialects over real HTTP and knows how it must end.

What a call must end as is written beside each scenario and never computed by the relay's own reader
or join: a simulator that asked those would agree with their faults. `answered_at` and
`response_seconds` are not foretold, since an Answered bears no time and the moment of its arrival
stands for it.

Time is compressed: what CloudTalk would spread over minutes goes out at once, in the order that real
deliveries have. All people and numbers are made up.
"""

from relay.simulator.message import Body, Message, SimulatedCall
from relay.simulator.order import errands
from relay.simulator.run import Progress, Report, simulate
from relay.simulator.scenarios import DIALECTS, scenarios

__all__ = [
    "DIALECTS",
    "Body",
    "Message",
    "Progress",
    "Report",
    "SimulatedCall",
    "errands",
    "scenarios",
    "simulate",
]
