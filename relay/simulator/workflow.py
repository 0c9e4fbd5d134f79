"""The workflow dialect: flat keys that a customer typed, numbers as integers, no "missed".

Started and what follows know the call's uuid alone, Recording and Transcription its number alone;
Ended bears both, minutes late, when the agent has wrapped up. Times always have an offset: in which
zone a bare one would be is a setting of the relay's, which a simulator of CloudTalk cannot know.
"""

import base64
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any, Final

import msgspec

from relay.simulator import naming
from relay.simulator.message import Body, SimulatedCall
from relay.simulator.people import Agent
from relay.simulator.record import iso, record_of, told
from relay.simulator.story import Course, Story, Timed

DIRECTIONS: Final = {"inbound": "incoming", "outbound": "outgoing"}
LOST_TEXT: Final = "[object Object]"
"""What CloudTalk delivers as a transcript now and then."""

_MADRID_IN_WINTER: Final = timezone(timedelta(hours=1))
_NUMBERS: Final[tuple[Callable[[str], int | str], ...]] = (
    lambda number: int(number[1:]),
    lambda number: int(number[1:]),
    lambda number: number[1:],
    lambda number: number,
)
_SECONDS: Final[tuple[Callable[[int], int | str], ...]] = (int, int, str)
_MOMENTS: Final[tuple[Callable[[datetime], str], ...]] = (
    iso,
    lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    lambda moment: moment.astimezone(_MADRID_IN_WINTER).isoformat(),
)
_NOTHING: Final = (None, "")


def fits(_: Course) -> bool:
    """A workflow can tell any call."""
    return True


def simulated(story: Story, random: Random) -> SimulatedCall:
    """The call as workflows alone tell it."""
    teller = Workflow(story, random)
    beginning = [teller.started(), *teller.ringing()]
    if story.course.answered:
        beginning.append(teller.answered())
    if not story.course.ended:
        return told(story, beginning, record_of(story))
    end = [teller.ended(), *teller.modified(), *teller.recording(), *teller.transcript()]
    return told(story, beginning + end, teller.expected())


class Style(msgspec.Struct, frozen=True):
    """How one customer's bodies are written. `says_end`: an Ended's own time is null now and then."""

    name: naming.Naming
    number: Callable[[str], int | str]
    seconds: Callable[[int], int | str]
    moment: Callable[[datetime], str]
    nothing: str | None
    yes: bool | str
    says_end: bool
    transcript: str


def style_of(random: Random) -> Style:
    """Any of the ways that were seen."""
    return Style(
        name=naming.naming(random),
        number=random.choice(_NUMBERS),
        seconds=random.choice(_SECONDS),
        moment=random.choice(_MOMENTS),
        nothing=random.choice(_NOTHING),
        yes=random.choice((True, "true")),
        says_end=random.choice((True,) * 7 + (False,)),
        transcript=random.choice((LOST_TEXT, "Hola, buenos días. Llamo por mi pedido.")),
    )


