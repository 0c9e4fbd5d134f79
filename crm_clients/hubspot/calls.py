"""The call records of an account: upsert, look up, archive, mark as merged."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from crm_clients.base import Delivered, Outcome, Push, Rejected, Retraction, Retry, Split
from crm_clients.hubspot.api import Api, ObjectType, chunks
from crm_clients.hubspot.batch import OWNER_REFUSED, Batch
from crm_clients.hubspot.call_records import BODY, BODY_FIELDS, upsert_input
from crm_clients.hubspot.errors import ApiError, ApiFailure, as_call_failure
from crm_clients.hubspot.owners import Owners
from crm_clients.hubspot.responses import JsonObject, Record, RecordResults, to_records
from crm_clients.hubspot.settings import CALL_ID, MERGED_INTO, HubSpotSettings
from relay.call import DELIVERED_FIELDS

_ALL_FIELDS: Final = frozenset(DELIVERED_FIELDS)
_NO_RESULT: Final = Retry(code="no_result", message="HubSpot's response does not mention this call.")

OutcomesById = dict[str, Outcome]
"""Outcomes by the id of their call."""


class Calls:
    """The call records of one account. The relay finds a record by its unique property CALL_ID."""

    def __init__(self, api: Api, owners: Owners, settings: HubSpotSettings, timezone: ZoneInfo) -> None:
        self._api = api
        self._owners = owners
        self._settings = settings
        self._timezone = timezone

    # --- upsert ---------------------------------------------------------------------------------

    async def resolve_partial(self, batch: Batch) -> None:
        """Find out which partial pushes have a record, and read its body if it is to be changed.

        A record that exists receives only what is known; a new one is written whole.
        """
        ids = [push.call.id for push in batch.open_pushes if _needs_record(push)]
        existing = await self._api.read_records(ObjectType.CALLS, ids, [BODY], id_property=CALL_ID)
        if isinstance(existing, ApiFailure):
            batch.fail(ids, self._api.outcome(existing))
            return
        batch.existed |= {id_ for id_ in existing if batch.pushes[id_].first}
        batch.pushes |= {id_: _resolve(batch.pushes[id_], existing.get(id_)) for id_ in ids}
        batch.bodies |= {id_: record.properties.get(BODY) or "" for id_, record in existing.items()}

    async def upsert(self, batch: Batch) -> list[Push]:
        """Write the calls; return the pushes that must be repeated because people changed HubSpot.

        A record that was deleted is written again with all fields. A record that was rejected for its
        owner is written again if the agent has another owner now, or none; otherwise without an owner.
        """
        deleted = await self._send_upserts(batch)
        deleted += await self._find_rejected_as_deleted(batch)
        batch.fail([push.call.id for push in deleted], _NO_RESULT)
        outdated = await self._find_rejected_for_old_owner(batch)
        batch.fail([push.call.id for push in outdated], _NO_RESULT)
        whole = [
            msgspec.structs.replace(push, first=True, changed=_ALL_FIELDS, partial=False) for push in deleted
        ]
        return whole + outdated

    async def _send_upserts(self, batch: Batch) -> list[Push]:
        """Return the pushes of changes for which HubSpot created a record: the old one was deleted."""
        now = datetime.now(self._timezone)
        inputs: dict[str, JsonObject] = {}
        for push in batch.open_pushes:
            owner_id, body = batch.agent_owner_id(push), batch.bodies.get(push.call.id, "")
            input_ = upsert_input(push, self._settings, owner_id=owner_id, now=now, body=body)
            if input_ is None:
                batch.record_ids[push.call.id] = str(push.remote_id)
            else:
                inputs[push.call.id] = input_
        deleted: list[Push] = []
        for ids in chunks(list(inputs)):
            response = await self._api.write_batch(ObjectType.CALLS, "upsert", [inputs[id_] for id_ in ids])
            if isinstance(response, ApiFailure):
                batch.fail(ids, self._api.outcome(response, records=len(ids)))
            else:
                deleted += self._apply_response(batch, response, ids)
        return deleted

    def _apply_response(self, batch: Batch, response: RecordResults, ids: Collection[str]) -> list[Push]:
        deleted = []
        for record in to_records(response):
            id_ = record.find_key(ids, CALL_ID)
            if id_ is None:
                continue
            batch.record_ids[id_] = record.id
            if record.created and not batch.pushes[id_].first:
                deleted.append(batch.pushes[id_])
        self._apply_errors(batch, response, [id_ for id_ in ids if id_ not in batch.record_ids])
        return deleted

    def _apply_errors(self, batch: Batch, response: RecordResults, failed: Sequence[str]) -> None:
        """HubSpot names failed records by their trace ids; an error without a name may mean any of them."""
        errors, by_id = response.errors, response.errors_by_id
        for id_ in failed:
            if id_ in by_id:
                batch.outcomes[id_] = self._api.outcome(by_id[id_])
            elif errors:
                batch.outcomes[id_] = self._api.outcome(errors[0], records=len(failed))
            else:
                batch.outcomes[id_] = _NO_RESULT

    async def _find_rejected_as_deleted(self, batch: Batch) -> list[Push]:
        """Find records that were deleted: HubSpot rejects changed fields that make no valid new record."""
        rejected = [id_ for id_ in _rejected_ids(batch) if not batch.pushes[id_].first]
        existing = await self._api.read_records(ObjectType.CALLS, rejected, id_property=CALL_ID)
        if isinstance(existing, ApiFailure):
            batch.fail(rejected, self._api.outcome(existing))
            return []
        return [batch.pushes[id_] for id_ in rejected if id_ not in existing]

    async def _find_rejected_for_old_owner(self, batch: Batch) -> list[Push]:
        """Look up the owners of rejected calls again: a cached owner may have left HubSpot since.

        If HubSpot refuses an owner whom it still lists, the call is written without one.
        """
        rejected = [push for id_ in _rejected_ids(batch) if batch.agent_owner_id(push := batch.pushes[id_])]
        emails = {str(push.call.agent_email) for push in rejected}
        await self._owners.forget(emails)
        owner_ids = await self._owners.find(emails)
        outdated = [p for p in rejected if owner_ids[str(p.call.agent_email)] != batch.agent_owner_id(p)]
        for push in rejected:
            outcome = batch.outcomes[push.call.id]
            if push not in outdated and isinstance(outcome, Rejected) and _is_about_owner(outcome):
                batch.refusals[OWNER_REFUSED][push.call.id] = outcome
                outdated.append(push)
        return outdated

    # --- look up --------------------------------------------------------------------------------

    # --- archive --------------------------------------------------------------------------------

    async def archive(self, retractions: Sequence[Retraction]) -> OutcomesById:
        """Archive these records. A record that does not exist counts as archived."""
        record_ids = {r.call.id: r.remote_id or "" for r in retractions}
        unknown = [id_ for id_, record_id in record_ids.items() if not record_id]
        existing = await self._api.read_records(ObjectType.CALLS, unknown, id_property=CALL_ID)
        if isinstance(existing, ApiFailure):
            return dict.fromkeys(record_ids, self._api.outcome(existing))
        record_ids |= {id_: record.id for id_, record in existing.items()}
        failed: OutcomesById = {}
        for ids in chunks([id_ for id_, record_id in record_ids.items() if record_id]):
            failed |= await self._archive_chunk({id_: record_ids[id_] for id_ in ids})
        return {
            id_: failed.get(id_) or Delivered(remote_id=record_id or None)
            for id_, record_id in record_ids.items()
        }

    async def _archive_chunk(self, record_ids: Mapping[str, str]) -> OutcomesById:
        """Return the failures. A batch that fails and names no record is sent again one by one."""
        failure = await self._api.archive(ObjectType.CALLS, list(record_ids.values()))
        if failure is None:
            return {}
        outcome = self._api.outcome(failure, records=len(record_ids))
        if len(record_ids) > 1 and (isinstance(outcome, Split) or _is_not_found(failure)):
            failed: OutcomesById = {}
            for id_, record_id in record_ids.items():
                failed |= await self._archive_chunk({id_: record_id})
            return failed
        return {} if _is_not_found(failure) else dict.fromkeys(record_ids, outcome)

    # --- mark as merged -------------------------------------------------------------------------

    async def mark_merged(self, retractions: Sequence[Retraction]) -> OutcomesById:
        """Write into each record which call it is part of. A record that does not exist needs no mark."""
        ids = [r.call.id for r in retractions]
        existing = await self._api.read_records(ObjectType.CALLS, ids, id_property=CALL_ID)
        if isinstance(existing, ApiFailure):
            return dict.fromkeys(ids, self._api.outcome(existing))
        inputs: dict[str, JsonObject] = {
            r.call.id: {
                "id": existing[r.call.id].id,
                "objectWriteTraceId": r.call.id,
                "properties": {MERGED_INTO: r.call.merged_into or ""},
            }
            for r in retractions
            if r.call.id in existing
        }
        failed: OutcomesById = {}
        for chunk in chunks(list(inputs)):
            failed |= await self._mark_chunk({id_: inputs[id_] for id_ in chunk})
        return {r.call.id: failed.get(r.call.id) or Delivered(remote_id=r.remote_id) for r in retractions}

    async def _mark_chunk(self, inputs: Mapping[str, JsonObject]) -> OutcomesById:
        """Return the failures."""
        response = await self._api.write_batch(ObjectType.CALLS, "update", list(inputs.values()))
        if isinstance(response, ApiFailure):
            # Only merged calls need MERGED_INTO: if it is missing, other calls must not wait.
            return dict.fromkeys(inputs, as_call_failure(self._api.outcome(response)))
        written = {record.id for record in to_records(response)}
        unnamed = next(iter(response.errors), None)
        return {
            id_: as_call_failure(self._api.outcome(error)) if error else _NO_RESULT
            for id_, input_ in inputs.items()
            if input_["id"] not in written
            for error in [response.errors_by_id.get(id_, unnamed)]
        }


def _needs_record(push: Push) -> bool:
    return push.partial and (push.first or not BODY_FIELDS.isdisjoint(push.changed))


def _resolve(push: Push, record: Record | None) -> Push:
    if record is None:
        return msgspec.structs.replace(push, changed=_ALL_FIELDS, partial=False)
    return msgspec.structs.replace(push, first=False, remote_id=record.id)


def _rejected_ids(batch: Batch) -> list[str]:
    return [id_ for id_, outcome in batch.outcomes.items() if isinstance(outcome, Rejected)]


def _is_about_owner(refusal: Rejected) -> bool:
    return "owner" in f"{refusal.message}".lower()


def _is_not_found(failure: ApiFailure) -> bool:
    return isinstance(failure, ApiError) and failure.category == "OBJECT_NOT_FOUND"
