"""The stores of the archive: a folder, and a real server of the S3 protocol."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]  # it has no types
import pytest
from moto.server import ThreadedMotoServer

from relay.recordings.stores import FolderStore, S3Store, Store, StoreFailed, check_store, open_store
from relay.settings.recordings import Recordings


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="id",
        aws_secret_access_key="secret",
    )
    client.create_bucket(Bucket="bucket")
    client.close()
    yield url
    server.stop()


def s3_settings(url: str, keep_url: str = "s3://bucket/some/prefix") -> Recordings:
    access = {"endpoint": url, "access_key_id": "id", "secret_access_key": "secret"}
    return Recordings.model_validate({"keep_url": keep_url, "s3": access})


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return open_store(Recordings.model_validate({"keep_url": "kept"}, context=tmp_path))
    return open_store(s3_settings(request.getfixturevalue("s3_url")))


def file(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "file"
    path.write_bytes(content)
    return path


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_parts_of_an_object_are_read(store: Store, tmp_path: Path) -> None:
    content = os.urandom(12_000_000)  # several parts of an upload
    await store.put("abc.enc", file(tmp_path, content))
    assert await store.read("abc.enc", 0, 32) == content[:32]
    assert await store.read("abc.enc", 6_000_000, 1_000) == content[6_000_000:6_001_000]
    assert await store.read("abc.enc", 11_999_990, 1_000) == content[-10:]


async def test_an_object_is_replaced_and_deleted(store: Store, tmp_path: Path) -> None:
    for content in (b"first", b"second"):
        await store.put("abc.enc", file(tmp_path, content))
    assert await store.read("abc.enc", 0, 10) == b"second"
    await store.delete("abc.enc")
    with pytest.raises(StoreFailed):
        await store.read("abc.enc", 0, 10)
    await store.delete("abc.enc")


async def test_a_store_that_works_is_good_and_stays_empty(store: Store, tmp_path: Path) -> None:
    await check_store(store, tmp_path)
    assert files_in(tmp_path) == []


async def test_files_of_a_folder_are_for_their_owner_alone(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "kept")
    await store.put("abc.enc", file(tmp_path, b"x"))
    path = tmp_path / "kept/ab/abc.enc"
    assert [p.stat().st_mode & 0o777 for p in (path, path.parent, path.parent.parent)] == [
        0o600,
        0o700,
        0o700,
    ]


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("no folder")
    with pytest.raises(StoreFailed, match="kept"):
        await FolderStore(tmp_path / "kept").put("abc", file(tmp_path, b"x"))


async def test_an_unreachable_store_or_bucket_is_named_and_no_secret_is(s3_url: str, tmp_path: Path) -> None:
    unknown: Any = S3Store(s3_settings(s3_url, "s3://nowhere"))
    stopped: Any = S3Store(s3_settings("http://127.0.0.1:1"))
    for failing, name in ((unknown, "s3://nowhere"), (stopped, "s3://bucket/some/prefix")):
        with pytest.raises(StoreFailed, match=name) as caught:
            await failing.put("abc", file(tmp_path, b"x"))
        assert "secret" not in str(caught.value)
