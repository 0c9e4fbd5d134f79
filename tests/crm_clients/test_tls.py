"""Requests to a server whose certificate nobody trusts."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator

import httpx
import pytest

from crm_clients.base import Retry
from crm_clients.http import VendorHttp
from crm_clients.webhook.transport import DirectTransport
from tests.support.patience import PATIENCE

NEW_CERTIFICATE = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost"
)


class Server:
    """An HTTPS server on this machine that counts what it receives."""

    def __init__(self) -> None:
        self.url = ""
        self.requests = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder = tmp_path_factory.mktemp("certificate")
    command = [*NEW_CERTIFICATE.split(), "-keyout", "key.pem", "-out", "certificate.pem"]
    subprocess.run(command, check=True, capture_output=True, timeout=20, cwd=folder)  # noqa: S603 - a fixed command
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


@pytest.fixture
async def server(certificate: ssl.SSLContext) -> AsyncIterator[Server]:
    server = Server()
    listening = await asyncio.start_server(server.answer, "127.0.0.1", ssl=certificate)
    server.url = f"https://localhost:{listening.sockets[0].getsockname()[1]}"
    async with listening:
        yield server


@pytest.mark.parametrize("is_webhook", [False, True])
async def test_nothing_is_sent_to_a_server_whose_certificate_is_not_trusted(
    server: Server, is_webhook: bool
) -> None:
    transport = DirectTransport(allow_private=True, connections=1) if is_webhook else None
    http = VendorHttp(base_url=server.url, headers={}, timeout_seconds=10, transport=transport)
    result = await http.send("POST", "/", content=b"{}")
    await http.aclose()
    assert isinstance(result, Retry)
    assert "CERTIFICATE_VERIFY_FAILED" in str(result.message)
    assert server.requests == 0


async def test_the_server_answers_a_client_that_checks_no_certificate(server: Server) -> None:
    async with httpx.AsyncClient(verify=False, timeout=PATIENCE) as client:  # noqa: S501 - the control of the test above
        assert (await client.post(server.url)).status_code == 200
    assert server.requests == 1
