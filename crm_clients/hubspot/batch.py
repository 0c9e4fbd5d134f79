"""The calls of one upsert, with what its steps have found out."""

from collections.abc import Iterable, Mapping
from typing import Final

from crm_clients.base import Delivered, Outcome, Push, Rejected
from crm_clients.batch import merge_by_call

CONTACT_REFUSED: Final = "contact_refused"
"""The code of a call that was delivered without a link to its contact."""

TASK_REFUSED: Final = "task_refused"
"""The code of a call that was delivered without its task, or whose task could not be completed."""


class Batch:
    """Pushes by call id, one per call. A push that has an outcome takes part in no further step.

    `record_ids`: call id → record id in HubSpot. `contact_ids`: number → record id of its contact, "" for
    none. `owner_ids`: e-mail address → owner id, "" for none. `unlinked`, `taskless`: ids of the calls that
    were delivered before, without a link to a contact or without the task that HubSpot refused.
    `contact_refusals`: call id → why HubSpot's rules refuse to create its contact or to link it.
    `task_refusals`: call id → why they refuse to create its task or to complete it. The call of a refusal is
    delivered.
    """

    def __init__(self, pushes: Iterable[Push]) -> None:
        self.pushes = merge_by_call(pushes)
        self.outcomes: dict[str, Outcome] = {}
        self.record_ids: dict[str, str] = {}
        self.contact_ids: dict[str, str] = {}
        self.owner_ids: Mapping[str, str] = {}
        self.unlinked: set[str] = set()
        self.taskless: set[str] = set()
        self.contact_refusals: dict[str, Rejected] = {}
        self.task_refusals: dict[str, Rejected] = {}

    @property
    def open_pushes(self) -> list[Push]:
        """The pushes without an outcome."""
        return [push for id_, push in self.pushes.items() if id_ not in self.outcomes]

    def fail(self, call_ids: Iterable[str], outcome: Outcome) -> None:
        """Give these calls the same outcome."""
        self.outcomes |= dict.fromkeys(call_ids, outcome)

    def contact_id(self, push: Push) -> str:
        """Return the record id of the customer's contact, "" for none."""
        return self.contact_ids.get(push.call.external_number or "", "")

    def agent_owner_id(self, push: Push) -> str:
        """Return the owner id of the call's agent, "" for none."""
        return self.owner_ids.get(push.call.agent_email or "", "")

    def final_outcomes(self) -> dict[str, Outcome]:
        """Return the outcome of each call; a call that passed all steps is delivered."""
        return {id_: self.outcomes.get(id_) or self._delivered(id_) for id_ in self.pushes}

    def _delivered(self, call_id: str) -> Delivered:
        """If task and contact are refused, the code is that of the task: without it nobody calls back."""
        refusals = []
        if task_refusal := self.task_refusals.get(call_id):
            refusals.append((TASK_REFUSED, f"HubSpot refused the call's task. {task_refusal.message}"))
        if contact_refusal := self.contact_refusals.get(call_id):
            reason = f"The call is not linked to a contact, which HubSpot refused. {contact_refusal.message}"
            refusals.append((CONTACT_REFUSED, reason))
        if not refusals:
            return Delivered(remote_id=self.record_ids[call_id])
        reasons = " ".join(reason for _, reason in refusals)
        message = f"The next delivery of the call tries again. {reasons}"
        return Delivered(remote_id=self.record_ids[call_id], code=refusals[0][0], message=message)
