"""One call: its events, the join of their facts, the status and the record. Pure: no I/O, no clock.

`event` → `state` (the facts of an event as registers) → `join` → `status` → `record`. Import everything from
here, nothing from the modules.
"""

from relay.call.agents import distinct_agents
from relay.call.event import ASKED_RANK, HISTORY_RANK, ROW, CallEvent, Kind
from relay.call.from_event import OUTCOME_KINDS, has_unknown_outcome, join_event, state_from_event
from relay.call.join import join
from relay.call.legs import Leg
from relay.call.minimal import minimal_call
from relay.call.missed_reason import MissedReason, missed_reason_in_spanish
from relay.call.parties import HasFacts, external_number, internal_number
from relay.call.record import (
    ANSWER_WITHIN,
    DELIVERED_FIELDS,
    FIELDS,
    Call,
    build_record,
    changed_fields,
    is_missed,
    known_fields,
    seconds_to_call_back,
)
from relay.call.recording_links import (
    API_RECORDINGS,
    RecordingLinks,
    is_signed,
    needs_api_key,
    with_playable_recording,
)
from relay.call.repeated_times import choose_instants
from relay.call.state import (
    ALTERNATIVES,
    CallBack,
    CallState,
    Register,
    Stamp,
    call_back_of,
    is_from_history,
    is_only_from_history,
)
from relay.call.status import Status, compute_status, has_conversation, has_stated_outcome

__all__ = [
    "ALTERNATIVES",
    "ANSWER_WITHIN",
    "API_RECORDINGS",
    "ASKED_RANK",
    "DELIVERED_FIELDS",
    "FIELDS",
    "HISTORY_RANK",
    "OUTCOME_KINDS",
    "ROW",
    "Call",
    "CallBack",
    "CallEvent",
    "CallState",
    "HasFacts",
    "Kind",
    "Leg",
    "MissedReason",
    "RecordingLinks",
    "Register",
    "Stamp",
    "Status",
    "build_record",
    "call_back_of",
    "changed_fields",
    "choose_instants",
    "compute_status",
    "distinct_agents",
    "external_number",
    "has_conversation",
    "has_stated_outcome",
    "has_unknown_outcome",
    "internal_number",
    "is_from_history",
    "is_missed",
    "is_only_from_history",
    "is_signed",
    "join",
    "join_event",
    "known_fields",
    "minimal_call",
    "missed_reason_in_spanish",
    "needs_api_key",
    "seconds_to_call_back",
    "state_from_event",
    "with_playable_recording",
]