class Workflow:
    """Tells the events of one story, each with its moment, in one style."""

    def __init__(self, story: Story, random: Random) -> None:
        self._story = story
        self._style = style_of(random)
        self._recording_url = recording_url(story)
        self._attempts = random.choice((None, 1, 15))

    def started(self) -> Timed:
        """Nobody has the call yet, unless an agent dialled it."""
        dialled_by = self._story.agent if self._story.course.direction == "outbound" else None
        contact = self._contact(known=not self._story.customer.late)
        return self._timed(0, naming.STARTED, self._agent(dialled_by) | contact)

    def ringing(self) -> list[Timed]:
        """Once per agent rung."""
        step = self._story.waiting / (len(self._story.rung) + 1)
        return [
            self._timed(step * number, naming.RINGING, self._agent(agent))
            for number, agent in enumerate(self._story.rung, 1)
        ]

    def answered(self) -> Timed:
        """It bears no time of its own."""
        told = self._agent(self._story.agent) | self._contact(known=True)
        return self._timed(self._story.waiting, naming.ANSWERED, told)

    def modified(self) -> list[Timed]:
        """An edit of the tags: the whole list as text."""
        return [self._timed(moment, naming.MODIFIED, {"tags": tags}) for moment, tags in self._story.edits]

    def ended(self) -> Timed:
        """The one event with both ids."""
        story, style = self._story, self._style
        ready = story.recorded is not None and story.recorded < story.wrapped_up
        told = {
            "call_id": story.call_id,
            "ended_at": style.moment(story.at(story.over)) if style.says_end else None,
            "talking_time": style.seconds(story.talking),
            "waiting_time": style.seconds(story.waiting),
            "wrapup_time": style.seconds(story.wrapup),
            "is_voicemail": style.yes if story.course.voicemail else None,
            "tags": story.tags_at(story.wrapped_up),
            "recording_url": self._recording_url if ready else None,
            "# di tentativi di chiamata": self._attempts,
        }
        whom = self._agent(story.agent) | self._contact(known=True)
        return self._timed(story.wrapped_up, naming.ENDED, told | whom)

    def recording(self) -> list[Timed]:
        """The call's number and no uuid."""
        if self._story.recorded is None:
            return []
        body = {"call_id": self._story.call_id, "recording_url": self._recording_url} | self._numbers()
        return [(self._story.recorded, self._style.name(naming.RECORDING, body))]

    def transcript(self) -> list[Timed]:
        """The call's number and no uuid, and the text or what became of it."""
        if self._story.transcribed is None:
            return []
        body = {
            "transcript": self._style.transcript,
            "call_id": self._story.call_id,
            "talking_time": self._style.seconds(self._story.talking),
            "recording_url": self._recording_url,
        }
        return [(self._story.transcribed, self._style.name(naming.TRANSCRIPT, body))]

    def expected(self) -> dict[str, Any]:
        """The record of the call once all of this was told."""
        expected = record_of(self._story)
        if self._story.recorded is not None:
            expected["recording_url"] = self._recording_url
        if self._story.transcribed is not None and self._style.transcript != LOST_TEXT:
            expected["transcript"] = self._style.transcript
        if not self._style.says_end:
            expected["ended_at"] = None
            del expected["duration_seconds"]  # nothing says it; what may be made of the other times is open
        return expected

    def _timed(self, moment: float, name: str, told: Body) -> Timed:
        body = {"call_uuid": self._story.uuid} | self._numbers()
        body |= {
            "direction": DIRECTIONS[self._story.course.direction],
            "started_at": self._style.moment(self._story.started),
        }
        return moment, self._style.name(name, body | told)

    def _numbers(self) -> Body:
        number = self._style.number
        return {
            "internal_number": number(self._story.own),
            "external_number": number(self._story.customer.number),
        }

    def _agent(self, agent: Agent | None) -> Body:
        return {
            "agent_id": agent.id if agent else None,
            "agent_first_name": agent.first_name if agent else None,
            "agent_last_name": agent.last_name if agent else None,
            "agent_email": agent.email if agent else None,
        }

    def _contact(self, *, known: bool) -> Body:
        """CloudTalk's number of the contact, null or empty for somebody new."""
        who = self._story.customer
        return {
            "contact_id": int(who.contact_id) if known and who.contact_id else self._style.nothing,
            "contacts[0].name": who.contact_name if known else None,
        }


def recording_url(story: Story) -> str:
    """CloudTalk's public link: the base64 of the call's number, its padding escaped or, in every
    other call, gone.
    """
    number, secret = _base64(str(story.call_id)), _base64(story.uuid[:8])
    number = number.replace("=", "%3D") if story.call_id % 2 else number.rstrip("=")
    return f"https://my.cloudtalk.io/pub/r/{number}/{secret.replace('=', '%3D')}.wav"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
