"""Recordings are archived when their calls end, and play after CloudTalk has deleted them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from structlog.testing import capture_logs

from relay.app import Relay
from relay.instants import Instant
from relay.ledger import recordings
from relay.operations.calls import find_call
from relay.recordings import archiver
from relay.recordings.archive import Archive
from relay.server.roles import Role
from relay.settings import Settings
from tests.fakes.cloudtalk import FakeCloudTalk
from tests.support.in_process import in_process_relay, settings_in
from tests.support.patience import PATIENCE
from tests.support.recordings import ARCHIVE_KEY, link_to, recorded_call, recording_settings, wav

AUDIO = wav(10)
NO_CALL = "the call is not folded yet"


def settings(folder: Path, cloudtalk: FakeCloudTalk, **keys: Any) -> Settings:
    known = {"keep": True, "keep_key": ARCHIVE_KEY} | keys
    return settings_in(folder, **recording_settings(cloudtalk.url, **known))


class Counts(NamedTuple):
    archived: int
    pending: int


class Keeper:
    def __init__(self, relay: Relay, client: httpx.AsyncClient, used: Settings, url: str) -> None:
        self.relay = relay
        self.client = client
        self._settings = used
        self._url = url

    async def post(self, call_id: str = "7", **facts: Any) -> None:
        response = await self.client.post(
            "/cloudtalk/webhook", json=recorded_call(call_id, self._url, **facts)
        )
        assert response.status_code == 200

    async def counts(self) -> Counts:
        pending, _ = await self.relay.ledger.read(recordings.count_pending)
        kept = await self.relay.ledger.read(
            lambda c: recordings.list_expired(c, before=Instant(2**62), limit=99)
        )
        return Counts(len(kept), pending)

    async def until(self, condition: Callable[[Counts], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition(await self.counts()):
                await asyncio.sleep(0.02)

    async def play(self, call_id: str = "7", **headers: str) -> httpx.Response:
        row = await self.relay.ledger.read(lambda c: find_call(c, call_id))
        assert row is not None, NO_CALL
        return await self.client.get(link_to(self._settings, row.record), headers=headers)


@asynccontextmanager
async def keeping(used: Settings, cloudtalk: FakeCloudTalk, role: Role = Role.ALL) -> AsyncIterator[Keeper]:
    async with in_process_relay(used, role) as (relay, client):
        yield Keeper(relay, client, used, cloudtalk.url)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiver, "_FIRST_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(archiver, "_LONGEST_WAIT_SECONDS", 0.05)


def objects(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "var/recordings").rglob("*") if path.is_file())


async def asked(cloudtalk: FakeCloudTalk) -> None:
    """Wait until the archiver has asked for a recording."""
    async with asyncio.timeout(PATIENCE):
        while not cloudtalk.asked:
            await asyncio.sleep(0.02)


async def test_a_recording_plays_after_cloudtalk_has_deleted_it(
    tmp_path: Path, cloudtalk: FakeCloudTalk
) -> None:
    async with keeping(settings(tmp_path, cloudtalk), cloudtalk) as keeper:
        await keeper.post()
        await keeper.until(lambda counts: counts.archived == 1)
        cloudtalk.api = cloudtalk.link = "gone"
        whole = await keeper.play()
        assert (whole.status_code, whole.content) == (200, AUDIO)
        assert whole.headers["content-type"] == "audio/wav"
        for start in (0, 65_000, 65_536, 131_071, 160_000):
            part = await keeper.play(range=f"bytes={start}-{start + 43}")
            assert (part.status_code, part.content) == (206, AUDIO[start : start + 44])
        assert cloudtalk.paths == ["/api/calls/recording/7.json"]
    (stored,) = objects(tmp_path)
    encrypted = stored.read_bytes()
    assert (stored.stat().st_mode & 0o777, len(encrypted)) == (0o600, 32 + 160_044 + 3 * 16)
    assert AUDIO[1_000:1_020] not in encrypted
    assert list((tmp_path / "var/recordings-cache").iterdir()) == []  # it was not encrypted


async def test_without_a_key_the_archive_is_not_encrypted(tmp_path: Path, cloudtalk: FakeCloudTalk) -> None:
    async with keeping(settings(tmp_path, cloudtalk, keep_key=[]), cloudtalk) as keeper:
        await keeper.post()
        await keeper.until(lambda counts: counts.archived == 1)
        cloudtalk.api = cloudtalk.link = "gone"
        assert (await keeper.play(range="bytes=-100")).content == AUDIO[-100:]
    (stored,) = objects(tmp_path)
    assert stored.read_bytes() == AUDIO


async def test_a_first_key_counts_without_a_restart(tmp_path: Path, cloudtalk: FakeCloudTalk) -> None:
    async with keeping(settings(tmp_path, cloudtalk, keep_key=[]), cloudtalk) as keeper:
        await keeper.relay.reload_secrets(settings(tmp_path, cloudtalk))
        await keeper.post()
        await keeper.until(lambda counts: counts.archived == 1)
    (stored,) = objects(tmp_path)
    assert AUDIO[1_000:1_020] not in stored.read_bytes()
    assert list((tmp_path / "var/recordings-cache").iterdir()) == []


async def test_without_keep_nothing_is_archived(tmp_path: Path, cloudtalk: FakeCloudTalk) -> None:
    async with keeping(settings(tmp_path, cloudtalk, keep=False), cloudtalk) as keeper:
        await keeper.post()
        await asyncio.sleep(0.3)
        assert await keeper.counts() == Counts(0, 0)
    assert cloudtalk.asked == []


async def test_a_recording_that_is_not_there_yet_is_tried_again(
    tmp_path: Path, cloudtalk: FakeCloudTalk
) -> None:
    cloudtalk.api = cloudtalk.link = "missing"
    async with keeping(settings(tmp_path, cloudtalk), cloudtalk) as keeper:
        await keeper.post()
        await asked(cloudtalk)
        assert (await keeper.counts()).pending == 1
        cloudtalk.api = "ok"
        keeper.relay.recordings.library.fetches._failures.clear()
        await keeper.until(lambda counts: counts.archived == 1)


async def test_a_recording_that_is_gone_is_given_up(tmp_path: Path, cloudtalk: FakeCloudTalk) -> None:
    cloudtalk.api = "gone"
    async with keeping(settings(tmp_path, cloudtalk), cloudtalk) as keeper:
        await keeper.post()
        await asked(cloudtalk)
        await keeper.until(lambda counts: counts.pending == 0)
        assert (await keeper.play()).status_code == 410
        assert len(cloudtalk.asked) == 1


async def test_calls_from_before_keep_was_on_are_archived_at_the_start(
    tmp_path: Path, cloudtalk: FakeCloudTalk
) -> None:
    cloudtalk.recordings["8"] = AUDIO
    recent = {"started_at": None, "ended_at": None}
    async with keeping(settings(tmp_path, cloudtalk, keep=False), cloudtalk) as keeper:
        await keeper.post("7", started_at="2026-01-01T10:00:00Z", ended_at="2026-01-01T10:20:00Z")
        await keeper.post("8", **recent)
        async with asyncio.timeout(PATIENCE):
            while not await keeper.relay.ledger.read(lambda c: find_call(c, "8")):
                await asyncio.sleep(0.02)
    async with keeping(settings(tmp_path, cloudtalk), cloudtalk) as keeper:
        await keeper.until(lambda counts: counts.archived == 1)  # the other one is older than recordings_days
        await asyncio.sleep(0.2)
        assert await keeper.counts() == Counts(1, 0)
    assert cloudtalk.paths == ["/api/calls/recording/8.json"]


async def test_a_store_that_cannot_be_written_keeps_the_recording_pending(
    tmp_path: Path, cloudtalk: FakeCloudTalk
) -> None:
    (tmp_path / "blocked").write_text("no folder")
    used = settings(tmp_path, cloudtalk, keep_url="blocked")
    async with keeping(used, cloudtalk) as keeper:
        await keeper.post()
        await keeper.until(lambda counts: counts.pending == 1)
        (tmp_path / "blocked").unlink()
        await keeper.until(lambda counts: counts.archived == 1)
    assert cloudtalk.paths == ["/api/calls/recording/7.json"]  # the second time it is in the cache


async def test_an_unexpected_fault_is_logged_and_the_recording_tried_again_later(
    tmp_path: Path, cloudtalk: FakeCloudTalk, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, faults = Archive.put, iter([ZeroDivisionError("a bug")])

    async def fail_once(*arguments: Any) -> int:
        for fault in faults:
            raise fault
        return await put(*arguments)

    monkeypatch.setattr(Archive, "put", fail_once)
    with capture_logs() as lines:
        async with keeping(settings(tmp_path, cloudtalk), cloudtalk) as keeper:
            await keeper.post()
            await keeper.until(lambda counts: counts.archived == 1)
    failed = [line for line in lines if line["event"].startswith("recording.archive")][:2]
    assert [(line["event"], line.get("reason"), line.get("message")) for line in failed] == [
        ("recording.archiver_failed", None, None),
        ("recording.archive_failed", "fault", "ZeroDivisionError: a bug"),
    ]


async def test_a_changed_object_is_not_played_and_a_lost_one_is_fetched_again(
    tmp_path: Path, cloudtalk: FakeCloudTalk
) -> None:
    async with keeping(settings(tmp_path, cloudtalk), cloudtalk) as keeper:
        await keeper.post()
        await keeper.until(lambda counts: counts.archived == 1)
        (stored,) = objects(tmp_path)
        whole = stored.read_bytes()
        stored.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with capture_logs() as lines:
            changed = await keeper.play(range="bytes=-100")
        assert (changed.status_code, changed.json()["detail"]) == (503, "the relay cannot read its archive")
        assert [line["event"] for line in lines] == ["recording.archive_unreadable"]
        stored.unlink()
        assert (await keeper.play()).content == AUDIO
    assert len(cloudtalk.asked) == 2


async def test_an_archived_recording_expires(tmp_path: Path, cloudtalk: FakeCloudTalk) -> None:
    async with keeping(settings(tmp_path, cloudtalk), cloudtalk) as keeper:
        await keeper.post()
        await keeper.until(lambda counts: counts.archived == 1)
        found = keeper.relay.recordings.archiver
        await found.delete_expired()
        assert len(objects(tmp_path)) == 1
        found._age = -1  # type: ignore[assignment]
        await found.delete_expired()
        assert objects(tmp_path) == []
        assert (await keeper.counts()).archived == 0


async def test_with_several_processes_the_one_that_delivers_archives(
    tmp_path: Path, cloudtalk: FakeCloudTalk
) -> None:
    used = settings(tmp_path, cloudtalk)
    async with keeping(used, cloudtalk, Role.INGEST) as accepting:
        await accepting.post()
        async with keeping(used, cloudtalk, Role.DELIVERY):
            await accepting.until(lambda counts: counts.archived == 1)
        cloudtalk.api = cloudtalk.link = "gone"
        assert (await accepting.play()).content == AUDIO


async def test_another_recording_of_the_call_replaces_the_archived_one(
    tmp_path: Path, cloudtalk: FakeCloudTalk
) -> None:
    async with keeping(settings(tmp_path, cloudtalk), cloudtalk) as keeper:
        await keeper.post()
        await keeper.until(lambda counts: counts.archived == 1)
        (first,) = objects(tmp_path)
        cloudtalk.recordings["7"] = wav(20)
        other = f"{cloudtalk.url}/pub/r/Nw/b3RoZXI.wav"
        await keeper.post(recording_url=other, ended_at="2026-11-20T10:21:00Z")
        async with asyncio.timeout(PATIENCE):
            while first.exists():
                await asyncio.sleep(0.02)
        assert len((await keeper.play()).content) == 320_044
        assert len(objects(tmp_path)) == 1
