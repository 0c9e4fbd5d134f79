"""The calls of one upsert, with what its steps have found out."""

from collections.abc import Iterable, Mapping
from typing import Final

from crm_clients.base import Delivered, Outcome, Push, Rejected
from crm_clients.batch import merge_by_call

TASK_REFUSED: Final = "task_refused"
"""The code of a call that was delivered without its task, or whose task could not be completed."""

CONTACT_REFUSED: Final = "contact_refused"
"""The code of a call that was delivered without a link to its contact."""

OWNER_REFUSED: Final = "owner_refused"
"""The code of a call that was delivered without an owner."""

_REASONS: Final = {
    TASK_REFUSED: "HubSpot refused the call's task; the next delivery of the call tries again.",
    CONTACT_REFUSED: "The call is not linked to a contact, which HubSpot refused; the next delivery of the "
    "call tries again.",
    OWNER_REFUSED: "The call has no owner, because HubSpot refused the agent.",
}
"""By code, the most important one first: without a task nobody calls back."""


class Batch:
    """Pushes by call id, one per call. A push that has an outcome takes part in no further step.

    `record_ids`: call id → record id in HubSpot. `contact_ids`: number → record ids of its contacts.
    `owner_ids`: e-mail address → owner id, "" for none. `unlinked`, `taskless`: ids of the calls that
    were delivered before, without a link to a contact or without the task that HubSpot refused.
    `refusals`: code → call id → why HubSpot refuses the call's task, contact or owner. The call is delivered.
    `bodies`: call id → the body of its record, for partial pushes. `existed`: ids of the calls whose first
    delivery found a record.
    """

    def __init__(self, pushes: Iterable[Push], owner_refusals: Mapping[str, Rejected] | None = None) -> None:
        self.pushes = merge_by_call(pushes)
        self.bodies: dict[str, str] = {}
        self.existed: set[str] = set()
        self.outcomes: dict[str, Outcome] = {}
        self.record_ids: dict[str, str] = {}
        self.contact_ids: dict[str, tuple[str, ...]] = {}
        self.owner_ids: Mapping[str, str] = {}
        self.unlinked: set[str] = set()
        self.taskless: set[str] = set()
        self.refusals: dict[str, dict[str, Rejected]] = {code: {} for code in _REASONS}
        self.refusals[OWNER_REFUSED] |= owner_refusals or {}

    @property
    def open_pushes(self) -> list[Push]:
        """The pushes without an outcome."""
        return [push for id_, push in self.pushes.items() if id_ not in self.outcomes]

    def fail(self, call_ids: Iterable[str], outcome: Outcome) -> None:
        """Give these calls the same outcome."""
        self.outcomes |= dict.fromkeys(call_ids, outcome)

    def contacts_of(self, push: Push) -> tuple[str, ...]:
        """Return the record ids of the customer's contacts."""
        return self.contact_ids.get(push.call.external_number or "", ())

    def agent_owner_id(self, push: Push) -> str:
        """Return the owner id of the call's agent, "" for none."""
        if push.call.id in self.refusals[OWNER_REFUSED]:
            return ""
        return self.owner_ids.get(push.call.agent_email or "", "")

    def final_outcomes(self) -> dict[str, Outcome]:
        """Return the outcome of each call; a call that passed all steps is delivered."""
        return {id_: self.outcomes.get(id_) or self._delivered(id_) for id_ in self.pushes}

    def _delivered(self, call_id: str) -> Delivered:
        """If several things are refused, the code is that of the first one in `_REASONS`."""
        refused = {
            code: f"{_REASONS[code]} {by_call[call_id].message}"
            for code, by_call in self.refusals.items()
            if call_id in by_call
        }
        return Delivered(
            remote_id=self.record_ids[call_id],
            code=next(iter(refused), None),
            message=" ".join(refused.values()) or None,
        )
