"""A task for who was missed: to call back, one per number and day.

A task is only ever *created*, under a unique property: where there is one already HubSpot refuses, so
none is doubled, and one that a person has completed or changed stays as it is. It is completed by the
relay in one case alone: its calls prove to have been answered, and nobody has touched it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from crm_clients.base import Context, Outcome, Retry
from crm_clients.hubspot.api import (
    CONTACTS,
    TASKS,
    Api,
    ApiFailure,
    Said,
    failures_of,
    in_batches,
    is_named,
    results_of,
)
from crm_clients.hubspot.errors import ApiError
from crm_clients.hubspot.settings import TASK_ID
from crm_clients.hubspot.task_notes import Note, Notes
from crm_clients.hubspot.task_records import (
    TOUCHABLE,
    Missed,
    completed,
    digest_of,
    input_of,
    is_untouched,
    key_of,
)
from crm_clients.locks import KeyedLock
from relay.call import Call

Failed = dict[str, Outcome]
"""By a call's id, why its task is not as it should be."""


class Tasks:
    """The tasks of one account."""

    def __init__(self, api: Api, context: Context) -> None:
        self._api = api
        self._notes = Notes(context.state)
        self._zone = context.timezone
        self._locks = KeyedLock()

    async def create(self, missed: Sequence[Missed]) -> Failed:
        """See to it that each of these has its task."""
        by_key: dict[str, list[Missed]] = defaultdict(list)
        for each in missed:
            by_key[key_of(each.call, self._zone)].append(each)
        async with self._locks.acquire(by_key):
            notes = await self._notes.recall(by_key)
            failed = await self._create({k: m[0] for k, m in by_key.items() if k not in notes}, notes)
            changed = {key: _joined(notes[key], by_key[key]) for key in by_key if key in notes}
            await self._notes.keep({key: note for key, note in changed.items() if note is not None})
        return {each.call.id: outcome for key, outcome in failed.items() for each in by_key[key]}

    async def release(self, calls: Sequence[Call]) -> Failed:
        """These need no calling back: a task that was for them alone, and is untouched, is completed."""
        by_key: dict[str, set[str]] = defaultdict(set)
        for call in calls:
            by_key[key_of(call, self._zone)].add(call.id)
        async with self._locks.acquire(by_key):
            notes = await self._notes.recall(by_key)
            held = {k: note for k, note in notes.items() if not by_key[k].isdisjoint(note.calls)}
            for key, note in held.items():
                note.calls = [call for call in note.calls if call not in by_key[key]]
            trouble = await self._complete([note for note in held.values() if not note.calls])
            if trouble is not None:
                outcome = self._api.outcome(trouble, records=len(held))
                return {call: outcome for key in held for call in by_key[key]}
            await self._notes.keep(held)
        return {}

    async def hand_over(self, calls: Sequence[Call]) -> list[Call]:
        """Each of these is part of another call, whose the task is from now on: those that had one.

        They come back under the other call's id.
        """
        heirs = {call.id: msgspec.structs.replace(call, id=call.merged_into or "") for call in calls}
        keys = {call.id: key_of(call, self._zone) for call in calls}
        async with self._locks.acquire(keys.values()):
            notes = await self._notes.recall({*keys.values()})
            held = [
                id_
                for id_, key in keys.items()
                if key in notes and {id_, heirs[id_].id}.intersection(notes[key].calls)
            ]
            for id_ in held:
                note = notes[keys[id_]]
                note.calls = list(dict.fromkeys(heirs[i].id if i == id_ else i for i in note.calls))
            await self._notes.keep({keys[id_]: notes[keys[id_]] for id_ in held})
        return [heirs[id_] for id_ in held]

    async def delete(self, calls: Sequence[Call]) -> Outcome | None:
        """Archive the tasks that were for these calls alone, and remember nothing of them."""
        by_key: dict[str, set[str]] = defaultdict(set)
        for call in calls:
            by_key[key_of(call, self._zone)].add(call.id)
        if not by_key:
            return None
        async with self._locks.acquire(by_key):
            notes = await self._notes.recall(by_key)
            mine = sorted(k for k, ids in by_key.items() if k not in notes or ids.issuperset(notes[k].calls))
            read = await self._api.read(TASKS, mine, [], by=TASK_ID)
            if not isinstance(read, dict):
                return self._api.outcome(read)
            for some in in_batches([str(each["id"]) for each in read.values()]):
                said = await self._api.post(
                    self._api.paths.batch(TASKS, "archive"), {"inputs": [{"id": id_} for id_ in some]}
                )
                if not isinstance(said, dict):
                    return self._api.outcome(said)
            await self._notes.forget(mine)
            shared = {key: note for key, note in notes.items() if key not in mine}
            for key, note in shared.items():
                note.calls = [call for call in note.calls if call not in by_key[key]]
            await self._notes.keep(shared)
        return None

    # --- creating -------------------------------------------------------------------------------

    async def _create(self, missed: Mapping[str, Missed], notes: dict[str, Note]) -> Failed:
        """Fills in `notes`, and says by key what could not be created."""
        failed: Failed = {}
        for some in in_batches(list(missed)):
            failed |= await self._create_some({key: missed[key] for key in some}, notes)
        return failed

    async def _create_some(self, missed: Mapping[str, Missed], notes: dict[str, Note]) -> Failed:
        refused = await self._send_owned(missed, notes)
        if not refused or not all(map(_may_be_there, refused.values())):
            return self._outcomes(refused)
        there = await self._api.read(TASKS, sorted(refused), [], by=TASK_ID)
        if not isinstance(there, dict):
            return {key: self._api.outcome(there) for key in refused}
        notes |= {
            key: _note_of(each, missed[key], self._zone) for key, each in there.items() if key in missed
        }
        left = {key: missed[key] for key in refused if key not in there}
        if there and len(refused) == len(missed):  # refused as a whole, on account of those that were there
            refused = await self._send_owned(left, notes)
        return await self._blamed({key: refused[key] for key in left if key in refused}, missed)

    async def _send_owned(
        self, missed: Mapping[str, Missed], notes: dict[str, Note]
    ) -> dict[str, ApiFailure]:
        """Those refused for the sake of their owner are sent again with the next one's, or nobody's."""
        refused = await self._send(missed, notes)
        again = {
            key: msgspec.structs.replace(missed[key], owners=missed[key].owners[1:])
            for key, trouble in refused.items()
            if missed[key].owners
            and _is_about_the_owner(trouble)
            and (is_named(key, trouble) or len(missed) == 1)
        }
        if not again:
            return refused
        left = {key: trouble for key, trouble in refused.items() if key not in again}
        return left | await self._send_owned(again, notes)

    async def _send(self, missed: Mapping[str, Missed], notes: dict[str, Note]) -> dict[str, ApiFailure]:
        if not missed:
            return {}
        inputs = [input_of(key, each, self._zone) for key, each in missed.items()]
        said = await self._api.post(self._api.paths.batch(TASKS, "create"), {"inputs": inputs})
        if not isinstance(said, dict):
            return dict.fromkeys(missed, said)
        for each in results_of(said):
            key = each.get("objectWriteTraceId") or (each.get("properties") or {}).get(TASK_ID)
            if key in missed:
                notes[str(key)] = Note(str(each["id"]), [], digest_of(missed[str(key)], self._zone))
        faults = failures_of(said)
        named = {id_: fault for fault in faults for id_ in fault.ids}
        unnamed = faults[0] if faults else _UNSAID
        return {key: named.get(key, unnamed) for key in missed if key not in notes}

    async def _blamed(self, refused: Mapping[str, ApiFailure], missed: Mapping[str, Missed]) -> Failed:
        """A task cannot be created for a contact that was deleted: then that is to be looked for anew."""
        contacts = {missed[key].contact for key in refused} - {""}
        if not contacts:
            return self._outcomes(refused)
        there = await self._api.read(CONTACTS, sorted(contacts), [])
        gone = contacts - {*there} if isinstance(there, dict) else set()
        return self._outcomes(refused) | {k: CONTACT_GONE for k in refused if missed[k].contact in gone}

    def _outcomes(self, refused: Mapping[str, ApiFailure]) -> Failed:
        return {
            key: self._api.outcome(trouble, records=1 if is_named(key, trouble) else len(refused))
            for key, trouble in refused.items()
        }

    # --- completing -----------------------------------------------------------------------------

    async def _complete(self, notes: Sequence[Note]) -> ApiFailure | None:
        if not notes:
            return None
        read = await self._api.read(TASKS, [note.id for note in notes], TOUCHABLE)
        if not isinstance(read, dict):
            return read
        untouched = [
            read[note.id] for note in notes if note.id in read and is_untouched(read[note.id], note.digest)
        ]
        for some in in_batches([completed(task) for task in untouched]):
            said = await self._api.post(self._api.paths.batch(TASKS, "update"), {"inputs": some})
            if not isinstance(said, dict):
                return said
        return None


