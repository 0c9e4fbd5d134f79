"""The names that authors of plug-ins import from `crm_clients`."""

import subprocess
import sys

import pytest

import crm_clients

NAMES = [
    "DELIVERED_FIELDS",
    "Call",
    "CallFailure",
    "ClientState",
    "Context",
    "CrmClient",
    "Delivered",
    "DeliveryFilter",
    "DestinationFailure",
    "DestinationSettings",
    "Finding",
    "FollowUpRules",
    "InMemoryClientState",
    "KeyedLock",
    "Misconfigured",
    "Outcome",
    "Outdated",
    "Push",
    "RateLimiter",
    "Rejected",
    "Retraction",
    "Retry",
    "Split",
    "Status",
    "Stored",
    "Throttled",
    "Unauthorised",
    "Unknown",
    "VendorHttp",
    "is_same",
    "merge_by_call",
    "require_distinct_names",
    "retry_after",
]


def test_the_public_names_are_exactly_these() -> None:
    assert crm_clients.__all__ == NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if name != "DELIVERED_FIELDS"])
def test_every_public_class_and_function_has_a_docstring_of_its_own(name: str) -> None:
    public = getattr(crm_clients, name)
    docstring = vars(public).get("__doc__") if isinstance(public, type) else public.__doc__
    assert docstring


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'VendorSmtp'"):
        _ = crm_clients.VendorSmtp


def test_importing_the_package_does_not_import_httpx_or_pytest() -> None:
    code = "import sys, crm_clients; print({'httpx', 'tenacity', 'pytest'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout == "set()\n"
