"""Calls that must go from HubSpot: archived, or marked with the call that they are part of."""

from collections.abc import Mapping, Sequence
from typing import Final

from crm_clients.base import Delivered, Misconfigured, Outcome, Rejected, Retraction, Split
from crm_clients.hubspot.api import CALLS, Api, failures_of, in_batches
from crm_clients.hubspot.errors import ApiError
from crm_clients.hubspot.settings import CALL_ID, MERGED_INTO

_NOT_THERE: Final = "OBJECT_NOT_FOUND"

Failed = dict[str, Outcome]
"""By a call's id, why it is still there."""


async def archive(api: Api, retractions: Sequence[Retraction]) -> dict[str, Outcome]:
    """Archive these, by their record ids; one that is unknown is asked for. What is not there is gone."""
    records = {r.call.id: r.remote_id or "" for r in retractions}
    read = await api.read(CALLS, [id_ for id_, record in records.items() if not record], [], by=CALL_ID)
    if not isinstance(read, dict):
        return dict.fromkeys(records, api.outcome(read))
    records |= {id_: str(each["id"]) for id_, each in read.items()}
    failed: Failed = {}
    for some in in_batches([id_ for id_, record in records.items() if record]):
        failed |= await _archive(api, {id_: records[id_] for id_ in some})
    return {id_: failed.get(id_) or Delivered(remote_id=record or None) for id_, record in records.items()}


async def _archive(api: Api, records: Mapping[str, str]) -> Failed:
    """A batch that is refused without blame goes one by one."""
    inputs = [{"id": record} for record in records.values()]
    said = await api.post(api.paths.batch(CALLS, "archive"), {"inputs": inputs})
    if isinstance(said, dict):
        return {}
    outcome = api.outcome(said, records=len(records))
    if len(records) > 1 and (isinstance(outcome, Split) or _is_not_there(said)):
        each = [await _archive(api, {id_: record}) for id_, record in records.items()]
        return {id_: failed for one in each for id_, failed in one.items()}
    return {} if _is_not_there(said) else dict.fromkeys(records, outcome)


def _is_not_there(said: object) -> bool:
    return isinstance(said, ApiError) and said.category == _NOT_THERE


async def mark(api: Api, retractions: Sequence[Retraction]) -> dict[str, Outcome]:
    """Say in each record into which other it went; one that is not there needs no mark."""
    read = await api.read(CALLS, [r.call.id for r in retractions], [], by=CALL_ID)
    if not isinstance(read, dict):
        return {r.call.id: api.outcome(read) for r in retractions}
    failed: Failed = {}
    there = {r.call.id: str(read[r.call.id]["id"]) for r in retractions if r.call.id in read}
    into = {r.call.id: r.call.merged_into or "" for r in retractions}
    for some in in_batches(list(there)):
        failed |= await _mark(api, {there[id_]: (id_, into[id_]) for id_ in some})
    return {r.call.id: failed.get(r.call.id) or Delivered(remote_id=r.remote_id) for r in retractions}


async def _mark(api: Api, marks: Mapping[str, tuple[str, str]]) -> Failed:
    """By record id, the call's own id and what it went into."""
    inputs = [
        {"id": record, "objectWriteTraceId": id_, "properties": {MERGED_INTO: into}}
        for record, (id_, into) in marks.items()
    ]
    said = await api.post(api.paths.batch(CALLS, "update"), {"inputs": inputs})
    ids = [id_ for id_, _ in marks.values()]
    if not isinstance(said, dict):
        return dict.fromkeys(ids, _of_the_record(api.outcome(said)))
    faults = {text: fault for fault in failures_of(said) for text in fault.ids}
    return {id_: _of_the_record(api.outcome(faults[id_])) for id_ in ids if id_ in faults}


def _of_the_record(outcome: Outcome) -> Outcome:
    """A property that only a retraction needs is a dead letter, and stops no other call."""
    if isinstance(outcome, Misconfigured):
        return Rejected(code=outcome.code, message=outcome.message)
    return outcome
