"""Read call records of an account, and compare them with what the client would write."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from crm_clients.base import Outcome, Push, Rejected, Stored
from crm_clients.comparison import is_same, other_ids
from crm_clients.hubspot.api import Api, ObjectType, chunks
from crm_clients.hubspot.call_records import BODY, OWNER, changed_properties, fields_of, lacking_fields
from crm_clients.hubspot.errors import ApiFailure, as_refusal
from crm_clients.hubspot.owners import NO_OWNER, Owners
from crm_clients.hubspot.responses import Record
from crm_clients.hubspot.settings import CALL_ID, MERGED_INTO, HubSpotSettings
from crm_clients.hubspot.text import html_to_text

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Records = dict[str, list[Stored]]
"""The record of each call and its doubles, by call id."""


class CallReader:
    """Reads calls by their unique property CALL_ID. An archived record is absent; no record has a version."""

    def __init__(self, api: Api, owners: Owners, settings: HubSpotSettings) -> None:
        self._api = api
        self._owners = owners
        self._settings = settings

    async def read(self, pushes: Sequence[Push]) -> Records | Outcome:
        """Return the records of the calls, and records of the same calls under another id.

        A double has the id that a call gets if it is named by its other id of CloudTalk, as after the ledger
        was lost. HubSpot refuses a second record with the same id. The marked record of a call that became
        part of this one is no double.
        """
        owners = await self._find_owners(pushes)
        if isinstance(owners, Outcome):
            return owners
        known = {push.call.id for push in pushes}
        records: Records = {}
        for part in chunks(pushes):
            found = await self._read_chunk(part, owners, known)
            if not isinstance(found, dict):
                return self._api.outcome(found)
            records |= found
        return records

    async def _read_chunk(
        self, pushes: Sequence[Push], owners: Mapping[str, str], known: set[str]
    ) -> Records | ApiFailure:
        written = {push.call.id: self._properties_of(push, owners) for push in pushes}
        names = sorted({name for properties in written.values() for name in properties})
        ids = [push.call.id for push in pushes]
        existing = await self._api.read_records(ObjectType.CALLS, ids, names, id_property=CALL_ID)
        if not isinstance(existing, dict):
            return existing
        found = [push for push in pushes if push.changed and push.call.id in existing]
        others = {id_ for push in found for id_ in other_ids(push.call)} - known
        marks = [MERGED_INTO] if self._settings.on_merge == "mark" else []
        doubles = await self._api.read_records(ObjectType.CALLS, sorted(others), marks, id_property=CALL_ID)
        if not isinstance(doubles, dict):
            return doubles
        doubles = {id_: each for id_, each in doubles.items() if not each.properties.get(MERGED_INTO)}
        return {
            push.call.id: [
                self._compare(push, written[push.call.id], record),
                *(Stored(doubles[id_].id) for id_ in other_ids(push.call) if id_ in doubles),
            ]
            for push in pushes
            if (record := existing.get(push.call.id))
        }

    async def _find_owners(self, pushes: Sequence[Push]) -> Mapping[str, str] | Outcome:
        """Return the owner id of each agent. An agent whom HubSpot refuses to look up has none."""
        by_agent = [p for p in pushes if self._settings.owners_by_email and "agent_email" in p.changed]
        emails = {email for p in by_agent if "@" in (email := p.call.agent_email or "")}
        found = await self._owners.find(emails)
        for owner in found.values():
            if isinstance(owner, Outcome) and not isinstance(as_refusal(owner, records=1), Rejected):
                return owner
        return {email: owner for email, owner in found.items() if isinstance(owner, str)}

    def _properties_of(self, push: Push, owners: Mapping[str, str]) -> Mapping[str, str]:
        later = msgspec.structs.replace(push, first=False, rewrite=False)
        owner_id = owners.get(push.call.agent_email or "", NO_OWNER)
        return changed_properties(later, self._settings, owner_id=owner_id, now=_EPOCH)

    def _compare(self, push: Push, written: Mapping[str, str], record: Record) -> Stored:
        different: set[str] = set()
        for name, value in written.items():
            stored = record.properties.get(name, "")
            if name == BODY:
                different |= self._different_sections(push, value, stored)
            elif not _is_same(name, value, stored):
                different |= fields_of(name, self._settings)
        return Stored(record.id, None, frozenset(different & push.changed))

    def _different_sections(self, push: Push, written: str, stored: str) -> frozenset[str]:
        """A body with more than these sections has a text of a person, or of an earlier push if partial."""
        lacking = lacking_fields(written, stored, self._settings)
        if lacking or push.partial or html_to_text(written) == html_to_text(stored):
            return lacking
        return fields_of(BODY, self._settings)


def _is_same(name: str, written: str, stored: str) -> bool:
    """HubSpot returns a time as ISO text, and may order the options of a list in another way.

    A call without an owner is the same: HubSpot may have refused the agent, or removed a former user.
    """
    if name == OWNER and not stored:
        return True
    if ";" in written and sorted(written.split(";")) == sorted(stored.split(";")):
        return True
    return is_same(written.strip(), stored.strip()) or _is_same_time(written, stored)


def _is_same_time(written: str, stored: str) -> bool:
    milliseconds = _milliseconds(written)
    return milliseconds is not None and milliseconds == _milliseconds(stored)


def _milliseconds(text: str) -> int | None:
    """Return a time as HubSpot's Unix milliseconds; None if the text is neither these nor a time."""
    if text.isascii() and text.isdecimal():
        return int(text)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return round(time.timestamp() * 1000) if time.tzinfo else None
