"""The signed dialect: CloudTalk's native webhooks of 2026. All of them come after the call.

A message is delivered until it is acknowledged: some come again, under the same message id, and now
and then under another event id. No agent, contact or tags are told.
"""

from random import Random
from typing import Any, Final

import msgspec

from relay.simulator.message import Body, Message, SimulatedCall
from relay.simulator.record import iso, record_of, told
from relay.simulator.story import Course, Story, Timed
from relay.simulator.workflow import DIRECTIONS, recording_url

_COMPANY: Final = "12345"
_REDELIVERED: Final = 0.15
"""The share of messages that come again."""

_UNTOLD: Final = (
    "contact_id",
    "contact_name",
    "agent_id",
    "agent_name",
    "agent_email",
    "wrapup_seconds",
)
_SUMMARY: Final = "El cliente pregunta por su pedido; se le llamará mañana."
_TEXT: Final = "Hola, buenos días. Llamo por mi pedido."


def fits(course: Course) -> bool:
    """There is no webhook for a call under way."""
    return course.ended


def simulated(story: Story, random: Random) -> SimulatedCall:
    """The call as native webhooks alone tell it."""
    story = msgspec.structs.replace(story, edits=())
    teller = Signed(story, random)
    messages = [*teller.ended(), *teller.recording(), *teller.summary(), *teller.transcript()]
    return told(story, messages, teller.expected())


class Signed:
    """Tells the events of one story, each with its moment. A caller may have `withheld` their number."""

    def __init__(self, story: Story, random: Random, *, may_withhold: bool = True) -> None:
        self._story, self._random = story, random
        self._recording_url = recording_url(story)
        inbound = story.course.direction == "inbound"
        self._withheld = may_withhold and inbound and random.random() < 0.08  # noqa: PLR2004 - one in twelve

    def ended(self) -> list[Timed]:
        """Both ids, the measures, and no wait for the agent's wrap-up."""
        story = self._story
        whom = (
            {"caller_id_status": "withheld"} if self._withheld else {"external_number": story.customer.number}
        )
        data = {
            "direction": DIRECTIONS[story.course.direction],
            "internal_number": {"number_e164": story.own},
            "started_at": iso(story.started),
            "ended_at": iso(story.at(story.over)),
            "duration": story.over,
            "talking_time": story.talking,
            "waiting_time": story.waiting,
            "is_voicemail": story.course.voicemail,
        }
        return self._sent(story.over + 1, "call.ended", self._ids() | whom | data)

    def recording(self) -> list[Timed]:
        """The call's number, and not always its uuid."""
        if self._story.recorded is None:
            return []
        data = self._random.choice((self._ids(), self._number()))
        return self._sent(
            self._story.recorded, "call.recording_ready", data | {"recording_url": self._recording_url}
        )

    def summary(self) -> list[Timed]:
        """What CloudTalk's AI makes of a call; it may be there before the call has ended."""
        if not self._story.course.answered:
            return []
        moment = self._story.over + self._random.uniform(-2, 20)
        return self._sent(moment, "cidata.ready", self._ids() | {"summary": _SUMMARY})

    def transcript(self) -> list[Timed]:
        """The call's number alone."""
        if self._story.transcribed is None:
            return []
        return self._sent(self._story.transcribed, "transcript.ready", self._number() | {"transcript": _TEXT})

    def expected(self) -> dict[str, Any]:
        """The record of the call once all of this was told. In which shape CloudTalk sends the text of
        a transcript is not known for sure, so it is not foretold.
        """
        expected = record_of(self._story) | dict.fromkeys(_UNTOLD)
        if self._story.recorded is not None:
            expected["recording_url"] = self._recording_url
        if self._withheld:
            expected |= {"from": None, "external_number": None}
        del expected["transcript"]
        return expected

    def _ids(self) -> Body:
        return {"call_uuid": self._story.uuid} | self._number()

    def _number(self) -> Body:
        return {"call_id": str(self._story.call_id)}

    def _sent(self, moment: float, type: str, data: Body) -> list[Timed]:  # noqa: A002 - the envelope's own word
        """Delivered once, or twice."""
        message = self._message(moment, type, data)
        if self._random.random() > _REDELIVERED:
            return [(moment, message)]
        body = message.body | {"event_id": self._random.choice((message.body["event_id"], self._name("evt")))}
        return [(moment, message), (moment + 30, Message(body, id=message.id))]

    def _message(self, moment: float, type: str, data: Body) -> Message:  # noqa: A002 - as above
        body = {
            "event_id": self._name("evt"),
            "type": type,
            "version": "v1",
            "occurred_at": self._story.at(moment).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "company_id": _COMPANY,
            "data": data,
        }
        return Message(body, id=self._name("msg"))

    def _name(self, prefix: str) -> str:
        return f"{prefix}_{self._random.getrandbits(96):024x}"
