"""Which hosts only this machine can reach."""

import pytest

from relay.standards.addresses import is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "LOCALHOST"])
def test_loopback_addresses_and_localhost_are_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "localhost.example.com", ""])  # noqa: S104 - not bound
def test_other_addresses_and_names_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)
