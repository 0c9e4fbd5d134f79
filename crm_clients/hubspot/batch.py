"""The calls of one upsert, with what its steps have found out."""

from collections.abc import Iterable, Mapping

from crm_clients.base import Delivered, Outcome, Push
from crm_clients.batch import merge_by_call


class Batch:
    """Pushes by call id, one per call. A push that has an outcome takes part in no further step.

    `record_ids`: call id → record id in HubSpot. `contact_ids`: number → record id of its contact, "" for
    none. `owner_ids`: e-mail address → owner id, "" for none. `unlinked`: ids of the calls that were
    delivered before and are not linked to a contact.
    """

    def __init__(self, pushes: Iterable[Push]) -> None:
        self.pushes = merge_by_call(pushes)
        self.outcomes: dict[str, Outcome] = {}
        self.record_ids: dict[str, str] = {}
        self.contact_ids: dict[str, str] = {}
        self.owner_ids: Mapping[str, str] = {}
        self.unlinked: set[str] = set()

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
        delivered = {id_: Delivered(remote_id=record_id) for id_, record_id in self.record_ids.items()}
        return {id_: self.outcomes.get(id_) or delivered[id_] for id_ in self.pushes}
