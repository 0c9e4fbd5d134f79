"""Some calls on their way into HubSpot, step by step."""

from collections.abc import Iterable, Mapping

from crm_clients.base import Delivered, Outcome, Push
from crm_clients.batch import merge_by_call


class Batch:
    """Pushes, and what the steps have found out about them; one that has an outcome goes no further.

    `records`: the record id of each call. `contacts`: by number, the contact's id, "" where there is
    none. `owners`: by e-mail address, the owner's id, "" where there is none. `unlinked`: the calls
    that were brought before and have no contact yet.
    """

    def __init__(self, pushes: Iterable[Push]) -> None:
        self.pushes = merge_by_call(pushes)
        self.outcomes: dict[str, Outcome] = {}
        self.records: dict[str, str] = {}
        self.contacts: dict[str, str] = {}
        self.owners: Mapping[str, str] = {}
        self.unlinked: set[str] = set()

    @property
    def left(self) -> list[Push]:
        """Those that go on."""
        return [push for id_, push in self.pushes.items() if id_ not in self.outcomes]

    def fail(self, ids: Iterable[str], outcome: Outcome) -> None:
        """These go no further."""
        self.outcomes |= dict.fromkeys(ids, outcome)

    def contact_of(self, push: Push) -> str:
        """The record id of the customer's contact, "" where there is none."""
        return self.contacts.get(push.call.external_number or "", "")

    def agent_of(self, push: Push) -> str:
        """The id of the agent's owner, "" where there is none."""
        return self.owners.get(push.call.agent_email or "", "")

    def result(self) -> dict[str, Outcome]:
        """What became of each call: those that went all the way are delivered."""
        arrived = {id_: Delivered(remote_id=record) for id_, record in self.records.items()}
        return {id_: self.outcomes.get(id_) or arrived[id_] for id_ in self.pushes}
