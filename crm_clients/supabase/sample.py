"""Calls to find out whether a table could store the relay's calls. They are never stored."""

from typing import Any, Final, get_args

import msgspec

from crm_clients.settings import DeliveryFilter
from relay.call import Call, Status

SAMPLE_CALL: Final = Call(
    id="cloudtalk-00000000-0000-0000-0000-000000000000",
    call_id="1002402487",
    call_uuid="00000000-0000-0000-0000-000000000000",
    direction="inbound",
    status=Status.COMPLETED,
    from_="+34600000000",
    to="+34910000000",
    external_number="+34600000000",
    internal_number="+34910000000",
    contact_id="1451646073",
    contact_name="CloudTalk Relay",
    agent_id="493933",
    agent_name="CloudTalk Relay",
    agent_email="relay@example.com",
    started_at="2024-01-15T10:00:00Z",
    answered_at="2024-01-15T10:00:07Z",
    ended_at="2024-01-15T10:01:08.250Z",
    response_seconds=7,
    duration_seconds=68,
    talking_seconds=61,
    waiting_seconds=7,
    wrapup_seconds=5,
    recording_url="https://my.cloudtalk.io/pub/r/MTAwMjQwMjQ4Nw%3D%3D/sample.wav",
    tags=["check"],
    notes="A sample of CloudTalk Relay",
    transcript="A sample of CloudTalk Relay",
    summary="A sample of CloudTalk Relay",
    follow_up=False,
    version=1,
    cloudtalk_data={"call_id": 1002402487},
    merged_into="cloudtalk-00000000-0000-0000-0000-000000000001",
)
"""A call with a value in every field."""

_ALL_NULL: Final = {
    field.name: None for field in msgspec.structs.fields(Call) if type(None) in get_args(field.type)
}
_FEWEST: Final[dict[str, Any]] = _ALL_NULL | {"tags": [], "cloudtalk_data": {}}

SMALLEST_CALL: Final = msgspec.structs.replace(SAMPLE_CALL, **_FEWEST)
"""A call with only the values that every call has."""

_NOT_TALKED: Final = {
    "answered_at": None,
    "response_seconds": None,
    "talking_seconds": 0,
    "agent_id": None,
    "agent_name": None,
    "agent_email": None,
}
_NOT_ENDED: Final = {
    "ended_at": None,
    "duration_seconds": None,
    "talking_seconds": None,
    "wrapup_seconds": None,
    "recording_url": None,
    "transcript": None,
    "summary": None,
}
_BY_STATUS: Final[dict[Status, dict[str, Any]]] = {
    Status.IN_PROGRESS: _NOT_TALKED | _NOT_ENDED,
    Status.ANSWERED: _NOT_ENDED,
    Status.COMPLETED: {},
    Status.MISSED: _NOT_TALKED | {"recording_url": None, "follow_up": True},
    Status.VOICEMAIL: _NOT_TALKED | {"follow_up": True},
    Status.NO_ANSWER: _NOT_TALKED | {"recording_url": None},
}
_DIRECTIONS: Final = ("inbound", "outbound", "internal")
_TWIN: Final = 50
"""Added to the number of a sample for its twin."""


class Sample(msgspec.Struct, frozen=True):
    """A call as CloudTalk causes it, and its `twin`: such a call of other people at another time.

    `status` or `direction`: what the sample is for. If both are None, it has a value in every field, or only
    the values that every call has.
    """

    call: Call
    twin: Call
    status: Status | None = None
    direction: str | None = None


def build_full_sample(when: DeliveryFilter) -> Sample:
    """Return a sample with a value in every field, of a kind that passes the destination's filter."""
    return _sample(_full_call(when), number=0)


def build_samples(when: DeliveryFilter) -> list[Sample]:
    """Return a sample of each kind of call that passes the destination's filter."""
    full = _full_call(when)
    few = msgspec.structs.replace(full, **_FEWEST)
    samples = [_sample(few, number=1)]
    for direction in when.directions or _DIRECTIONS:
        call = msgspec.structs.replace(full, direction=direction)
        samples.append(_sample(call, number=len(samples) + 1, direction=direction))
    for status in when.statuses or Status:
        call = msgspec.structs.replace(full, **{"status": status} | _BY_STATUS[status])
        samples.append(_sample(call, number=len(samples) + 1, status=status))
    return samples


def _full_call(when: DeliveryFilter) -> Call:
    status = SAMPLE_CALL.status if SAMPLE_CALL.status in (when.statuses or Status) else when.statuses[0]
    direction = "inbound" if "inbound" in (when.directions or _DIRECTIONS) else when.directions[0]
    return msgspec.structs.replace(SAMPLE_CALL, status=status, direction=direction)


def _sample(call: Call, *, number: int, status: Status | None = None, direction: str | None = None) -> Sample:
    return Sample(_variant(call, number), _variant(call, _TWIN + number), status, direction)


def _variant(call: Call, number: int) -> Call:
    """Return the call with other ids, people and times, which columns may require to be unique."""
    values = {
        "id": f"{SAMPLE_CALL.id[:-2]}{number:02}",
        "call_id": f"10024024{number:02}",
        "call_uuid": f"{SAMPLE_CALL.id.removeprefix('cloudtalk-')[:-2]}{number:02}",
        "from_": f"+346000000{number:02}",
        "external_number": f"+346000000{number:02}",
        "contact_id": f"14516460{number:02}",
        "contact_name": f"CloudTalk Relay {number:02}",
        "agent_id": f"4939{number:02}",
        "agent_email": f"relay{number:02}@example.com",
        "started_at": f"2024-01-15T10:00:{number % 60:02}Z",
    }
    known = {name: value for name, value in values.items() if getattr(call, name) is not None}
    return msgspec.structs.replace(call, **known)
