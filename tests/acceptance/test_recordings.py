"""A real relay plays recordings of a fake CloudTalk: over HTTP, with the link that a CRM received."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fakes.cloudtalk import FakeCloudTalk, threaded_cloudtalk
from tests.support.patience import PATIENCE
from tests.support.recordings import recorded_call, wav
from tests.support.relay import RelayProcess, crm_rows, eventually, running_relay
from tests.support.servers import free_port

TWENTY_MINUTES = 1_200
SIZE = 19_200_044
KEY = "key-of-the-links-0123456789"
SETTINGS = """
[server]
port = {port}
public_url = "http://127.0.0.1:{port}"
[cloudtalk.api]
key_id = "id"
key_secret = "secret"
base_url = "{url}/api"
[enrich]
analytics = false
[recordings]
proxy = true
signing_keys = ["{key}"]
allowed_hosts = ["127.0.0.1"]
{more}
[destinations.crm]
client = "local"
path = "crm.db"
"""


@pytest.fixture(scope="module")
def audio() -> bytes:
    return wav(TWENTY_MINUTES)


@pytest.fixture
def cloudtalk(audio: bytes) -> Iterator[FakeCloudTalk]:
    with threaded_cloudtalk({"7": audio}) as fake:
        yield fake


def settings(cloudtalk: FakeCloudTalk, more: str = "") -> str:
    return SETTINGS.format(port=free_port(), url=cloudtalk.url, key=KEY, more=more)


def delivered_link(relay: RelayProcess, cloudtalk: FakeCloudTalk) -> str:
    """Post a call with a recording, and return the link in the record that the CRM received."""
    assert relay.post(recorded_call("7", cloudtalk.url)).status_code == 200
    rows = eventually(lambda: crm_rows(relay.folder / "crm.db"), bool)
    (row,) = rows.values()
    link: str = row["recording_url"]
    assert cloudtalk.url in row["cloudtalkData"]
    assert link.startswith(f"{relay.url}/recordings/cloudtalk-")
    return link


def get(link: str, wanted: str | None = None, method: str = "GET") -> httpx.Response:
    headers = {"range": wanted} if wanted else {}
    return httpx.request(method, link, headers=headers, timeout=PATIENCE, trust_env=False)


def test_a_recording_of_twenty_minutes_seeks_with_the_link_that_the_crm_received(
    tmp_path: Path, cloudtalk: FakeCloudTalk, audio: bytes
) -> None:
    cloudtalk.pause, cloudtalk.api = 0.002, "slow"
    with running_relay(tmp_path, settings(cloudtalk)) as relay:
        link = delivered_link(relay, cloudtalk)
        whole = get(link)
        assert (whole.status_code, len(whole.content), whole.content == audio) == (200, SIZE, True)
        for start in (0, 9_600_000, SIZE - 100, 44):
            part = get(link, f"bytes={start}-{start + 99}")
            assert (part.status_code, part.content) == (206, audio[start : start + 100])
            assert part.headers["content-range"] == f"bytes {start}-{start + 99}/19200044"
        assert get(link, f"bytes={SIZE}-").status_code == 416
        head = get(link, method="HEAD")
        assert (head.headers["content-length"], head.headers["content-type"]) == ("19200044", "audio/wav")
        assert head.headers.get_list("cache-control") == ["private, max-age=3600"]
        assert len(head.headers.get_list("content-security-policy")) == 1
        shown = relay.command("calls", "show", "7")
        assert link in shown.stdout
    assert cloudtalk.paths == ["/api/calls/recording/7.json"]


def test_a_recording_that_breaks_off_is_not_taken_for_a_whole_one(
    tmp_path: Path, cloudtalk: FakeCloudTalk
) -> None:
    cloudtalk.api = "truncated"
    with running_relay(tmp_path, settings(cloudtalk)) as relay:
        link = delivered_link(relay, cloudtalk)
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
            get(link)
        eventually(
            lambda: {line["event"] for line in relay.log_lines()}, lambda e: "recording.interrupted" in e
        )


@pytest.mark.parametrize("workers", [1, 2])
def test_a_kept_recording_seeks_after_cloudtalk_has_deleted_it_and_after_a_kill(
    tmp_path: Path, cloudtalk: FakeCloudTalk, audio: bytes, workers: int
) -> None:
    written = settings(cloudtalk, 'keep = true\nkeep_key = "key-of-the-archive-0123456789"')
    with running_relay(tmp_path, written, workers) as relay:
        link = delivered_link(relay, cloudtalk)
        eventually(lambda: {line["event"] for line in relay.log_lines()}, lambda e: "recording.archived" in e)
        relay.kill()
        cloudtalk.api = cloudtalk.link = "gone"
        relay.start()
        part = get(link, "bytes=9600000-9600099")
        assert (part.status_code, part.content) == (206, audio[9_600_000:9_600_100])
        assert get(link).content == audio
    assert cloudtalk.paths == ["/api/calls/recording/7.json"]
    assert not list((tmp_path / "var/recordings-cache").iterdir())


def test_who_reads_slowly_or_nothing_holds_up_nobody(tmp_path: Path, cloudtalk: FakeCloudTalk) -> None:
    with running_relay(tmp_path, settings(cloudtalk)) as relay:
        link = delivered_link(relay, cloudtalk)
        port = int(relay.url.rpartition(":")[2])
        request = f"GET {link.removeprefix(relay.url)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        readers = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        for reader in readers:
            reader.sendall(request)
        assert get(link, "bytes=-9").status_code == 206
        assert relay.post({"event": "call.started", "data": {"id": "2"}}).status_code == 200
        assert relay.stop() == 0
        assert [line for line in relay.log_lines() if "exception" in line] == []
        for reader in readers:
            reader.close()
