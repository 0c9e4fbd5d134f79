"""What a client owes, as tests: a kit that its author runs against the CRM, or against a fake of it.

    class TestMyClient(ClientConformance):
        @pytest.fixture
        def crm(self):
            with closing(MyCrm()) as crm:
                yield crm

`MyCrm` derives from `Crm`, which says what the kit must be able to look at and to bring about, or from
`HttpCrm`, which brings its own server and all the faults of one. docs/write-a-client.md builds both.
"""

try:
    import pytest
except ImportError as error:
    raise ImportError(
        "crm_clients.conformance is a kit for pytest, which the relay itself does without: pip install pytest"
    ) from error

from crm_clients.conformance.crm import Ability, Crm, Fault
from crm_clients.conformance.ends import RetractionTests
from crm_clients.conformance.faults import FaultTests
from crm_clients.conformance.http import HttpCrm, Request, Response
from crm_clients.conformance.manners import BehaviourTests
from crm_clients.conformance.records import RecordTests

__all__ = ["Ability", "ClientConformance", "Crm", "Fault", "HttpCrm", "Request", "Response"]


class ClientConformance(RecordTests, FaultTests, RetractionTests, BehaviourTests):
    """Everything that a client owes. Derive from it, and give it the fixture `crm`."""

    @pytest.fixture
    def crm(self) -> Crm:
        """The CRM, empty, for one test."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a fixture `crm` that gives a Crm, empty for each test"
        )
