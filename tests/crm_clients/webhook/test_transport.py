import asyncio

import httpx

from crm_clients.webhook.transport import DirectTransport
from tests.support.servers import serving


async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Respond with a body that begins at once and then continues byte by byte without end."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 422 No\r\ncontent-type: text/plain\r\n\r\nbecause")
    try:
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.01)
    except ConnectionError:
        pass


async def test_a_slow_body_is_read_for_the_given_time_only() -> None:
    transport = DirectTransport(allow_private=True, connections=1, body_seconds=0.1)
    async with serving(trickle) as url, httpx.AsyncClient(transport=transport) as client:
        response = await client.get(url)
    assert response.status_code == 422
    assert response.text.startswith("because")
