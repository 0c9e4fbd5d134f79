"""A client of the console that is signed in, and how long its pages take."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx

from bench.result import BenchError
from bench.server import Server

TOKEN: Final = "console-token-of-the-benchmark"  # noqa: S105 - of the benchmark only
_TIMEOUT_SECONDS: Final = 120.0
_CSRF: Final = re.compile(r'name="csrf" value="([0-9a-f]+)"')
_CALL: Final = re.compile(r'<tr data-id="')


class ConsoleClient:
    """A person who is signed in."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def measure(self, path: str, times: int) -> list[float]:
        """Return the seconds of each of so many visits to a page, after one that does not count."""
        seconds = []
        for _ in range(times + 1):
            begin = time.perf_counter()
            self.open(path)
            seconds.append(time.perf_counter() - begin)
        return seconds[1:]

    def open(self, path: str) -> str:
        """Return the page at a path below `/console/`. Raises `BenchError`."""
        response = self._client.get(f"/console/{path}")
        if response.status_code != httpx.codes.OK:
            raise BenchError(f"the console responded with {response.status_code} to {path}")
        return response.text

    def count_calls(self, path: str) -> int:
        """Return how many calls a list shows."""
        return len(_CALL.findall(self.open(path)))


@contextmanager
def signed_in(server: Server) -> Iterator[ConsoleClient]:
    """Sign in to the console of this relay. Raises `BenchError`."""
    url = f"http://{server.host}:{server.port}"
    with httpx.Client(base_url=url, timeout=_TIMEOUT_SECONDS) as client:
        csrf = _CSRF.search(client.get("/console/").text)
        form = {"csrf": csrf[1] if csrf else "", "token": TOKEN, "next": ""}
        response = client.post("/console/sign-in", data=form)
        if response.is_error:
            raise BenchError(f"the console responded with {response.status_code} to a sign-in")
        yield ConsoleClient(client)
