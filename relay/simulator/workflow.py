"""The workflow dialect: flat keys that a customer typed, numbers as integers, no event for a missed call.

Events before the end have only the call's uuid; Recording and Transcription have only its call_id;
Ended has both and comes minutes late, after the agent's wrap-up. Times always have an offset: without
one their zone would depend on a setting of the relay, which this simulator cannot know.
"""

import base64
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any, Final

import msgspec

from relay.simulator import event_naming
from relay.simulator.expected import expected_record, format_utc
from relay.simulator.message import Body, SimulatedCall
from relay.simulator.people import Agent
from relay.simulator.scenario import Scenario
from relay.simulator.script import CallScript
from relay.simulator.timed_message import TimedMessage, build_simulated_call

DIRECTIONS: Final = {"inbound": "incoming", "outbound": "outgoing"}
LOST_TRANSCRIPT: Final = "[object Object]"
"""What CloudTalk sometimes sends instead of the transcript's text."""

_MADRID_IN_WINTER: Final = timezone(timedelta(hours=1))
_NUMBER_FORMATS: Final[tuple[Callable[[str], int | str], ...]] = (
    lambda number: int(number[1:]),
    lambda number: int(number[1:]),
    lambda number: number[1:],
    lambda number: number,
)
_SECONDS_FORMATS: Final[tuple[Callable[[int], int | str], ...]] = (int, int, str)
_TIME_FORMATS: Final[tuple[Callable[[datetime], str], ...]] = (
    format_utc,
    lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    lambda moment: moment.astimezone(_MADRID_IN_WINTER).isoformat(),
)
_EMPTY_VALUES: Final = (None, "")


def supports(_: Scenario) -> bool:
    """Workflows exist for calls of every kind."""
    return True


def simulate_call(script: CallScript, random: Random) -> SimulatedCall:
    """Build the messages of a company that uses workflows only."""
    events = WorkflowEvents(script, random)
    messages = [events.started(), *events.ringing()]
    if script.scenario.answered:
        messages.append(events.answered())
    if not script.scenario.ended:
        return build_simulated_call(script, messages, expected_record(script))
    messages += [events.ended(), *events.modified(), *events.recording(), *events.transcript()]
    return build_simulated_call(script, messages, events.expected())


class Style(msgspec.Struct, frozen=True):
    """How one customer's bodies are written, and which transcript CloudTalk sends.

    `has_ended_at`: sometimes the time of an Ended is null.
    """

    name_event: event_naming.EventNamer
    format_number: Callable[[str], int | str]
    format_seconds: Callable[[int], int | str]
    format_time: Callable[[datetime], str]
    empty: str | None
    true: bool | str
    has_ended_at: bool
    transcript: str


def choose_style(random: Random) -> Style:
    """Choose from what real accounts send."""
    return Style(
        name_event=event_naming.choose_namer(random),
        format_number=random.choice(_NUMBER_FORMATS),
        format_seconds=random.choice(_SECONDS_FORMATS),
        format_time=random.choice(_TIME_FORMATS),
        empty=random.choice(_EMPTY_VALUES),
        true=random.choice((True, "true")),
        has_ended_at=random.choice((True,) * 7 + (False,)),
        transcript=random.choice((LOST_TRANSCRIPT, "Hola, buenos días. Llamo por mi pedido.")),
    )


