from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from crm_clients.base import ClientState, CrmClient
from crm_clients.conformance import Ability, ClientConformance, Fault
from tests.support.receiver import Receiver


class ConformanceReceiver(Receiver):
    """Marks merged calls if the test's settings say so; the client leaves that to the receiver."""

    lacks = frozenset(
        # Messages have all fields and nothing is read back; any response with status 200 is a success.
        {Ability.EDITS, Ability.LOOKING, Ability.DIAGNOSIS, Fault.GARBAGE}
    )

    def client(self, memory: ClientState, **settings: Any) -> CrmClient[Any]:
        self.marks = settings.get("on_merge") == "mark"
        return super().client(memory, **settings)


class TestWebhook(ClientConformance):
    @pytest.fixture
    def crm(self) -> Iterator[ConformanceReceiver]:
        with closing(ConformanceReceiver()) as crm:
            yield crm
