"""A CRM that can be read, for tests of the audit."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crm_clients.base import Outcome, Push, Stored
from relay.ledger import Ledger
from tests.support.deliveries import delivered_update, enqueue, settle
from tests.support.delivering import FakeCrm

Reply = Mapping[str, Sequence[Stored]] | Outcome | None


class ReadableCrm(FakeCrm):
    """`records`: by call id. `answers` come first. `on_read` is awaited with each request."""

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[str, list[Stored]] = {}
        self.answers: list[Reply | Callable[[], Any]] = []
        self.read_ids: list[list[str]] = []

    async def read(self, pushes: Sequence[Push]) -> Reply:
        self.read_ids.append([push.call.id for push in pushes])
        if self.answers:
            answer = self.answers.pop(0)
            if not callable(answer):
                return answer
            await answer()
        return {id_: self.records[id_] for id_ in self.read_ids[-1] if id_ in self.records}


async def deliver(ledger: Ledger, crm: ReadableCrm, *ids: str, version: int = 1) -> None:
    """Deliver these calls, as the CRM has them too."""
    await enqueue(ledger, *((id_, version) for id_ in ids))
    updates = [delivered_update(id_, version=version, remote_id=f"r-{id_}") for id_ in ids]
    await settle(ledger, *updates)
    crm.records |= {id_: [Stored(f"r-{id_}", version)] for id_ in ids}
