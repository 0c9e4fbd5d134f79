import asyncio
import socket
from typing import Any

import httpcore
import pytest

from relay.standards.public_network import ForbiddenAddress, PublicNetworkBackend


class FakeNetwork:
    """Resolves each lookup to the next list of addresses, and records the connections."""

    def __init__(self, *lookups: list[str], refusing: tuple[str, ...] = ()) -> None:
        self.lookups = list(lookups)
        self.refusing = refusing
        self.connected: list[tuple[str, int]] = []

    async def getaddrinfo(self, _host: str, port: int, **_: Any) -> list[Any]:
        addresses = self.lookups.pop(0)
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    async def connect_tcp(self, host: str, port: int, **_: Any) -> str:
        self.connected.append((host, port))
        if host in self.refusing:
            raise httpcore.ConnectError("refused")
        return "a stream"


async def connect(network: FakeNetwork, monkeypatch: pytest.MonkeyPatch, host: str = "hook.example") -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", network.getaddrinfo)
    backend = PublicNetworkBackend()
    monkeypatch.setattr(backend, "_network", network)
    await backend.connect_tcp(host, 443, 1.0)


async def test_the_connection_goes_to_the_checked_address(monkeypatch: pytest.MonkeyPatch) -> None:
    network = FakeNetwork(["8.8.8.8"], ["127.0.0.1"])
    await connect(network, monkeypatch)
    assert network.connected == [("8.8.8.8", 443)]
    assert network.lookups == [["127.0.0.1"]]  # the name is not resolved again


async def test_the_next_connection_is_refused_if_the_name_then_resolves_to_a_private_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = FakeNetwork(["8.8.8.8"], ["169.254.169.254"])
    await connect(network, monkeypatch)
    with pytest.raises(ForbiddenAddress, match=r"169\.254\.169\.254"):
        await connect(network, monkeypatch)
    assert network.connected == [("8.8.8.8", 443)]


async def test_only_the_public_addresses_of_a_name_are_tried_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = FakeNetwork(["10.0.0.1", "9.9.9.9", "8.8.8.8", "1.1.1.1"], refusing=("9.9.9.9",))
    await connect(network, monkeypatch)
    assert network.connected == [("9.9.9.9", 443), ("8.8.8.8", 443)]


async def test_if_no_address_accepts_the_last_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    network = FakeNetwork(["9.9.9.9", "8.8.8.8"], refusing=("9.9.9.9", "8.8.8.8"))
    with pytest.raises(httpcore.ConnectError, match="refused"):
        await connect(network, monkeypatch)


async def test_an_unknown_name_is_a_connect_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(httpcore.ConnectError, match="not known"):
        await connect(FakeNetwork([]), monkeypatch)


@pytest.mark.parametrize("host", ["hook..example", f"{'x' * 64}.example"])
async def test_an_invalid_name_is_a_connect_error(host: str) -> None:
    with pytest.raises(httpcore.ConnectError, match="idna"):
        await PublicNetworkBackend().connect_tcp(host, 443, 5.0)


async def test_a_name_server_that_does_not_answer_is_a_connect_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def hang(*_: Any, **__: Any) -> list[Any]:
        await asyncio.sleep(60)
        return []

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", hang)
    with pytest.raises(httpcore.ConnectTimeout):
        await PublicNetworkBackend().connect_tcp("hook.example", 443, 0.05)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "0", "[::1]", "::ffff:127.0.0.1"]
)
async def test_no_spelling_of_the_loopback_address_is_connected_to(host: str) -> None:
    with pytest.raises((ForbiddenAddress, httpcore.ConnectError)):
        await PublicNetworkBackend().connect_tcp(host, 9, 1.0)
