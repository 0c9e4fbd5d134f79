import pytest

from relay.standards.public_addresses import is_public

PUBLIC = [
    "8.8.8.8",
    "93.184.216.34",
    "168.63.129.17",
    "192.0.1.1",
    "100.128.0.1",
    "172.32.0.1",
    "2606:4700::1111",
    "2001:4860:4860::8888",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::",
]
NOT_PUBLIC = [
    *("127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "::127.0.0.1"),  # this machine
    *("0.0.0.0", "::"),  # noqa: S104 - checked, not listened on
    *("10.0.0.1", "172.16.0.1", "192.168.1.1", "::ffff:192.168.1.1", "fc00::1", "fd00:ec2::254", "fec0::1"),
    *("169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "fe80::1%eth0"),  # metadata, links
    *("100.64.0.1", "192.0.2.1", "198.18.0.1", "2001:db8::1", "240.0.0.1", "255.255.255.255"),
    *("224.0.0.1", "ff02::1"),
    *("168.63.129.16", "192.0.0.192", "100.100.100.200", "192.0.0.8", "192.88.99.1", "192.175.48.6"),
    *("::ffff:168.63.129.16", "64:ff9b::a83f:8110", "2002:a83f:8110::1", "64:ff9b::c000:c0"),
    *("64:ff9b:1::808:808", "::ffff:0:a00:1", "::a00:1", "2001:0:a00:1::1", "2001:0:808:808::1"),  # Teredo
    *("3fff::1", "5f00::1", "100::1", "2001:2::1", "2001:20::1", "fd20:ce::254", "4000::1", "e000::1"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::", "2001:0:1::"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_an_internet_address_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_of_this_machine_or_of_a_private_network_is_not_public(address: str) -> None:
    assert not is_public(address)
