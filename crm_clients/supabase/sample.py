"""Calls to find out whether a table could store the relay's calls. They are never stored."""

from typing import Any, Final, get_args

import msgspec

from crm_clients.settings import DeliveryFilter
from relay.call import Call, Status

_NOTES: Final = (
    "The customer asks about the delivery of the second order, which the warehouse has not confirmed yet. "
    "He would like a call on Thursday after four, at the office and not at home, and an e-mail with the new "
    "date and with the invoice of the first order. The colleague in the warehouse knows about it; the parcel "
    "service has the new address since this morning."
)
_SUMMARY: Final = " ".join([_NOTES] * 2)
_TRANSCRIPT: Final = "\n".join(
    f"Agent: Good morning. What can I do for you?\nCustomer: {_NOTES}" for _ in range(4)
)
_RECORDING_URL: Final = (
    "https://my.cloudtalk.io/pub/r/MTAwMjQwMjQ4Nw%3D%3D/"
    "M2Q1NDg1YzFhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTBmZWRjYmE5ODc2NTQz.wav"
)
_DATA: Final = {
    "call_uuid": "00000000-0000-0000-0000-000000000000",
    "call_id": 1002402487,
    "direction": "incoming",
    "external_number": 34600000000,
    "internal_number": 34910000000,
    "contact_id": 1451646073,
    "contacts[0].name": "María del Carmen Fernández Rodríguez",
    "agent_id": 493933,
    "agent_first_name": "Francisco Javier",
    "agent_last_name": "Martínez de la Torre",
    "agent_email": "francisco.javier.martinez@example.com",
    "started_at": "2024-01-15 10:00:00",
    "ended_at": "2024-01-15 10:01:08",
    "talking_time": 61,
    "waiting_time": 7,
    "wrapup_time": 5,
    "is_voicemail": None,
    "recording_url": _RECORDING_URL,
    "tags": "customer,delivery",
    "notes": _NOTES,
    "summary": _SUMMARY,
    "transcript": _TRANSCRIPT,
}
"""What the events of an ordinary call state."""

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
    contact_name="María del Carmen Fernández Rodríguez",
    agent_id="493933",
    agent_name="Francisco Javier Martínez de la Torre",
    agent_email="francisco.javier.martinez@example.com",
    started_at="2024-01-15T10:00:00Z",
    answered_at="2024-01-15T10:00:07Z",
    ended_at="2024-01-15T10:01:08.250Z",
    response_seconds=7,
    duration_seconds=68,
    talking_seconds=61,
    waiting_seconds=7,
    wrapup_seconds=5,
    recording_url=_RECORDING_URL,
    tags=["customer", "delivery"],
    notes=_NOTES,
    transcript=_TRANSCRIPT,
    summary=_SUMMARY,
    follow_up=False,
    version=1,
    cloudtalk_data=_DATA,
    merged_into="cloudtalk-00000000-0000-0000-0000-000000000001",
    missed_reason="nobody picked up",
    smart_notes=_SUMMARY,
)
"""A call with a value in every field, each as long as in many calls."""

_LONG_NOTES: Final = " ".join([_NOTES] * 10)
_LONG_TRANSCRIPT: Final = "\n".join([_TRANSCRIPT] * 30)
_LONG: Final[dict[str, Any]] = {
    "contact_name": " ".join(["María del Carmen Fernández Rodríguez"] * 5),
    "agent_name": " ".join(["Francisco Javier Martínez de la Torre"] * 5),
    "agent_email": f"{'francisco.javier.martinez.' * 2}@{'department.' * 10}example.com",
    "recording_url": f"{_RECORDING_URL}?{'signature=0123456789abcdef&' * 20}",
    "tags": [f"a tag of some words, number {number}" for number in range(40)],
    "notes": _LONG_NOTES,
    "summary": _LONG_NOTES,
    "smart_notes": _LONG_NOTES,
    "transcript": _LONG_TRANSCRIPT,
    "cloudtalk_data": _DATA | {"notes": _LONG_NOTES, "transcript": _LONG_TRANSCRIPT},
}
"""Values that are long, and that some calls have."""

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
_LONG_NUMBER: Final = 49
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


def build_long_sample(when: DeliveryFilter) -> Sample:
    """Return the full sample with long ids, numbers and texts."""
    return _sample(msgspec.structs.replace(_full_call(when), **_LONG), number=_LONG_NUMBER, long=True)


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


def _sample(
    call: Call,
    *,
    number: int,
    status: Status | None = None,
    direction: str | None = None,
    long: bool = False,
) -> Sample:
    twin = _variant(call, _TWIN + number, long=long)
    return Sample(_variant(call, number, long=long), twin, status, direction)


def _variant(call: Call, number: int, *, long: bool) -> Call:
    """Return the call with other ids, people and times, which columns may require to be unique."""
    more = "000" if long else ""
    values = {
        "id": f"{SAMPLE_CALL.id[:-2]}{number:02}",
        "call_id": f"10024024{more}{number:02}",
        "call_uuid": f"{SAMPLE_CALL.id.removeprefix('cloudtalk-')[:-2]}{number:02}",
        "from_": f"+346000000{more}{number:02}",
        "external_number": f"+346000000{more}{number:02}",
        "contact_id": f"14516460{more}{number:02}",
        "contact_name": f"{call.contact_name} {number:02}",
        "agent_id": f"4939{more}{number:02}",
        "agent_email": f"{number:02}.{call.agent_email}",
        "started_at": f"2024-01-15T10:00:{number % 60:02}Z",
    }
    known = {name: value for name, value in values.items() if getattr(call, name) is not None}
    return msgspec.structs.replace(call, **known)
