from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from crm_clients.base import ClientState, CrmClient
from crm_clients.conformance import Capability, ClientConformance, Fault
from tests.support.receiver import Receiver


class ConformanceReceiver(Receiver):
    """Marks merged calls if the test's settings say so; the client leaves that to the receiver."""

    unsupported = frozenset(
        # Messages have all fields and nothing is read back; any response with status 200 is a success.
        {Capability.EDITS, Capability.LOOKUP, Capability.DOUBLES, Capability.DIAGNOSIS, Fault.HTML_PAGE}
    )

    def make_client(self, state: ClientState, **settings: Any) -> CrmClient[Any]:
        self.keeps_merged = settings.get("on_merge") == "mark"
        return super().make_client(state, **settings)


class TestWebhook(ClientConformance):
    @pytest.fixture
    def crm(self) -> Iterator[ConformanceReceiver]:
        with closing(ConformanceReceiver()) as crm:
            yield crm
