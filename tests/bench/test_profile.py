"""The stages of a profile."""

import pytest

from bench.profile import count_stages, stage_of

WRITER = "Thread._bootstrap (threading.py:1002);Executor._try (relay/ledger/executor.py:112)"


@pytest.mark.parametrize(
    ("stack", "stage"),
    [
        (
            "run (relay/app.py:9);_handle (relay/ingest/endpoint.py:1);parse (relay/cloudtalk/parser.py:3)",
            "parse",
        ),
        ("run (relay/app.py:9);WebhookEndpoint (relay/ingest/endpoint.py:1)", "authenticate, limit, respond"),
        (f"{WRITER};_apply (relay/fold/worker.py:5);write (relay/ledger/calls.py:8)", "fold: read and write"),
        (
            f"{WRITER};_write (relay/delivery/settle.py:5);bound (relay/ledger/json_rows.py:8)",
            "deliver: take and settle",
        ),
        (f"{WRITER};commit (relay/ledger/connection.py:8)", "other transactions"),
        ("Thread._bootstrap (threading.py:1002)", "event loop and threads"),
    ],
)
def test_the_innermost_function_of_a_stage_decides(stack: str, stage: str) -> None:
    assert stage_of(stack) == stage


def test_samples_are_counted_by_stage() -> None:
    stacks = (
        "run (relay/logs/output.py:1) 3\nmain (uvicorn/server.py:2);send (relay/logs/setup.py:7) 4\nx 5\n"
    )
    assert count_stages(stacks) == {"log": 7, "event loop and threads": 5}
