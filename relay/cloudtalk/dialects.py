"""The dialects: the forms in which CloudTalk's events arrive, each declared once, at the end of this file.

A new dialect needs one declaration in `DIALECTS`; its place in the list is its priority.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from relay.call import ASKED_RANK, HISTORY_RANK, Kind
from relay.cloudtalk.flatten import Field, FlatBody, flatten, normalize_key
from relay.cloudtalk.request import RawRequest


class Dialect(msgspec.Struct, frozen=True):
    """One form in which events arrive. The first dialect of `DIALECTS` that recognises a body parses it."""

    name: str
    recognises: Callable[[dict[str, Any], RawRequest], bool]
    source_rank: int
    """How exact durations are: of two events the one with the higher rank sets them."""
    single_id: bool = False
    """Whether all events of a call have the same single id, so that no second id can be expected."""
    always_ack: bool = False
    """Whether a refusal would harm the sender: it must get a 2xx for a body that cannot be parsed, too."""
    quarantine_unknown: bool = True
    """Whether a body that looks like a call, but has neither an event name nor an id, goes to quarantine."""
    enveloped: bool = False
    """Whether `type` is the event's name, known or not, and `event_id` the event's own id."""
    outcome_variable: str = "talking_time"
    """The key by which the Ended states whether somebody talked."""
    flatten: Callable[[dict[str, Any], str], FlatBody] = flatten
    """A faster way to flatten bodies that a program writes, which all look alike."""


# --- rest: a row of CloudTalk's history, which the relay itself fetched ------------------------

HISTORY_PATH: Final = "history/calls"
"""The path under which the journal has such rows. The path of an HTTP request begins with "/", so no sender
of a webhook can give its body the rank of the history.
"""


def _is_rest(_body: dict[str, Any], request: RawRequest) -> bool:
    return request.path == HISTORY_PATH


ENRICHMENT_PATH: Final = "enrichment/"
"""Before the name of what the relay asked CloudTalk about one call, in the path of the journal."""


def _is_enrichment(_body: dict[str, Any], request: RawRequest) -> bool:
    return request.path.startswith(ENRICHMENT_PATH)


# --- mission: {"event": "call.…", "data": {…}}, as a customer's automation builds it ------------

MISSION_KINDS: Final = {
    "call.started": Kind.STARTED,
    "call.answered": Kind.ANSWERED,
    "call.ended": Kind.ENDED,
    "call.missed": Kind.MISSED,
}
_OTHER_IDS: Final = ("call_uuid", "call_id")


def _is_mission(body: dict[str, Any], _request: RawRequest) -> bool:
    """By `data.id`, or by one of the four events without any other id and without a wrapper in `data`."""
    name, data = body.get("event"), body.get("data")
    if not isinstance(data, dict):
        return False
    if isinstance(name, str):
        return name in MISSION_KINDS and ("id" in data or not (_has_other_id(data) or _is_wrapper(data)))
    return "id" in data and isinstance(name, int | float | list)  # its parser refuses such a name


def _has_other_id(data: dict[str, Any]) -> bool:
    return any(key in data for key in _OTHER_IDS)


def _is_wrapper(data: dict[str, Any]) -> bool:
    """Whether the only value is an object or a list, as in `{"call": {…}}`."""
    return len(data) == 1 and isinstance(next(iter(data.values())), dict | list)


# --- signed: CloudTalk's own webhooks, {event_id, type, version, occurred_at, company_id, data} -

_ENVELOPE_MARKS: Final = ("event_id", "occurred_at", "company_id")
_ENVELOPE: Final = frozenset({"event_id", "type", "version", "occurred_at", "company_id", "data"})
_SIGNED_KEYS: Final = {
    key: normalize_key(key)
    for key in (
        "call_uuid",
        "call_id",
        "direction",
        "external_number",
        "internal_number",
        "started_at",
        "answered_at",
        "ended_at",
        "duration",
        "talking_time",
        "waiting_time",
        "wrapup_time",
        "is_voicemail",
        "caller_id_status",
        "recording_url",
        "contact_id",
        "contact_name",
        "agent_id",
        "agent_name",
        "agent_email",
        "status",
    )
}
"""The keys of `data` whose values need no further flattening."""


def _is_signed(body: dict[str, Any], request: RawRequest) -> bool:
    """By the message id, which no other sender gives, else by the envelope."""
    if request.message_id is not None:
        return True
    return isinstance(body.get("type"), str) and any(key in body for key in _ENVELOPE_MARKS)


def _flatten_signed(body: dict[str, Any], pointer: str) -> FlatBody:
    """Like `flatten`, at less than half its cost if all keys are known."""
    data = body.get("data")
    if not (isinstance(data, dict) and _ENVELOPE.issuperset(body) and data.keys() <= _SIGNED_KEYS.keys()):
        return flatten(body, pointer)
    parent = pointer + "/data"
    fields = {
        _SIGNED_KEYS[key]: Field(parent, key, value) for key, value in data.items() if value is not None
    }
    for key, normalized in (("event_id", "eventid"), ("occurred_at", "occurredat")):
        if key in body:
            fields[normalized] = Field(pointer, key, body[key])
    return FlatBody(fields, [Field(pointer, "type", body.get("type"))], data, parent)


# --- flow: the HTTP Request step of a call flow, with keys like the flow's variables ------------

_FLOW_VARIABLES: Final = frozenset(
    {
        "call.uuid",
        "call.external_number",
        "call.waiting_time",
        "call.agent_id",
        "call.agent_email",
        "contact.id",
    }
)


def _is_flow(body: dict[str, Any], request: RawRequest) -> bool:
    """By the URL, else by keys named like the variables of a call flow; a workflow's are named otherwise."""
    if request.is_from_call_flow or not _FLOW_VARIABLES.isdisjoint(body):
        return True
    call = body.get("call")
    return ("uuid" in body and "call_uuid" not in body) or (isinstance(call, dict) and "uuid" in call)


# --- workflow: Workflow Automations, whose bodies customers type by hand, and any other body ----


def _is_workflow(_body: dict[str, Any], _request: RawRequest) -> bool:
    return True


# --- the declarations ---------------------------------------------------------------------------

REST: Final = Dialect("rest", _is_rest, source_rank=HISTORY_RANK)
# Of the same source, but no row of the history: it states neither durations nor how the call went.
ENRICHMENT: Final = Dialect("rest", _is_enrichment, source_rank=ASKED_RANK)
MISSION: Final = Dialect("mission", _is_mission, source_rank=1, single_id=True, outcome_variable="status")
# A sender of signed webhooks disables an endpoint that refuses them for some days.
SIGNED: Final = Dialect(
    "signed", _is_signed, source_rank=3, always_ack=True, enveloped=True, flatten=_flatten_signed
)
# A call flow waits for the response while the caller waits, and branches on it. Its uuid is null until
# somebody answers: a person cannot repair that, so such a body needs no quarantine.
FLOW: Final = Dialect("flow", _is_flow, source_rank=2, always_ack=True, quarantine_unknown=False)
WORKFLOW: Final = Dialect("workflow", _is_workflow, source_rank=2)

DIALECTS: Final = (REST, ENRICHMENT, MISSION, SIGNED, FLOW, WORKFLOW)


def recognise_dialect(body: dict[str, Any], request: RawRequest) -> Dialect:
    """Return the first dialect that recognises the body; the last one recognises every body."""
    return next(dialect for dialect in DIALECTS if dialect.recognises(body, request))
