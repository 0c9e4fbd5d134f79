"""Requests for recordings: redirects, addresses and silence."""

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from relay.recordings.download import Downloader
from relay.recordings.failures import FetchFailed, Reason
from relay.recordings.hosts import AllowedHosts
from tests.fakes.cloudtalk import FakeCloudTalk
from tests.support.recordings import public_path


@pytest.fixture
async def downloader() -> AsyncIterator[Downloader]:
    hosts = AllowedHosts(["127.0.0.1", "private.test"], "https://api.example.com", allow_private=False)
    made = Downloader(hosts, connections=2, read_seconds=0.2)
    yield made
    await made.aclose()


async def read(downloader: Downloader, url: str) -> bytes:
    async with downloader.get(url, {}) as response:
        return await response.aread()


async def test_a_listed_name_may_not_resolve_to_a_private_address(
    downloader: Downloader, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(_host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", ("10.0.0.5", port))]

    monkeypatch.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", lambda _, *a, **k: resolve(*a, **k))
    with pytest.raises(FetchFailed, match=r"private\.test resolves to 10\.0\.0\.5") as caught:
        await read(downloader, "https://private.test/x.wav")
    assert caught.value.reason is Reason.FORBIDDEN_HOST


async def test_a_redirect_within_a_host_is_followed_and_an_endless_chain_is_not(
    downloader: Downloader, cloudtalk: FakeCloudTalk
) -> None:
    cloudtalk.api = f"redirect {public_path('7')}"
    audio = await read(downloader, cloudtalk.url + public_path("7"))
    assert len(audio) == 160_044
    cloudtalk.link = f"redirect {public_path('7')}"
    with pytest.raises(FetchFailed, match="more than 5 redirects"):
        await read(downloader, cloudtalk.url + public_path("7"))
    assert len(cloudtalk.asked) == 7


async def test_a_server_that_is_silent_or_breaks_off_is_unavailable(
    downloader: Downloader, cloudtalk: FakeCloudTalk
) -> None:
    for behaviour in ("silent", "truncated"):
        cloudtalk.link = behaviour
        with pytest.raises(FetchFailed) as caught:
            await read(downloader, cloudtalk.url + public_path("7"))
        assert caught.value.reason is Reason.UNAVAILABLE


async def test_a_server_that_does_not_run_is_unavailable(downloader: Downloader) -> None:
    with pytest.raises(FetchFailed) as caught:
        await read(downloader, "http://127.0.0.1:1/x.wav")
    assert caught.value.reason is Reason.UNAVAILABLE
    assert isinstance(caught.value.__cause__, httpx.ConnectError)


def test_a_relay_that_fetches_no_recording_loads_no_http_client(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('[destinations.crm]\nclient = "local"\npath = "crm.db"\n')
    code = (
        "import sys, pathlib; from relay.app import Relay, create_app; from relay.settings import load;"
        " create_app(Relay(load(pathlib.Path(sys.argv[1])))); print('httpx' in sys.modules)"
    )
    done = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", code, settings], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
