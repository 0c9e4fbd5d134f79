"""The table of attempts."""

import pytest

from relay.instants import Instant
from relay.ledger import Ledger, attempts
from relay.ledger.attempts import AttemptRow


def row(call: str = "cloudtalk-1", at: int = 1, **changes: str) -> AttemptRow:
    values = {"destination": "crm", "action": "upsert", "outcome": "rejected", "code": "22", "message": "ñ"}
    return AttemptRow(call=call, at=Instant(at), version=3, duration_ms=40, **values | changes)


async def add(ledger: Ledger, *rows: AttemptRow) -> None:
    await ledger.write(lambda c: attempts.add(c, rows))


async def test_the_attempts_of_calls_are_read_in_the_order_in_which_they_were_written(ledger: Ledger) -> None:
    first, second, third = row(at=9), row("cloudtalk-2", destination="other"), row(at=5, outcome="delivered")
    await add(ledger, first)
    await add(ledger, second, third, row("cloudtalk-3"))
    found = await ledger.read(lambda c: attempts.list_for_calls(c, ["cloudtalk-2", "cloudtalk-1", "nobody"]))
    assert found == [first, second, third]
    await add(ledger)
    assert await ledger.read(lambda c: attempts.list_for_calls(c, [])) == []


@pytest.mark.parametrize(("limit", "left", "more"), [(2, [3, 4, 5], True), (10, [4, 5], False)])
async def test_old_attempts_are_deleted_in_portions(
    ledger: Ledger, limit: int, left: list[int], *, more: bool
) -> None:
    await add(ledger, *(row(at=at) for at in range(1, 6)))
    deleted = await ledger.write(lambda c: attempts.delete_old(c, before=Instant(4), limit=limit))
    found = await ledger.read(lambda c: attempts.list_for_calls(c, ["cloudtalk-1"]))
    assert ([each.at for each in found], deleted) == (left, more)
