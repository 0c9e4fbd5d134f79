"""A test kit for clients. Authors run it against the CRM or against a fake of it.

    class TestMyClient(ClientConformance):
        @pytest.fixture
        def crm(self):
            with closing(MyCrm()) as crm:
                yield crm

`MyCrm` derives from `Crm`, which gives the kit access to the CRM's records and injects faults, or from
`HttpCrm`, which has a server and can inject all faults. docs/write-a-client.md shows an example.

Import only the names below; the other modules are internal.
"""

try:
    import pytest
except ImportError as error:
    raise ImportError(
        "crm_clients.conformance needs pytest, which the relay itself does not install: pip install pytest"
    ) from error

from crm_clients.conformance.behaviour import BehaviourTests
from crm_clients.conformance.crm import Capability, Crm, Fault
from crm_clients.conformance.faults import FaultTests
from crm_clients.conformance.http_crm import HttpCrm, Request, Response
from crm_clients.conformance.reading import ReadTests
from crm_clients.conformance.records import RecordTests
from crm_clients.conformance.retractions import RetractionTests

__all__ = ["Capability", "ClientConformance", "Crm", "Fault", "HttpCrm", "Request", "Response"]


class ClientConformance(RecordTests, ReadTests, FaultTests, RetractionTests, BehaviourTests):
    """All tests of the kit. Derive from it and define the fixture `crm`."""

    @pytest.fixture
    def crm(self) -> Crm:
        """Return an empty CRM for one test."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a fixture `crm` that returns an empty Crm for each test"
        )
