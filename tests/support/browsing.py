"""A relay in this process, and a browser that only keeps cookies and sends forms."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx

from relay.app import Relay, create_app
from relay.settings import Settings

TOKEN: Final = "console-token-of-the-tests"


class Browser:
    """A person at a browser: it follows redirects, keeps cookies, and sends the forms of its last page."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.page = httpx.Response(200)

    async def open(self, path: str = "/console", **headers: str) -> httpx.Response:
        """Open a page."""
        self.page = await self.client.get(path, headers=_named(headers))
        return self.page

    async def post(
        self, path: str, headers: Mapping[str, str] | None = None, /, **fields: str
    ) -> httpx.Response:
        """Send a form to a path below the last page, with the token against forged forms of this page."""
        csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', self.page.text)
        data = {"csrf": csrf[1] if csrf else ""} | fields
        self.page = await self.client.post(path, data=data, headers=headers or {})
        return self.page

    async def sign_in(self, token: str = TOKEN, **fields: str) -> httpx.Response:
        """Open the console and sign in."""
        await self.open("/console/")
        return await self.post("/console/sign-in", token=token, **fields)


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@asynccontextmanager
async def browsing(
    settings: Settings, *, address: str = "127.0.0.1", url: str = "http://127.0.0.1:8080", **options: Any
) -> AsyncIterator[tuple[Relay, Browser]]:
    """A running relay, and a browser at this address that reaches it by this URL."""
    relay = Relay(settings)
    async with relay.lifecycle.running():
        transport = httpx.ASGITransport(create_app(relay), client=(address, 4321))
        async with httpx.AsyncClient(
            transport=transport, base_url=url, follow_redirects=True, **options
        ) as client:
            yield relay, Browser(client)
