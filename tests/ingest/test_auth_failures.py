"""Failed authentications: in sum in the log, throttled, and never a reason to refuse valid credentials."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from relay.ingest.auth_failures import AuthFailures
from tests.support.clock import MonotonicClock
from tests.support.in_process import in_process_relay, settings_in

MINUTE = 60.0


@pytest.fixture
def clock() -> MonotonicClock:
    return MonotonicClock()


@pytest.fixture
def failures(clock: MonotonicClock) -> AuthFailures:
    return AuthFailures(clock)


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


def counts(logs: list[Any]) -> list[tuple[str, str, int]]:
    assert all(line["event"] == "ingest.unauthorised" for line in logs)
    return [(line["client"], line["reason"], line["failures"]) for line in logs]


# --- the log ----------------------------------------------------------------------------------------


def test_the_first_failure_is_logged_at_once_and_further_ones_in_sum(
    failures: AuthFailures, clock: MonotonicClock, logs: list[Any]
) -> None:
    failures.record("192.0.2.1", "no_token")
    for reason in ["no_token"] * 30 + ["wrong_token"]:
        failures.record("192.0.2.1", reason)
    failures.record("192.0.2.2", "forwarded")
    clock.time += MINUTE - 1
    failures.end_periods()
    first, other = ("192.0.2.1", "no_token", 1), ("192.0.2.2", "forwarded", 1)
    assert counts(logs) == [first, other]
    clock.time += 1
    failures.end_periods()
    assert counts(logs) == [first, other, ("192.0.2.1", "wrong_token", 31)]


def test_an_address_has_one_line_for_each_minute_while_it_fails(
    failures: AuthFailures, clock: MonotonicClock, logs: list[Any]
) -> None:
    for _ in range(3):
        for _ in range(10):
            failures.record("192.0.2.1", "no_token")
            clock.time += MINUTE / 10
            failures.end_periods()
    assert [count for _, _, count in counts(logs)] == [1, 9, 10, 10]


def test_an_address_is_forgotten_after_a_minute_without_failures(
    failures: AuthFailures, clock: MonotonicClock, logs: list[Any]
) -> None:
    for _ in range(2):
        failures.record("192.0.2.1", "no_token")
        clock.time += MINUTE
        failures.end_periods()
    assert [count for _, _, count in counts(logs)] == [1, 1]


def test_addresses_that_one_sender_controls_are_counted_as_one(
    failures: AuthFailures, clock: MonotonicClock, logs: list[Any]
) -> None:
    for number in range(50):
        failures.record(f"2001:db8::{number}", "no_token")
    clock.time += MINUTE
    failures.end_periods()
    assert [count for _, _, count in counts(logs)] == [1, 49]


def test_very_many_addresses_are_counted_as_one(
    failures: AuthFailures, clock: MonotonicClock, logs: list[Any]
) -> None:
    for number in range(5_000):
        failures.record(f"10.0.{number // 250}.{number % 250}", "no_token")
    failures.record("10.0.0.7", "no_token")
    clock.time += MINUTE
    failures.end_periods()
    assert len(logs) == 1_003
    assert counts(logs)[1_000:] == [
        ("others", "no_token", 1),
        ("10.0.0.7", "no_token", 1),
        ("others", "no_token", 3_999),
    ]


async def test_failures_are_logged_when_the_relay_stops(failures: AuthFailures, logs: list[Any]) -> None:
    running = asyncio.create_task(failures.run())
    await asyncio.sleep(0)
    for _ in range(5):
        failures.record(None, "no_token")
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert counts(logs) == [("", "no_token", 1), ("", "no_token", 4)]


# --- throttling -------------------------------------------------------------------------------------


def test_an_address_is_throttled_until_the_end_of_its_period(
    failures: AuthFailures, clock: MonotonicClock
) -> None:
    assert [failures.record("192.0.2.1", "no_token") for _ in range(60)] == [None] * 60
    assert failures.record("192.0.2.1", "no_token") == 60
    assert failures.record("192.0.2.2", "no_token") is None
    clock.time += 59.5
    assert failures.record("192.0.2.1", "no_token") == 1
    clock.time += 0.5
    failures.end_periods()
    assert failures.record("192.0.2.1", "no_token") is None


def test_an_address_is_throttled_for_a_second_after_a_period_that_is_not_ended_yet(
    failures: AuthFailures, clock: MonotonicClock
) -> None:
    for _ in range(60):
        failures.record("192.0.2.1", "no_token")
    clock.time += MINUTE + 5
    assert failures.record("192.0.2.1", "no_token") == 1


def test_each_period_has_a_count_of_its_own_and_each_area_its_limit(
    clock: MonotonicClock,
) -> None:
    failures = AuthFailures(clock, max_failures=2)
    for _ in range(3):
        counted = [failures.record("192.0.2.1", "no_token") for _ in range(3)]
        assert counted == [None, None, 60]
        clock.time += MINUTE
        failures.end_periods()


async def test_valid_credentials_are_accepted_from_a_throttled_address(tmp_path: Any) -> None:
    token = "a-token-of-the-settings"
    path, event = "/cloudtalk/webhook", {"event": "call.started", "data": {"id": "1"}}
    async with in_process_relay(settings_in(tmp_path, cloudtalk={"tokens": [token]})) as (_, client):
        wrong = [await client.post(path, json=event, headers={"x-webhook-token": "no"}) for _ in range(61)]
        in_head = await client.post(path, json=event, headers={"x-webhook-token": token})
        in_body = await client.post(path, json=event | {"secret": token})
        again = await client.post(path, json=event | {"secret": "a guess"})
    assert [response.status_code for response in wrong] == [401] * 60 + [429]
    assert (in_head.status_code, in_body.status_code, again.status_code) == (200, 200, 429)
    assert 0 < int(again.headers["retry-after"]) <= 60
    assert "cloudtalk.tokens" in again.json()["detail"]