class WorkflowEvents:
    """Builds the workflow events of one call, all in one style."""

    def __init__(self, script: CallScript, random: Random) -> None:
        self._script = script
        self._style = choose_style(random)
        self._recording_url = recording_url(script)
        self._attempts = random.choice((None, 1, 15))

    def started(self) -> TimedMessage:
        """Only outbound calls have an agent already, the one who dials."""
        dialled_by = None if self._script.scenario.inbound else self._script.agent
        contact = self._contact(known=not self._script.customer.created_during_call)
        return self._build(0, event_naming.STARTED, self._agent(dialled_by) | contact)

    def ringing(self) -> list[TimedMessage]:
        """One event for each agent rung."""
        step = self._script.waiting / (len(self._script.agents_rung) + 1)
        return [
            self._build(step * number, event_naming.RINGING, self._agent(agent))
            for number, agent in enumerate(self._script.agents_rung, 1)
        ]

    def answered(self) -> TimedMessage:
        """The event has no time of its own."""
        fields = self._agent(self._script.agent) | self._contact(known=True)
        return self._build(self._script.waiting, event_naming.ANSWERED, fields)

    def modified(self) -> list[TimedMessage]:
        """One event for each edit of the tags, with the whole list as text."""
        return [
            self._build(offset, event_naming.MODIFIED, {"tags": tags})
            for offset, tags in self._script.tag_edits
        ]

    def ended(self) -> TimedMessage:
        """The only event with both ids."""
        script, style = self._script, self._style
        is_recorded = script.recorded is not None and script.recorded < script.wrapped_up
        fields = {
            "call_id": script.call_id,
            "ended_at": style.format_time(script.time_at(script.hung_up)) if style.has_ended_at else None,
            "talking_time": style.format_seconds(script.talking),
            "waiting_time": style.format_seconds(script.waiting),
            "wrapup_time": style.format_seconds(script.wrapup),
            "is_voicemail": style.true if script.scenario.voicemail else None,
            "tags": script.tags_at(script.wrapped_up),
            "recording_url": self._recording_url if is_recorded else None,
            "# di tentativi di chiamata": self._attempts,
        }
        people = self._agent(script.agent) | self._contact(known=True)
        return self._build(script.wrapped_up, event_naming.ENDED, fields | people)

    def recording(self) -> list[TimedMessage]:
        """The event has the call_id and no uuid."""
        if self._script.recorded is None:
            return []
        body = {"call_id": self._script.call_id, "recording_url": self._recording_url} | self._numbers()
        message = self._style.name_event(event_naming.RECORDING, body)
        return [TimedMessage(self._script.recorded, message)]

    def transcript(self) -> list[TimedMessage]:
        """The event has the call_id and no uuid."""
        if self._script.transcribed is None:
            return []
        body = {
            "transcript": self._style.transcript,
            "call_id": self._script.call_id,
            "talking_time": self._style.format_seconds(self._script.talking),
            "recording_url": self._recording_url,
        }
        message = self._style.name_event(event_naming.TRANSCRIPT, body)
        return [TimedMessage(self._script.transcribed, message)]

    def expected(self) -> dict[str, Any]:
        """Return the record that must result from all events of a call that has ended."""
        expected = expected_record(self._script)
        if self._script.recorded is not None:
            expected["recording_url"] = self._recording_url
        if self._script.transcribed is not None and self._style.transcript != LOST_TRANSCRIPT:
            expected["transcript"] = self._style.transcript
        if not self._style.has_ended_at:
            expected["ended_at"] = None
            # No event states the duration. The relay may compute one from the other times, or not.
            del expected["duration_seconds"]
        return expected

    def _build(self, offset: float, name: str, fields: Body) -> TimedMessage:
        """Build an event of a call whose call_id is not known yet."""
        body = {"call_uuid": self._script.uuid} | self._numbers()
        body |= {
            "direction": DIRECTIONS[self._script.scenario.direction],
            "started_at": self._style.format_time(self._script.started_at),
        }
        return TimedMessage(offset, self._style.name_event(name, body | fields))

    def _numbers(self) -> Body:
        return {
            "internal_number": self._style.format_number(self._script.own_number),
            "external_number": self._style.format_number(self._script.customer.number),
        }

    def _agent(self, agent: Agent | None) -> Body:
        return {
            "agent_id": agent.id if agent else None,
            "agent_first_name": agent.first_name if agent else None,
            "agent_last_name": agent.last_name if agent else None,
            "agent_email": agent.email if agent else None,
        }

    def _contact(self, *, known: bool) -> Body:
        customer = self._script.customer
        return {
            "contact_id": int(customer.contact_id) if known and customer.contact_id else self._style.empty,
            "contacts[0].name": customer.contact_name if known else None,
        }


def recording_url(script: CallScript) -> str:
    """Build CloudTalk's public link. It contains the call_id in base64.

    Real links have its padding escaped or removed; here every other call has it removed.
    """
    call_id, secret = _base64(str(script.call_id)), _base64(script.uuid[:8])
    call_id = call_id.replace("=", "%3D") if script.call_id % 2 else call_id.rstrip("=")
    return f"https://my.cloudtalk.io/pub/r/{call_id}/{secret.replace('=', '%3D')}.wav"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
