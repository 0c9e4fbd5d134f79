"""Which hosts only this machine can reach."""

import pytest

from relay.standards.addresses import is_ip_address, is_loopback, network_of


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "LOCALHOST"])
def test_loopback_addresses_and_localhost_are_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "localhost.example.com", ""])  # noqa: S104 - not bound
def test_other_addresses_and_names_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("192.0.2.1", True), ("::1", True), ("192.0.2", False), ("localhost", False), ("", False)],
)
def test_an_address_is_no_name(host: str, *, expected: bool) -> None:
    assert is_ip_address(host) is expected


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1::7", "2001:0db8:0000:0001::/64"),
        ("2001:db8:0:1:ffff::", "2001:0db8:0000:0001::/64"),
        ("2001:db8:0:2::7", "2001:0db8:0000:0002::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_the_network_of_an_address_is_what_one_sender_controls(address: str, network: str) -> None:
    assert network_of(address) == network