CONTACT_GONE: Final = Retry(
    code="contact_gone", message="The contact was deleted meanwhile; it is looked for anew.", after=1.0
)
_UNSAID: Final = ApiError(503, message="HubSpot said nothing of the task that was to be made.")


def _may_be_there(trouble: ApiFailure) -> bool:
    """Whether it may have been refused because there is such a task, or for the sake of one in its batch."""
    return (
        isinstance(trouble, ApiError)
        and trouble.status in {400, 404, 409}
        and not trouble.is_missing_property
    )


def _is_about_the_owner(trouble: ApiFailure) -> bool:
    return (
        isinstance(trouble, ApiError)
        and trouble.status == 400  # noqa: PLR2004 - Bad Request
        and "owner" in f"{trouble.message} {trouble.details}".lower()
    )


def _note_of(task: Said, missed: Missed, zone: ZoneInfo) -> Note:
    """Of a task that was there: ours, if an answer was lost, else somebody's who has changed it."""
    return Note(str(task["id"]), [], digest_of(missed, zone))


def _joined(note: Note, missed: Sequence[Missed]) -> Note | None:
    """None where nothing is new."""
    calls = [each.call.id for each in missed if each.call.id not in note.calls]
    return Note(note.id, [*note.calls, *calls], note.digest) if calls else None
