"""How a client behaves: what it remembers, how fast it is, what it asks and what it leaves behind."""

import asyncio
from collections.abc import Iterator
from typing import Final

import pytest

from crm_clients.base import Outcome
from crm_clients.conformance.calls import ID, call, push
from crm_clients.conformance.crm import Ability, Crm, Fault
from crm_clients.conformance.watching import delivered, needs, opened, require, scenario, the_record
from crm_clients.state import InMemoryClientState

_RATE: Final = 20.0
_MANY: Final = 20
_TOLERANCE: Final = 0.8
"""Of the space between two requests: clocks and networks are not exact."""


class BehaviourTests:
    """What a client owes besides right records."""

    @pytest.fixture(autouse=True)
    def _no_secret_is_logged(
        self, crm: Crm, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
    ) -> Iterator[None]:
        yield
        printed = capsys.readouterr()
        logged = "\n".join(caplog.handler.format(record) for record in caplog.get_records("call"))
        said = logged + printed.out + printed.err
        for secret in crm.secrets():
            require(secret not in said, "a secret of the settings stands in a log line")

    @scenario
    async def test_a_client_remembers_after_a_restart(self, crm: Crm) -> None:
        one, _ = crm.texts
        memory = InMemoryClientState()
        async with opened(crm, memory) as client:
            outcome = await client.deliver(call())
        async with opened(crm, memory) as client:
            later = call(ID, 2, **{one: "later"})
            delivered(await client.upsert(push(later, one, outcome=outcome)))
        require(
            the_record(crm).get(one) == "later",
            "a change that a new instance brought did not reach the record: what must outlive the process "
            "belongs into `context.state`",
        )

    @scenario
    async def test_a_lost_memory_doubles_nothing(self, crm: Crm) -> None:
        async with opened(crm) as client:
            outcome = await client.deliver(call())
        async with opened(crm) as client:
            delivered(await client.upsert(push(call(ID, 2), "notes", outcome=outcome)))
        the_record(crm)

    @scenario
    async def test_the_rate_is_held(self, crm: Crm) -> None:
        needs(crm, Ability.COUNTING)
        async with opened(crm, rate=_RATE, concurrency=4, timeout_seconds=30) as client:
            pushes = [push(call(f"cloudtalk-{number}")) for number in range(8)]
            for outcomes in await asyncio.gather(*(client.upsert(each) for each in pushes)):
                delivered(outcomes)
        times = crm.writes()
        average = (times[-1] - times[0]) / max(1, len(times) - 1)
        require(
            average >= _TOLERANCE / _RATE,
            f"with rate = {_RATE:g} writing requests came {average:.3f} s apart on average: let each wait "
            "its turn (crm_clients.VendorHttp and crm_clients.RateLimiter do it)",
        )
        most = _densest(times, window=0.5)
        require(
            most <= _RATE * 0.5 + 1,
            f"with rate = {_RATE:g} there were {most} writing requests within half a second",
        )

    @scenario
    async def test_a_crm_that_asks_for_less_is_not_asked_on(self, crm: Crm) -> None:
        needs(crm, Ability.COUNTING, Fault.THROTTLED)
        async with opened(crm, concurrency=2, timeout_seconds=10) as client:
            with crm.failing(Fault.THROTTLED):
                await client.upsert(*(push(call(f"cloudtalk-{number}")) for number in range(_MANY)))
        require(
            len(crm.writes()) < _MANY / 2,
            f"of {_MANY} calls {len(crm.writes())} were sent to a CRM that answers 429: after Throttled, "
            "Unauthorised or Misconfigured let the rest of the batch come back as the same, unsent",
        )

    @scenario
    async def test_a_check_of_a_crm_that_is_well_finds_nothing_wrong(self, crm: Crm) -> None:
        async with opened(crm, timeout_seconds=10) as client:
            found = await client.check()
        require(
            found, "`check` found nothing at all: return a Finding, ok or not, for each thing it looked at"
        )
        wrong = [finding for finding in found if not finding.ok]
        require(not wrong, f"nothing was wrong, and `check` found {wrong!r}")

    @scenario
    async def test_neither_a_check_nor_a_search_for_missing_records_makes_any(self, crm: Crm) -> None:
        async with opened(crm, timeout_seconds=10) as client:
            await client.check()
            await client.missing(push(call()))
        require(not crm.records(ID), "`check` or `missing` wrote a record: both only look")

    @scenario
    async def test_missing_finds_the_records_that_a_person_deleted_by_reading_alone(self, crm: Crm) -> None:
        needs(crm, Ability.LOOKING, Ability.EDITS)
        async with opened(crm, timeout_seconds=10) as client:
            ids = (ID, "cloudtalk-2", "cloudtalk-3,(4)")
            pushes = [push(call(id_), outcome=await client.deliver(call(id_))) for id_ in ids]
            require(
                await client.missing(*pushes) in ((), [], set(), frozenset()),
                "all are there, and some are missing",
            )
            crm.remove("cloudtalk-2")
            before = len(crm.writes()) if Ability.COUNTING not in crm.lacks else 0
            found = await client.missing(*pushes)
            after = len(crm.writes()) if Ability.COUNTING not in crm.lacks else 0
        require(
            not isinstance(found, Outcome) and set(found) == {"cloudtalk-2"},
            f"a person deleted cloudtalk-2, and `missing` found {found!r}",
        )
        require(before == after, "`missing` made a writing request")

    @scenario
    async def test_missing_says_when_it_could_not_look(self, crm: Crm) -> None:
        needs(crm, Ability.LOOKING, Fault.DOWN)
        async with opened(crm) as client:
            outcome = await client.deliver(call())
            with crm.failing(Fault.DOWN):
                found = await client.missing(push(call(), outcome=outcome))
        require(
            isinstance(found, Outcome),
            f"the CRM was down, and `missing` found {found!r}: return the outcome, so that the relay does "
            "not take every record for lost",
        )

    @scenario
    async def test_a_set_up_may_be_repeated_and_says_what_it_did(self, crm: Crm) -> None:
        async with opened(crm, timeout_seconds=10) as client:
            await client.deliver(call())
            for _ in range(2):
                said = await client.setup()
                require(
                    said and all(isinstance(line, str) for line in said),
                    f"`setup` returned {said!r}: return lines for a person",
                )
            require(
                isinstance(client.client.setup_text(), str), "`setup_text` is a text, empty if there is none"
            )
        the_record(crm)

    @scenario
    async def test_a_client_may_be_closed_twice_and_unused(self, crm: Crm) -> None:
        client = crm.client(InMemoryClientState())
        await client.aclose()
        await client.aclose()


def _densest(times: list[float], *, window: float) -> int:
    """The most of these that lie within so many seconds."""
    return max((sum(start <= time < start + window for time in times) for start in times), default=0)
