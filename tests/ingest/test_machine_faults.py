"""A fault of the machine anywhere in the handling of a request is answered with 503."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.in_process import in_process_relay, settings_in

STARTED = {"event": "call.started", "data": {"id": "1", "direction": "inbound"}}
TOKENS = {"tokens": ["t0ken-of-the-webhook"]}
RIGHT = {"x-webhook-token": TOKENS["tokens"][0]}


def fail_once(monkeypatch: pytest.MonkeyPatch, target: str, error: Exception, *, times: int = 1) -> None:
    """Let the function at this import path raise the error at its first calls."""
    module, _, path = target.partition(":")
    owner_path, _, name = path.rpartition(".")
    owner = __import__(module, fromlist=["_"])
    for part in filter(None, owner_path.split(".")):
        owner = getattr(owner, part)
    function = getattr(owner, name)
    left = [error] * times

    def failing(*arguments: Any, **options: Any) -> Any:
        if left:
            raise left.pop()
        return function(*arguments, **options)

    monkeypatch.setattr(owner, name, failing)


@pytest.mark.parametrize(
    ("target", "request_of", "error"),
    [
        ("relay.ingest.endpoint:build_head", ("POST", "/cloudtalk/webhook", RIGHT), MemoryError()),
        (
            "relay.cloudtalk.authentication:Authenticator.precheck",
            ("POST", "/cloudtalk/webhook", RIGHT),
            RecursionError("too deep"),
        ),
        (
            "relay.ingest.auth_failures:AuthFailures.record",
            ("POST", "/cloudtalk/webhook", {}),
            MemoryError(),
        ),
        (
            "relay.ingest.limits:AdmissionControl.permit",
            ("PUT", "/cloudtalk/webhook/call.ended", RIGHT),
            MemoryError(),
        ),
        ("relay.ingest.responses:Response.send", ("POST", "/cloudtalk/webhook", RIGHT), MemoryError()),
        ("relay.server.health:LedgerProbe.find_problem", ("GET", "/readyz", {}), OSError(24, "no files")),
        ("relay.server.paths:problem_response", ("GET", "/no/such/path", {}), MemoryError()),
    ],
    ids=lambda value: value.partition(":")[2] if isinstance(value, str) else None,
)
async def test_a_fault_of_the_machine_is_503_wherever_it_happens(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    request_of: tuple[str, str, dict[str, str]],
    error: Exception,
) -> None:
    method, path, headers = request_of
    async with in_process_relay(settings_in(tmp_path, cloudtalk=TOKENS)) as (_, client):
        fail_once(monkeypatch, target, error)
        response = await client.request(method, path, json=STARTED, headers=headers)
        assert (response.status_code, response.headers["retry-after"]) == (503, "5")
        assert response.json()["type"].endswith(":machine")
        again = await client.request(method, path, json=STARTED, headers=headers)
        assert again.status_code in {200, 401, 404}


async def test_without_memory_for_the_log_the_answer_is_503_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_process_relay(settings_in(tmp_path, cloudtalk=TOKENS)) as (_, client):
        fail_once(monkeypatch, "relay.cloudtalk.parser:Parser.parse_items", MemoryError())
        fail_once(monkeypatch, "relay.ingest.machine_faults:log_unavailable", MemoryError())
        response = await client.post("/cloudtalk/webhook", json=STARTED, headers=RIGHT)
        assert (response.status_code, response.headers["retry-after"]) == (503, "5")
        assert (await client.post("/cloudtalk/webhook", json=STARTED, headers=RIGHT)).status_code == 200
