"""Recordings at CloudTalk are deleted by its API."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from relay.ledger import Ledger
from relay.operations.forget import source
from relay.operations.forget.receipt import SourceReceipt
from relay.operations.forget.source import delete_at_source
from tests.support.in_process import settings_in

API = {"key_id": "id", "key_secret": "secret", "requests_per_minute": 60}


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_RETRY_SECONDS", 0)


async def delete(
    ledger: Ledger, folder: Path, answer: Callable[[httpx.Request], httpx.Response], *ids: str, **api: Any
) -> SourceReceipt:
    settings = settings_in(folder, cloudtalk={"api": api or API})
    transport = httpx.MockTransport(answer)
    return await delete_at_source(ledger, settings, ids, lambda _done, _total: None, transport=transport)


async def test_each_recording_is_deleted_and_an_absent_one_is_no_failure(
    ledger: Ledger, tmp_path: Path
) -> None:
    seen = []
    answers = {"7": 200, "8": 404, "9": 410}

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, str(request.url), request.headers["authorization"]))
        return httpx.Response(answers[request.url.path[-6]])

    found = await delete(ledger, tmp_path, answer, "7", "8", "9")
    assert found == SourceReceipt(deleted=1, absent=2)
    url = "https://my.cloudtalk.io/api/recordings/delete"
    assert seen == [("DELETE", f"{url}/{id_}.json", "Basic aWQ6c2VjcmV0") for id_ in ("7", "8", "9")]


async def test_a_failure_that_may_pass_is_retried(ledger: Ledger, tmp_path: Path) -> None:
    answers = iter([httpx.Response(503), httpx.Response(200)])
    assert await delete(ledger, tmp_path, lambda _: next(answers), "7") == SourceReceipt(deleted=1)


async def test_a_refusal_names_the_calls_and_what_to_do(ledger: Ledger, tmp_path: Path) -> None:
    found = await delete(ledger, tmp_path, lambda _: httpx.Response(401), "8", "7")
    advice = "CloudTalk answered 401: delete the recordings of these calls in CloudTalk's dashboard"
    assert found == SourceReceipt(failed=["7", "8"], advice=advice)


async def test_without_a_connection_the_calls_are_named(ledger: Ledger, tmp_path: Path) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route")

    found = await delete(ledger, tmp_path, fail, "7")
    assert found.failed == ["7"]
    assert (found.advice or "").startswith("CloudTalk answered ConnectError: delete")


async def test_without_a_key_the_calls_are_named(ledger: Ledger, tmp_path: Path) -> None:
    found = await delete(ledger, tmp_path, lambda _: httpx.Response(200), "7", requests_per_minute=60)
    assert (found.deleted, found.failed) == (0, ["7"])
    assert (found.advice or "").startswith("there is no API key: set cloudtalk.api.key_id")


async def test_without_calls_nothing_is_asked(ledger: Ledger, tmp_path: Path) -> None:
    assert await delete(ledger, tmp_path, lambda _: httpx.Response(500)) == SourceReceipt()
