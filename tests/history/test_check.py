"""What `relay check` says about the history that the API key may read."""

from pathlib import Path
from typing import Any

import pytest

from crm_clients.base import Finding
from relay.history.check import check_history
from tests.fakes.cloudtalk_history import FakeHistory
from tests.support.in_process import settings_in


async def check(folder: Path, url: str, *, every_minutes: int = 0, **api: Any) -> list[Finding]:
    access = {"key_id": "id", "key_secret": "key-of-the-api", "base_url": f"{url}/api"}
    cloudtalk = {"api": access | {"analytics_url": f"{url}/analytics"} | api}
    used = settings_in(folder, cloudtalk=cloudtalk, reconcile={"every_minutes": every_minutes})
    return await check_history(used)


async def test_without_a_key_nothing_is_asked(tmp_path: Path) -> None:
    assert await check_history(settings_in(tmp_path)) == []


async def test_a_key_that_may_read_both_is_good(tmp_path: Path, cloudtalk: FakeHistory) -> None:
    found = await check(tmp_path, cloudtalk.url)
    assert found == [Finding(name="cloudtalk.history", ok=True), Finding(name="cloudtalk.analytics", ok=True)]
    assert [(each.path, each.query.get("limit")) for each in cloudtalk.asked] == [
        ("/api/calls/index.json", "1"),
        ("/analytics/calls/1", None),
    ]


@pytest.mark.parametrize("every_minutes", [0, 15])
async def test_a_history_that_may_not_be_read_is_a_failure_if_the_reconciler_needs_it(
    tmp_path: Path, cloudtalk: FakeHistory, every_minutes: int
) -> None:
    cloudtalk.faults += ["unauthorised", "unauthorised"]
    history, analytics = await check(tmp_path, cloudtalk.url, every_minutes=every_minutes)
    assert (history.ok, history.code) == (every_minutes == 0, "unauthorised")
    assert "cannot be read" in (history.problem or "")
    assert "answered 401" in (history.problem or "")
    assert (analytics.ok, analytics.code) == (True, "unauthorised")
    assert "key_secret" in (analytics.hint or "")


@pytest.mark.parametrize(("fault", "code"), [("page", "unreadable"), ("drop", "unreachable")])
async def test_an_answer_that_is_no_history_is_named(
    tmp_path: Path, cloudtalk: FakeHistory, fault: str, code: str
) -> None:
    cloudtalk.faults.append(fault)
    history, analytics = await check(tmp_path, cloudtalk.url, every_minutes=15)
    assert (history.ok, history.code) == (False, code)
    assert analytics.ok
