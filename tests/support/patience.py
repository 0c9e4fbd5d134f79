"""How long tests wait for servers, processes and disks. None of them claims a speed by it.

A machine of CI stalls for ten seconds now and then. A wait ends as soon as its condition is true.
"""

from typing import Any, Final

import httpx

PATIENCE: Final = 60.0
"""In seconds. Less than the `timeout` of pytest, so that a test fails with what it waited for."""


def http_client(base_url: str = "", **options: Any) -> httpx.Client:
    """Return a client for servers of this machine. By default httpx gives up after five seconds."""
    return httpx.Client(base_url=base_url, timeout=PATIENCE, trust_env=False, **options)
