"""The signed dialect: CloudTalk's native webhooks of 2026. All of them are sent after the call.

CloudTalk repeats a message until it is acknowledged: some come twice with the same message id, and
sometimes with another event id. These webhooks contain no agent, contact or tags.
"""

from random import Random
from typing import Any, Final

import msgspec

from relay.simulator.expected import expected_record, format_utc
from relay.simulator.message import Body, Message, SimulatedCall
from relay.simulator.scenario import Scenario
from relay.simulator.script import CallScript
from relay.simulator.timed_message import TimedMessage, build_simulated_call
from relay.simulator.workflow import DIRECTIONS, recording_url

_COMPANY: Final = "12345"
_REDELIVERED_SHARE: Final = 0.15
"""The share of messages that are sent twice."""

_REDELIVERY_SECONDS: Final = 30
_WITHHELD_SHARE: Final = 0.08
"""The share of incoming calls whose caller withholds the number."""

_NOT_SENT: Final = (
    "contact_id",
    "contact_name",
    "agent_id",
    "agent_name",
    "agent_email",
    "wrapup_seconds",
)
_SUMMARY: Final = "El cliente pregunta por su pedido; se le llamará mañana."


def supports(scenario: Scenario) -> bool:
    """CloudTalk has no native webhook for a call in progress."""
    return scenario.ended


def simulate_call(script: CallScript, random: Random) -> SimulatedCall:
    """Build the messages of a company that uses native webhooks only."""
    script = msgspec.structs.replace(script, tag_edits=())
    events = SignedEvents(script, random)
    messages = [*events.ended(), *events.recording(), *events.summary(), *events.transcript()]
    return build_simulated_call(script, messages, events.expected())


class SignedEvents:
    """Builds the native webhooks of one call, each once or twice."""

    def __init__(self, script: CallScript, random: Random, *, may_withhold: bool = True) -> None:
        self._script, self._random = script, random
        self._recording_url = recording_url(script)
        self._withheld = may_withhold and script.scenario.inbound and random.random() < _WITHHELD_SHARE

    def ended(self) -> list[TimedMessage]:
        """The event has both ids and does not wait for the agent's wrap-up."""
        script = self._script
        caller: Body = (
            {"caller_id_status": "withheld"}
            if self._withheld
            else {"external_number": script.customer.number}
        )
        data = {
            "direction": DIRECTIONS[script.scenario.direction],
            "internal_number": {"number_e164": script.own_number},
            "started_at": format_utc(script.started_at),
            "ended_at": format_utc(script.time_at(script.hung_up)),
            "duration": script.hung_up,
            "talking_time": script.talking,
            "waiting_time": script.waiting,
            "is_voicemail": script.scenario.voicemail,
        }
        return self._deliver(script.hung_up + 1, "call.ended", self._both_ids() | caller | data)

    def recording(self) -> list[TimedMessage]:
        """The event has the uuid, sometimes the call_id, and no telephone numbers."""
        if self._script.recorded is None:
            return []
        ids = self._random.choice((self._both_ids(), self._uuid()))
        data = ids | {"recording_url": self._recording_url}
        return self._deliver(self._script.recorded, "call.recording_ready", data)

    def summary(self) -> list[TimedMessage]:
        """The summary of CloudTalk's AI may come before Call Ended. It is nested, without numbers."""
        if not self._script.scenario.answered:
            return []
        offset = self._script.hung_up + self._random.uniform(-2, 20)
        data = {"summary": {"summary": _SUMMARY}, "language": "es"}
        return self._deliver(offset, "cidata.ready", self._uuid() | data)

    def transcript(self) -> list[TimedMessage]:
        """The event says that there is a text, and does not contain it."""
        if self._script.transcribed is None:
            return []
        return self._deliver(self._script.transcribed, "transcript.ready", self._uuid())

    def expected(self) -> dict[str, Any]:
        """Return the record that must result."""
        expected = expected_record(self._script) | dict.fromkeys(_NOT_SENT)
        expected["summary"] = _SUMMARY if self._script.scenario.answered else None
        if self._script.recorded is not None:
            expected["recording_url"] = self._recording_url
        if self._withheld:
            expected |= {"from": None, "external_number": None}
        return expected

    def _both_ids(self) -> Body:
        return self._uuid() | {"call_id": str(self._script.call_id)}

    def _uuid(self) -> Body:
        return {"call_uuid": self._script.uuid}

    def _deliver(self, offset: float, type: str, data: Body) -> list[TimedMessage]:  # noqa: A002 - CloudTalk's key
        """Build the message, and sometimes its redelivery."""
        message = self._message(offset, type, data)
        if self._random.random() > _REDELIVERED_SHARE:
            return [TimedMessage(offset, message)]
        event_id = self._random.choice((message.body["event_id"], self._random_id("evt")))
        redelivery = Message(message.body | {"event_id": event_id}, id=message.id)
        return [TimedMessage(offset, message), TimedMessage(offset + _REDELIVERY_SECONDS, redelivery)]

    def _message(self, offset: float, type: str, data: Body) -> Message:  # noqa: A002 - CloudTalk's key
        occurred_at = self._script.time_at(offset).isoformat(timespec="milliseconds")
        body = {
            "event_id": self._random_id("evt"),
            "type": type,
            "version": "v1",
            "occurred_at": occurred_at.replace("+00:00", "Z"),
            "company_id": _COMPANY,
            "data": data,
        }
        return Message(body, id=self._random_id("msg"))

    def _random_id(self, prefix: str) -> str:
        return f"{prefix}_{self._random.getrandbits(96):024x}"
