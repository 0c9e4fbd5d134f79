"""The event: what one message states about one call."""

from enum import StrEnum
from typing import Any, Final

import msgspec

from relay.instants import Instant


class Kind(StrEnum):
    """What happened to the call."""

    STARTED = "started"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"
    MISSED = "missed"
    VOICEMAIL = "voicemail"
    RECORDING = "recording"
    TRANSCRIPT = "transcript"
    SUMMARY = "summary"
    MODIFIED = "modified"
    """A person edited tags, notes or the contact."""
    UPDATE = "update"
    """Nothing happened; the message only states facts."""


HISTORY_RANK: Final = 4
"""The source rank of a row of CloudTalk's history, which states a call as it is when the row is fetched."""

ASKED_RANK: Final = -1
"""The source rank of what the relay asked CloudTalk about one call: no row of the history, and no webhook."""

ROW: Final = "row:"
"""Before the call_id in the name of the fact that has the digest of such a row."""


class CallEvent(msgspec.Struct, frozen=True):
    """A parsed event, the same for all dialects.

    `name`: the record that this event begins has the id `cloudtalk-{name}`. `aliases`: the ids of the call,
    each with its namespace (`uuid:`, `id:` or `other:`). `data`: what CloudTalk sent. `message_ids`: ids of
    the message; a redelivery has the same. `warnings`: values that could not be parsed, for the log.
    `source_rank`: of two events the one with the higher rank sets the durations. `single_id`: all events of
    the call have the same single id. `missing`: the variable that an Ended lacks to state whether somebody
    talked.

    `facts` has only what the message states: `call_id call_uuid direction status from to external_number
    internal_number contact_id contact_name agent_id agent_name agent_email recording_url tags notes
    transcript summary` as in the record (`tags` a list, `status` answered, missed or voicemail),
    `smart_notes missed_reason` (texts of CloudTalk's API), `rung` ([agent_id, agent_name] of each agent
    whose phone rang in vain), `resolved_at resolved_by` (when the conversation after a missed call began, and
    its agent's name),
    `api_recording_url` (the recording in CloudTalk's API, which needs its key), `leg_of` (the call_ids of
    which this call is another leg), `alone` (number and time link the event to no call), `named` (the number
    that webhooks state in the place of the call_id, although CloudTalk has no call with it),
    `started_at answered_at ended_at` as `Instant`, and as `started_at_repeated` (and so on) the other instant
    that the time may be, see `repeated_times`, `duration talking waiting wrapup` in seconds,
    `voicemail` true. A row of the history also has `row:{call_id}`, a digest of its content.
    """

    kind: Kind
    dialect: str
    name: str
    aliases: tuple[str, ...]
    occurred_at: Instant | None
    facts: dict[str, Any]
    data: dict[str, Any]
    message_ids: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    source_rank: int = 0
    single_id: bool = False
    missing: str | None = None

    @property
    def is_from_history(self) -> bool:
        """Whether the relay fetched the event from CloudTalk's history."""
        return self.source_rank == HISTORY_RANK

    def fact(self, name: str) -> Any:
        """The value of a fact; None if the event does not state it."""
        return self.facts.get(name)
