"""The webhook owes what every client owes, as far as a receiver can tell."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from crm_clients.base import ClientState, CrmClient
from crm_clients.conformance import Ability, ClientConformance, Fault
from tests.support.receiver import Receiver


class Told(Receiver):
    """What a receiver makes of a merge is its own affair; this one does what the test's setting says."""

    lacks = frozenset(
        # It is told whole calls, and never asked; any page with status 200 has taken them.
        {Ability.EDITS, Ability.LOOKING, Ability.DIAGNOSIS, Fault.GARBAGE}
    )

    def client(self, memory: ClientState, **settings: Any) -> CrmClient[Any]:
        self.marks = settings.get("on_merge") == "mark"
        return super().client(memory, **settings)


class TestWebhook(ClientConformance):
    @pytest.fixture
    def crm(self) -> Iterator[Told]:
        with closing(Told()) as crm:
            yield crm
