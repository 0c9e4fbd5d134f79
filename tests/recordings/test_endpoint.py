"""`GET /recordings/{id}.wav` against a CloudTalk that misbehaves."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from relay.app import Relay
from relay.call import Call
from relay.ledger.errors import LedgerTimeout
from relay.operations.calls import find_call
from relay.settings import Settings
from tests.fakes.cloudtalk import FakeCloudTalk
from tests.support.in_process import in_process_relay, settings_in
from tests.support.patience import PATIENCE
from tests.support.recordings import link_to, recorded_call, recording_settings, wav

AUDIO = wav(10)
SIZE = 160_044
RECENT = {"started_at": None, "ended_at": None}
"""A call without times: it began when its event arrived."""


class Player:
    """A relay, an HTTP client of it, and links to its recordings."""

    def __init__(self, relay: Relay, client: httpx.AsyncClient, settings: Settings, url: str) -> None:
        self.relay = relay
        self.client = client
        self.settings = settings
        self._url = url

    async def record(self, call_id: str = "7", **facts: Any) -> Call:
        """Send the end of a call with a recording, and return its record once it is folded."""
        response = await self.client.post(
            "/cloudtalk/webhook", json=recorded_call(call_id, self._url, **facts)
        )
        assert response.status_code == 200, response.text
        async with asyncio.timeout(PATIENCE):
            while (row := await self.relay.ledger.read(lambda c: find_call(c, call_id))) is None:
                await asyncio.sleep(0.01)
        return row.record

    async def get(self, call: Call, method: str = "GET", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, link_to(self.settings, call), headers=named)


Play = Callable[..., Any]


@pytest.fixture
async def play(tmp_path: Path, cloudtalk: FakeCloudTalk) -> AsyncIterator[Play]:
    """Start a relay with these settings of recordings."""
    async with AsyncExitStack() as stack:

        async def start(**recordings: Any) -> Player:
            settings = settings_in(tmp_path, **recording_settings(cloudtalk.url, **recordings))
            relay, client = await stack.enter_async_context(in_process_relay(settings))
            return Player(relay, client, settings, cloudtalk.url)

        yield start


async def test_a_recording_is_fetched_once_with_the_key_and_then_played_from_the_cache(
    play: Play, cloudtalk: FakeCloudTalk, tmp_path: Path
) -> None:
    player = await play()
    call = await player.record()
    for _ in range(2):
        response = await player.get(call)
        assert (response.status_code, response.content) == (200, AUDIO)
    assert cloudtalk.paths == ["/api/calls/recording/7.json"]
    assert cloudtalk.asked[0].headers["authorization"] == "Basic aWQ6c2VjcmV0"
    headers = response.headers
    assert headers["content-type"] == "audio/wav"
    assert headers["accept-ranges"] == "bytes"
    assert headers["content-length"] == "160044"
    assert headers["cache-control"] == "private, max-age=3600"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'none'; media-src 'self';")
    (file,) = (tmp_path / "var/recordings-cache").iterdir()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


async def test_a_recording_waits_for_no_search(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def view(_: object) -> None:
        raise LedgerTimeout("it takes too long")

    player = await play()
    call = await player.record()
    monkeypatch.setattr(player.relay.ledger, "view", view)
    assert (await player.get(call)).status_code == 200


async def test_head_has_the_headers_and_no_body(play: Play) -> None:
    player = await play()
    response = await player.get(await player.record(), "HEAD")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == "160044"


@pytest.mark.parametrize("wanted", ["bytes=0-9", "bytes=0-9,20-29", "bytes=999999-"])
async def test_head_with_a_range_is_answered_whole(play: Play, wanted: str) -> None:
    player = await play()
    response = await player.get(await player.record(), "HEAD", Range=wanted)
    assert (response.status_code, response.headers["content-length"]) == (200, "160044")
    assert "content-range" not in response.headers


@pytest.mark.parametrize(
    ("wanted", "status", "content_range", "content"),
    [
        ("bytes=0-99", 206, "bytes 0-99/160044", AUDIO[:100]),
        ("bytes=100000-", 206, "bytes 100000-160043/160044", AUDIO[100_000:]),
        ("bytes=-44", 206, "bytes 160000-160043/160044", AUDIO[-44:]),
        ("bytes=0-999999999", 206, "bytes 0-160043/160044", AUDIO),
        ("bytes=160044-", 416, "bytes */160044", b""),
        ("bytes=-0", 416, "bytes */160044", b""),
        ("bytes=9-1", 200, None, AUDIO),
        ("chapters=1-2", 200, None, AUDIO),
    ],
)
async def test_a_range_is_served(
    play: Play, wanted: str, status: int, content_range: str | None, content: bytes
) -> None:
    player = await play()
    call = await player.record()
    for _ in range(2):  # of the fetch, then of the cache
        response = await player.get(call, range=wanted)
        assert response.status_code == status
        assert response.headers.get("content-range") == content_range
        assert response.content == content


async def test_several_ranges_are_a_multipart_body(play: Play) -> None:
    player = await play()
    response = await player.get(await player.record(), range="bytes=0-1, -2")
    boundary = response.headers["content-type"].removeprefix("multipart/byteranges; boundary=")
    assert response.status_code == 206
    assert int(response.headers["content-length"]) == len(response.content)
    assert response.content == (
        f"\r\n--{boundary}\r\nContent-Type: audio/wav\r\nContent-Range: bytes 0-1/160044\r\n\r\n".encode()
        + AUDIO[:2]
        + f"\r\n--{boundary}\r\nContent-Type: audio/wav\r\n"
        f"Content-Range: bytes 160042-160043/160044\r\n\r\n".encode()
        + AUDIO[-2:]
        + f"\r\n--{boundary}--\r\n".encode()
    )


async def test_a_range_of_another_recording_gets_the_whole_one(play: Play) -> None:
    player = await play()
    call = await player.record()
    etag = (await player.get(call)).headers["etag"]
    assert (await player.get(call, range="bytes=0-1", if_range=etag)).status_code == 206
    assert (await player.get(call, range="bytes=0-1", if_range='"other"')).status_code == 200


# --- links -----------------------------------------------------------------------------------------


async def test_a_link_that_was_changed_reads_nothing(play: Play, cloudtalk: FakeCloudTalk) -> None:
    player = await play(link_days=9_000)
    path = link_to(player.settings, await player.record())
    changed = [
        path[:-1],
        path.replace("e=", "e=1"),
        path.replace("cloudtalk-", "cloudtalk-1"),
        path.partition("?")[0],
        path.replace("e=", "x="),
    ]
    for other in changed:
        response = await player.client.get(other)
        assert response.status_code == 403
        assert response.json()["type"] == "urn:cloudtalk-relay:problem:signature"
    assert cloudtalk.asked == []
    assert (await player.client.get(path)).status_code == 200


async def test_a_link_expires_after_the_days_since_the_end_of_the_call(play: Play) -> None:
    player = await play(link_days=1)
    old = await player.record()
    assert "e=1763720400" not in link_to(player.settings, old)
    response = await player.get(old)
    assert (response.status_code, response.json()["detail"]) == (403, "the link has expired")
    recent = await player.record("8", **RECENT)
    assert "e=" not in link_to(player.settings, recent)
    assert (await player.get(recent)).status_code == 503


async def test_a_link_of_an_earlier_key_is_valid_until_the_key_is_removed(play: Play) -> None:
    player = await play()
    call = await player.record()
    path = link_to(player.settings, call)
    new = b"another-key-of-links-012345"
    player.relay.recordings.endpoint.set_keys([new, player.settings.recording_links.keys[0]])
    assert (await player.client.get(path)).status_code == 200
    player.relay.recordings.endpoint.set_keys([new])
    assert (await player.client.get(path)).status_code == 403


@pytest.mark.parametrize(
    "path", ["/recordings/", "/recordings/.wav", "/recordings/x.mp3", "/recordings/a/b.wav"]
)
async def test_another_path_is_no_recording(play: Play, path: str) -> None:
    player = await play()
    assert (await player.client.get(path)).status_code == 404


async def test_another_method_is_refused(play: Play) -> None:
    player = await play()
    response = await player.client.post("/recordings/x.wav")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")


async def test_an_id_may_have_any_characters(play: Play, cloudtalk: FakeCloudTalk) -> None:
    player = await play()
    body = {
        "id": "a//b ?#%2F.wav é",
        "direction": "inbound",
        "recording_url": f"{cloudtalk.url}/pub/r/Nw/aa.wav",
    }
    body |= {"started_at": "2026-11-20T10:00:00Z", "status": "answered", "from": "+34612345678"}
    response = await player.client.post("/cloudtalk/webhook", json={"event": "call.ended", "data": body})
    id_ = response.json()["id"]
    async with asyncio.timeout(PATIENCE):
        while (row := await player.relay.ledger.read(lambda c: find_call(c, id_))) is None:
            await asyncio.sleep(0.01)
    assert row.record.recording_url is not None
    assert (await player.get(row.record)).content == AUDIO


async def test_without_a_call_or_a_recording_it_is_not_found(play: Play) -> None:
    player = await play()
    call = await player.record()
    links = player.settings.recording_links
    unknown = links._replace(public_url="").link(Call(**{**_as_dict(call), "id": "unknown"}))
    assert (await player.client.get(unknown)).status_code == 404
    silent = await player.record("9", recording_url=None)
    assert (await player.get(silent)).json()["detail"] == "the call has no recording"


def _as_dict(call: Call) -> dict[str, Any]:
    return {field: getattr(call, field) for field in call.__struct_fields__}


# --- a CloudTalk that misbehaves -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "recent", "old", "reason"),
    [
        ("missing", 503, 404, "not_found"),
        ("page", 503, 404, "not_audio"),
        ("refusal", 503, 404, "not_audio"),
        ("empty", 503, 404, "not_audio"),
        ("gone", 410, 410, "gone"),
        ("unauthorised", 503, 404, "unauthorised"),
        ("throttled", 503, 503, "throttled"),
        ("broken", 503, 503, "unavailable"),
        ("large", 404, 404, "too_large"),
        ("encoded zstd", 503, 503, "unavailable"),
        ("redirect http://192.0.2.1/x.wav", 404, 404, "forbidden_host"),
        ("redirect https://my.cloudtalk.io.example.com/x.wav", 404, 404, "forbidden_host"),
    ],
)
async def test_what_cloudtalk_answers_decides(
    play: Play, cloudtalk: FakeCloudTalk, behaviour: str, recent: int, old: int, reason: str
) -> None:
    cloudtalk.recordings["8"] = AUDIO
    cloudtalk.api = cloudtalk.link = behaviour
    cloudtalk.reset_time = int(time.time()) + 40
    player = await play()
    for call_id, facts, expected in (("7", {}, old), ("8", RECENT, recent)):
        response = await player.get(await player.record(call_id, **facts))
        assert response.status_code == expected
        assert response.json()["type"] == f"urn:cloudtalk-relay:problem:{reason}"
        assert ("retry-after" in response.headers) == (expected == 503)
    if behaviour == "throttled":
        assert 30 <= int(response.headers["retry-after"]) <= 40


async def test_a_compressed_recording_is_decompressed(play: Play, cloudtalk: FakeCloudTalk) -> None:
    cloudtalk.api = "encoded gzip"
    player = await play()
    response = await player.get(await player.record(), range="bytes=0-")
    assert response.content == AUDIO
    assert response.headers["content-range"] == "bytes 0-160043/160044"


async def test_a_refusal_names_no_host(play: Play, cloudtalk: FakeCloudTalk) -> None:
    cloudtalk.api, cloudtalk.link = "missing", "redirect https://secret-host.example/x.wav"
    player = await play()
    response = await player.get(await player.record())
    assert response.status_code == 404
    assert "secret-host" not in response.text
    assert "127.0.0.1" not in response.text


async def test_a_recording_that_only_the_api_has_is_not_fetched_without_the_key(
    play: Play, cloudtalk: FakeCloudTalk
) -> None:
    player = await play()
    url = "https://my.cloudtalk.io/api/calls/recording/7.json"
    call = await player.record(recording_url=url)
    assert (await player.get(call)).content == AUDIO
    cloudtalk.recordings.clear()
    other = await player.record("8", recording_url=url.replace("7", "8"))
    assert (await player.get(other)).status_code == 404
    assert cloudtalk.paths == ["/api/calls/recording/7.json", "/api/calls/recording/8.json"]


async def test_if_the_api_does_not_give_it_the_link_does(play: Play, cloudtalk: FakeCloudTalk) -> None:
    cloudtalk.api = "unauthorised"
    player = await play()
    assert (await player.get(await player.record())).content == AUDIO
    assert cloudtalk.paths == ["/api/calls/recording/7.json", "/pub/r/Nw/aGFzaA.wav"]
    assert "authorization" not in cloudtalk.asked[1].headers


async def test_what_the_api_calls_gone_is_not_looked_for_elsewhere(
    play: Play, cloudtalk: FakeCloudTalk
) -> None:
    cloudtalk.api = "gone"
    player = await play()
    assert (await player.get(await player.record())).status_code == 410
    assert cloudtalk.paths == ["/api/calls/recording/7.json"]


async def test_a_link_to_another_host_is_not_followed(play: Play, cloudtalk: FakeCloudTalk) -> None:
    cloudtalk.api = "missing"
    player = await play()
    call = await player.record(recording_url="http://169.254.169.254/pub/r/Nw/aa.wav")
    response = await player.get(call)
    assert response.status_code == 404
    assert cloudtalk.paths == ["/api/calls/recording/7.json"]


async def test_a_redirect_to_another_origin_gets_no_credentials(play: Play, cloudtalk: FakeCloudTalk) -> None:
    cloudtalk.api = f"redirect {cloudtalk.url.replace('127.0.0.1', 'localhost')}/pub/r/Nw/aa.wav"
    player = await play(allowed_hosts=["127.0.0.1", "localhost"])
    assert (await player.get(await player.record())).content == AUDIO
    first, second = cloudtalk.asked
    assert "authorization" in first.headers
    assert "authorization" not in second.headers


@pytest.mark.parametrize(("behaviour", "expected"), [("truncated", 503), ("endless", 404)])
async def test_a_recording_that_is_not_whole_is_not_kept(
    play: Play, cloudtalk: FakeCloudTalk, behaviour: str, expected: int, tmp_path: Path
) -> None:
    cloudtalk.api = behaviour
    player = await play(max_mb=1)
    response = await player.get(await player.record(), range="bytes=150000-")
    assert response.status_code == expected
    assert list((tmp_path / "var/recordings-cache").iterdir()) == []


async def test_a_failure_is_remembered_for_a_while(play: Play, cloudtalk: FakeCloudTalk) -> None:
    cloudtalk.api = cloudtalk.link = "missing"
    player = await play()
    call = await player.record()
    for _ in range(3):
        await player.get(call)
    assert len(cloudtalk.asked) == 2  # both sources, once


async def test_the_rate_limit_of_the_api_holds(play: Play, cloudtalk: FakeCloudTalk) -> None:
    cloudtalk.recordings["8"] = cloudtalk.recordings["9"] = AUDIO
    cloudtalk.api, cloudtalk.reset_time = "used_up", int(time.time()) + 60
    player = await play()
    for call_id in ("7", "8"):
        assert (await player.get(await player.record(call_id))).status_code == 200
    assert cloudtalk.paths == ["/api/calls/recording/7.json", "/pub/r/OA/aGFzaA.wav"]
    cloudtalk.link = "missing"
    assert (await player.get(await player.record("9"))).json()["type"].endswith(":throttled")


# --- several requests at the same time -------------------------------------------------------------


async def test_requests_share_one_fetch(play: Play, cloudtalk: FakeCloudTalk) -> None:
    cloudtalk.api = "slow"
    player = await play()
    call = await player.record()
    responses = await asyncio.gather(*(player.get(call) for _ in range(5)))
    assert [response.content for response in responses] == [AUDIO] * 5
    assert cloudtalk.paths == ["/api/calls/recording/7.json"]


async def test_a_range_is_served_while_the_recording_still_arrives(
    play: Play, cloudtalk: FakeCloudTalk
) -> None:
    cloudtalk.api = "held"
    player = await play()
    call = await player.record()
    first = await player.get(call, range="bytes=0-999")
    assert (first.headers["content-range"], first.content) == ("bytes 0-999/160044", AUDIO[:1_000])
    last = asyncio.create_task(player.get(call, range="bytes=-1000"))
    await asyncio.sleep(0.05)
    assert not last.done()
    cloudtalk.release.set()
    assert (await last).content == AUDIO[-1_000:]
    assert cloudtalk.paths == ["/api/calls/recording/7.json"]


@pytest.mark.parametrize("wanted", [None, "bytes=160000-"])
async def test_a_recording_of_unknown_size_is_served(
    play: Play, cloudtalk: FakeCloudTalk, wanted: str | None
) -> None:
    cloudtalk.api = "chunked"
    player = await play()
    response = await player.get(await player.record(), **({"range": wanted} if wanted else {}))
    assert response.status_code == (206 if wanted else 200)
    assert response.content == (AUDIO[160_000:] if wanted else AUDIO)


async def test_nothing_is_read_for_a_client_that_is_gone(play: Play, cloudtalk: FakeCloudTalk) -> None:
    cloudtalk.recordings["7"] = wav(600)
    player = await play()
    call = await player.record()
    assert len((await player.get(call)).content) == 9_600_044
    link = httpx.URL(link_to(player.settings, call))
    scope = {"type": "http", "method": "GET", "path": link.path, "raw_path": link.raw_path.split(b"?")[0]}
    gone, sent = asyncio.Event(), []

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) == 3:
            gone.set()

    scope |= {"query_string": link.query, "headers": []}
    await asyncio.wait_for(player.relay.recordings.endpoint(scope, receive, send), 5)
    assert 3 <= len(sent) < 20  # of 148


async def test_too_many_fetches_are_refused_for_a_while(play: Play, cloudtalk: FakeCloudTalk) -> None:
    cloudtalk.recordings["8"] = AUDIO
    cloudtalk.api = "held"
    player = await play(max_fetches=1)
    await player.get(await player.record(), range="bytes=0-9")
    other = await player.record("8")
    response = await player.get(other)
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    cloudtalk.release.set()
    await asyncio.sleep(0.1)
    assert (await player.get(other)).status_code == 200
