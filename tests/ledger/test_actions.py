"""The table of what people did."""

from relay.instants import Instant
from relay.ledger import Ledger, actions
from relay.ledger.actions import ActionRow


def row(at: int, destination: str | None = "crm", call: str | None = None) -> ActionRow:
    return ActionRow(Instant(at), "cli", "destination.pause", destination, call)


async def find(ledger: Ledger, *ids: str, names: tuple[str, ...] = (), since: int = 0) -> list[int]:
    found = await ledger.read(lambda c: actions.list_for_calls(c, ids, names, since=Instant(since)))
    return [each.at for each in found]


async def test_the_actions_on_calls_and_on_their_destinations_are_read(ledger: Ledger) -> None:
    rows = [row(1), row(2, call="a"), row(3, "other", "b"), row(4), row(5, "other"), row(6, call="b")]
    await ledger.write(lambda c: actions.add(c, rows))
    assert await find(ledger, "a", "b") == [2, 3, 6]
    assert await find(ledger, "a", names=("crm",), since=2) == [2, 4]
    assert await find(ledger, names=("crm", "other"), since=4) == [4, 5]
    assert await ledger.read(lambda c: actions.list_for_calls(c, ["a"], [], since=Instant(0))) == [rows[1]]


async def test_old_actions_are_deleted_in_portions(ledger: Ledger) -> None:
    await ledger.write(lambda c: actions.add(c, [row(at) for at in range(1, 6)]))
    assert await ledger.write(lambda c: actions.delete_old(c, before=Instant(4), limit=2))
    assert await find(ledger, names=("crm",)) == [3, 4, 5]
    assert not await ledger.write(lambda c: actions.delete_old(c, before=Instant(4), limit=2))
    assert await find(ledger, names=("crm",)) == [4, 5]
