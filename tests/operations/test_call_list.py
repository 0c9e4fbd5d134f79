"""Lists of calls: filters, pages and counts."""

from contextlib import nullcontext
from typing import Any

import msgspec
import pytest

from relay.call import Status
from relay.instants import Instant
from relay.ledger import Ledger, calls, destinations
from relay.ledger.connection import Connection
from relay.ledger.errors import LedgerTimeout
from relay.ledger.states import DeliveryState
from relay.operations.call_list import (
    CallFilter,
    Count,
    FilterError,
    ListedDelivery,
    Page,
    count_calls,
    find_listed,
    iterate_calls,
    list_calls,
)
from tests.support.operations import write_call
from tests.support.samples import make_call_row


def write(connection: Connection, id_: str, began_at: int, **fields: Any) -> None:
    row = make_call_row(id_)
    record = msgspec.structs.replace(row.record, **fields)
    calls.write(connection, [msgspec.structs.replace(row, record=record, began_at=Instant(began_at))], [])


@pytest.fixture
async def three_calls(ledger: Ledger) -> Ledger:
    def fill(connection: Connection) -> None:
        write(connection, "a", 1, contact_name="Ana García", external_number="+34600112233")
        write(connection, "b", 2, contact_name="Luis", agent_name="Ana Gil", agent_id="1122")
        write(connection, "c", 3, contact_name="Eva", external_number="+34911221122")

    await ledger.write(fill)
    return ledger


async def ids_of(ledger: Ledger, **fields: Any) -> list[str]:
    filter_ = CallFilter(**{"region": "ES", **fields})
    return [call.id for call in (await ledger.read(lambda c: list_calls(c, filter_))).calls]


@pytest.mark.parametrize(
    ("fields", "ids"),
    [
        ({}, "cba"),
        ({"number": "600 112"}, "a"),
        ({"number": "1122"}, "c"),
        ({"name": "ana"}, "a"),
        ({"agent": "ana"}, "b"),
        ({"text": "ana"}, "ba"),
        ({"text": "luis gil"}, "b"),
        ({"text": "1122"}, "cb"),
        ({"text": "ana", "agent": "gil"}, "b"),
        ({"since": Instant(2)}, "cb"),
        ({"until": Instant(2)}, "a"),
        ({"statuses": frozenset({Status.IN_PROGRESS}), "directions": frozenset({""})}, "cba"),
        ({"statuses": frozenset({Status.MISSED})}, ""),
        ({"directions": frozenset({"inbound"})}, ""),
        ({"destination": "crm"}, ""),
        ({"delivery": frozenset({DeliveryState.DELIVERED})}, ""),
    ],
)
async def test_all_conditions_of_a_filter_must_be_satisfied(
    three_calls: Ledger, fields: dict[str, Any], ids: str
) -> None:
    assert await ids_of(three_calls, **fields) == list(ids)


@pytest.mark.parametrize(
    ("fields", "field"), [({"number": "x"}, "number"), ({"name": "…"}, "name"), ({"text": "-"}, "text")]
)
async def test_a_text_without_letters_and_digits_is_an_error(
    ledger: Ledger, fields: dict[str, str], field: str
) -> None:
    with pytest.raises(FilterError) as caught:
        await ids_of(ledger, **fields)
    assert caught.value.field == field


async def test_the_cursor_of_a_page_leads_to_the_next_one(three_calls: Ledger) -> None:
    def page(cursor: str | None) -> Any:
        return lambda c: list_calls(c, CallFilter(region="ES"), cursor, 2)

    first: Page = await three_calls.read(page(None))
    assert (first.next, first.searched_until) == ("2.b", None)
    last: Page = await three_calls.read(page(first.next))
    assert ([call.id for call in last.calls], last.next) == (["a"], None)
    with pytest.raises(FilterError, match="no cursor"):
        await three_calls.read(page("x"))


async def test_a_page_that_is_not_full_says_how_far_it_searched(
    three_calls: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.ledger.call_search._FIRST_WINDOW", 2)
    monkeypatch.setattr("relay.ledger.call_search._SMALLEST_WINDOW", 1)
    filter_ = CallFilter(region="ES", destination="nobody")
    page = await three_calls.read(lambda c: list_calls(c, filter_, None, 1, seconds=0))
    assert page == Page([], "2.b", Instant(2))


async def test_calls_are_counted_up_to_a_limit(three_calls: Ledger) -> None:
    everything = CallFilter(region="ES")
    assert await three_calls.read(lambda c: count_calls(c, everything)) == Count(3, has_more=False)
    assert await three_calls.read(lambda c: count_calls(c, everything, 2)) == Count(2, has_more=True)


async def test_all_pages_are_iterated_up_to_a_limit(
    three_calls: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.operations.call_list._LARGE_PAGE", 2)
    everything = CallFilter(region="ES")
    assert [call.id async for call in iterate_calls(three_calls, everything)] == ["c", "b", "a"]
    assert [call.id async for call in iterate_calls(three_calls, everything, 1)] == ["c"]


@pytest.mark.parametrize("timeouts", [2, 3])
async def test_a_page_that_waited_too_long_is_read_again_up_to_twice(
    three_calls: Ledger, monkeypatch: pytest.MonkeyPatch, timeouts: int
) -> None:
    view, tries = three_calls.view, 0

    async def busy(work: Any) -> Any:
        nonlocal tries
        tries += 1
        if 1 < tries <= 1 + timeouts:
            raise LedgerTimeout("another search is slow")
        return await view(work)

    monkeypatch.setattr("relay.operations.call_list._LARGE_PAGE", 2)
    monkeypatch.setattr(three_calls, "view", busy)
    listed = []
    with nullcontext() if timeouts == 2 else pytest.raises(LedgerTimeout):
        async for call in iterate_calls(three_calls, CallFilter(region="ES")):
            listed.append(call.id)  # noqa: PERF401 - what came before the error counts
    assert listed == (["c", "b", "a"] if timeouts == 2 else ["c", "b"])


async def test_a_call_is_listed_with_the_states_of_its_deliveries(ledger: Ledger) -> None:
    await ledger.write(lambda c: destinations.register(c, {"crm": "local", "other": "local"}))
    await ledger.write(lambda c: write_call(c, "cloudtalk-1", 1, "id:1"))
    call = await ledger.read(lambda c: find_listed(c, " 1 "))
    assert call is not None
    assert call.deliveries == [
        ListedDelivery("crm", DeliveryState.PENDING),
        ListedDelivery("other", DeliveryState.PENDING),
    ]
    assert await ledger.read(lambda c: find_listed(c, "2")) is None
    assert await ids_of(ledger, delivery=frozenset({DeliveryState.PENDING})) == ["cloudtalk-1"]
