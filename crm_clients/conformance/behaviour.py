"""Tests of everything else: client state, rate limits, `check`, `setup`, secrets in logs."""

import asyncio
from collections.abc import Iterator
from typing import Final

import pytest

from crm_clients.conformance.crm import Capability, Crm, Fault
from crm_clients.conformance.harness import async_test, open_client
from crm_clients.conformance.require import (
    require,
    require_delivered,
    require_one_record,
    skip_unless_supported,
)
from crm_clients.conformance.sample_calls import ID, call, first_push, later_push
from crm_clients.state import InMemoryClientState

_RATE: Final = 20.0
_BATCH: Final = 20
_TOLERANCE: Final = 0.8
"""Of the interval between two requests: clocks and networks are not exact."""


class BehaviourTests:
    """Requirements that concern no single record."""

    @pytest.fixture(autouse=True)
    def _no_secret_is_logged(
        self, crm: Crm, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
    ) -> Iterator[None]:
        yield
        printed = capsys.readouterr()
        logged = "\n".join(caplog.handler.format(record) for record in caplog.get_records("call"))
        output = logged + printed.out + printed.err
        for secret in crm.secrets():
            require(secret not in output, "a log line contains a secret of the settings")

    @async_test
    async def test_a_new_instance_updates_the_record_of_the_last_one(self, crm: Crm) -> None:
        field, _ = crm.text_fields
        state = InMemoryClientState()
        async with open_client(crm, state) as client:
            delivered = await client.deliver(call())
        async with open_client(crm, state) as client:
            later = call(ID, 2, **{field: "later"})
            require_delivered(await client.upsert(later_push(later, field, last=delivered)))
        require(
            require_one_record(crm).get(field) == "later",
            "a change that a new instance pushed did not reach the record: store what a client needs after a "
            "restart in `context.state`",
        )

    @async_test
    async def test_without_its_state_a_client_creates_no_duplicate(self, crm: Crm) -> None:
        async with open_client(crm) as client:
            delivered = await client.deliver(call())
        async with open_client(crm) as client:
            require_delivered(await client.upsert(later_push(call(ID, 2), "notes", last=delivered)))
        require_one_record(crm)

    @async_test
    async def test_requests_keep_to_the_rate(self, crm: Crm) -> None:
        skip_unless_supported(crm, Capability.WRITE_TIMES)
        async with open_client(crm, rate=_RATE, concurrency=4, timeout_seconds=30) as client:
            pushes = [first_push(call(f"cloudtalk-{number}")) for number in range(8)]
            for outcomes in await asyncio.gather(*(client.upsert(push) for push in pushes)):
                require_delivered(outcomes)
        times = crm.write_times()
        average = (times[-1] - times[0]) / max(1, len(times) - 1)
        require(
            average >= _TOLERANCE / _RATE,
            f"with rate = {_RATE:g} writing requests arrived {average:.3f} s apart on average: let each wait "
            "for the rate limit (crm_clients.VendorHttp and crm_clients.RateLimiter do it)",
        )
        most = _most_in_window(times, seconds=0.5)
        require(
            most <= _RATE * 0.5 + 1,
            f"with rate = {_RATE:g} there were {most} writing requests within half a second",
        )

    @async_test
    async def test_a_throttled_batch_is_not_continued(self, crm: Crm) -> None:
        skip_unless_supported(crm, Capability.WRITE_TIMES, Fault.THROTTLED)
        async with open_client(crm, concurrency=2, timeout_seconds=10) as client:
            with crm.inject(Fault.THROTTLED):
                pushes = [first_push(call(f"cloudtalk-{number}")) for number in range(_BATCH)]
                await client.upsert(*pushes)
        sent = len(crm.write_times())
        require(
            sent < _BATCH / 2,
            f"{sent} of {_BATCH} calls were sent to a CRM that answers 429: after a DestinationFailure "
            "return the same outcome for the rest of the batch without sending it",
        )

    @async_test
    async def test_check_of_a_working_crm_is_ok(self, crm: Crm) -> None:
        async with open_client(crm, timeout_seconds=10) as client:
            findings = await client.check()
        require(
            findings, "`check` returned no finding: return one, ok or not, for each thing that it checked"
        )
        problems = [finding for finding in findings if not finding.ok]
        require(not problems, f"there was no fault, and `check` found {problems!r}")

    @async_test
    async def test_setup_is_idempotent_and_returns_lines(self, crm: Crm) -> None:
        async with open_client(crm, timeout_seconds=10) as client:
            await client.deliver(call())
            for _ in range(2):
                lines = await client.setup()
                require(
                    lines and all(isinstance(line, str) for line in lines),
                    f"`setup` returned {lines!r}: return lines for a person",
                )
            require(
                isinstance(client.client.setup_text(), str),
                "`setup_text` must return a text, empty if there is none",
            )
        require_one_record(crm)

    @async_test
    async def test_an_unused_client_can_be_closed_twice(self, crm: Crm) -> None:
        client = crm.make_client(InMemoryClientState())
        await client.aclose()
        await client.aclose()


def _most_in_window(times: list[float], *, seconds: float) -> int:
    """Return the largest number of times within a window of so many seconds."""
    return max((sum(start <= time < start + seconds for time in times) for start in times), default=0)
