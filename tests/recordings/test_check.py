"""`relay check` of recordings: the API key, the archive, and how long it lasts."""

from pathlib import Path
from typing import Any

import pytest

from crm_clients.base import Finding
from relay.recordings.check import check_recordings
from tests.fakes.cloudtalk import FakeCloudTalk
from tests.support.in_process import settings_in
from tests.support.recordings import ARCHIVE_KEY, recording_settings


async def check(folder: Path, cloudtalk: FakeCloudTalk, /, days: Any = 30, **keys: Any) -> list[Finding]:
    sections = recording_settings(cloudtalk.url, **keys)
    sections["privacy"] = {} if days is None else {"recordings_days": days}
    return await check_recordings(settings_in(folder, **sections))


async def test_without_a_key_and_an_archive_there_is_nothing_to_check(tmp_path: Path) -> None:
    assert await check_recordings(settings_in(tmp_path)) == []


async def test_a_key_that_cloudtalk_accepts_and_a_folder_are_good(
    tmp_path: Path, cloudtalk: FakeCloudTalk
) -> None:
    found = await check(tmp_path, cloudtalk, keep=True, keep_key=ARCHIVE_KEY)
    assert found == [Finding(name="cloudtalk.api", ok=True), Finding(name="recordings", ok=True)]
    assert cloudtalk.paths == ["/api/agents/index.json?limit=1"]
    assert not any(map(Path.exists, (tmp_path / "var", tmp_path / "recordings")))


async def test_a_wrong_key_and_an_api_that_does_not_answer_are_failures(
    tmp_path: Path, cloudtalk: FakeCloudTalk
) -> None:
    sections = recording_settings(cloudtalk.url)
    sections["cloudtalk"]["api"]["key_secret"] = "wrong"
    (wrong,) = await check_recordings(settings_in(tmp_path, **sections))
    assert (wrong.ok, wrong.code) == (False, "unauthorised")
    sections["cloudtalk"]["api"]["base_url"] = "http://127.0.0.1:1/api"
    (silent,) = await check_recordings(settings_in(tmp_path, **sections))
    assert (silent.ok, silent.code) == (False, "unreachable")
    assert "wrong" not in f"{wrong.problem}{silent.problem}"


async def test_no_key_and_the_default_retention_of_an_archive_are_warnings(
    tmp_path: Path, cloudtalk: FakeCloudTalk
) -> None:
    found = await check(tmp_path, cloudtalk, days=None, keep=True)
    assert [(each.ok, each.code) for each in found[2:]] == [(True, "unencrypted"), (True, "short_retention")]
    assert found[3].problem == "archived recordings are deleted after 7 days, the default"


@pytest.mark.parametrize("url", ["blocked", "s3://bucket"])
async def test_an_archive_that_cannot_be_written_is_a_failure(
    tmp_path: Path, cloudtalk: FakeCloudTalk, url: str
) -> None:
    (tmp_path / "blocked").write_text("no folder")
    access = {"endpoint": "http://127.0.0.1:1", "access_key_id": "id", "secret_access_key": "canary"}
    found = await check(tmp_path, cloudtalk, keep=True, keep_key=ARCHIVE_KEY, keep_url=url, s3=access)
    assert (found[1].name, found[1].ok, found[1].code) == ("recordings", False, "unreachable")
    assert "canary" not in str(found)
