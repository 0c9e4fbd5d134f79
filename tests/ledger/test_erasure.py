"""What the ledger finds and erases of a number, and what CRMs are to erase."""

import re
from typing import Final

import msgspec

from relay.instants import Instant
from relay.ledger import Ledger, aliases, audits, calls, client_state, deliveries, erasure
from relay.ledger.aliases import Alias, AliasReason
from relay.ledger.audits import Finding, FindingKind
from relay.ledger.connection import Connection
from tests.support.ledger_content import read_all_rows
from tests.support.samples import make_call_row

NUMBER: Final = "+34612345678"
FIELDS: Final = {"crm": frozenset({"external_number"}), "other": frozenset[str]()}


async def write(ledger: Ledger, id_: str, number: str = NUMBER) -> None:
    """Write a call of this number, and enqueue it."""
    row = make_call_row(id_, external_number=number)

    def work(c: Connection) -> None:
        calls.write(c, [row], [])
        aliases.add(c, [Alias(f"other:{id_}", id_, AliasReason.STATED)])
        deliveries.enqueue(c, [(id_, 1)], now=Instant(10))

    await ledger.write(work)


async def test_calls_are_found_by_digits_page_by_page(ledger: Ledger) -> None:
    for id_, number in (("a", NUMBER), ("b", "+34699999999"), ("c", NUMBER)):
        await write(ledger, id_, number)

    page = await ledger.read(lambda c: erasure.find_with_digits(c, "34612345678", after="", limit=2))
    assert (list(page.found), page.last) == (["a"], "b")
    page = await ledger.read(lambda c: erasure.find_with_digits(c, "34612345678", after="b", limit=2))
    assert (list(page.found), page.last) == (["c"], None)


async def test_merged_calls_belong_together(ledger: Ledger) -> None:
    await ledger.write(
        lambda c: calls.write(
            c,
            [
                make_call_row("survivor"),
                merged_row("one", "survivor"),
                merged_row("two", "one"),
                make_call_row("stranger"),
            ],
            [],
        )
    )
    for begin in ("survivor", "one", "two"):
        found = await ledger.read(lambda c, begin=begin: erasure.with_merged(c, [begin]))  # type: ignore[misc]
        assert found == {"survivor", "one", "two"}


def merged_row(id_: str, into: str) -> calls.CallRow:
    row = make_call_row(id_)
    return msgspec.structs.replace(row, record=msgspec.structs.replace(row.record, merged_into=into))


async def test_a_number_takes_what_clients_keep_under_it_along(two_destinations: Ledger) -> None:
    ledger = two_destinations
    values = {f"contact:{NUMBER}": "7", "task:1": f"for {NUMBER}", "contact:+34699999999": "8"}
    values["contact:+346123456789"] = "9"  # begins like the number
    await ledger.write(lambda c: client_state.set_many(c, "crm", values, now=Instant(1)))

    await ledger.write(lambda c: erasure.forget_number(c, NUMBER, now=Instant(70)))

    left = await ledger.read(lambda c: client_state.get_many(c, "crm", values))
    assert left == {"contact:+34699999999": "8", "contact:+346123456789": "9"}
    whole = re.compile(r"\+34612345678(?!\d)")
    assert not [name for name, text in read_all_rows(ledger.url).items() if whole.search(text)]


async def test_what_audits_found_of_a_forgotten_call_is_erased(two_destinations: Ledger) -> None:
    ledger = two_destinations
    for id_ in ("a", "b"):
        await write(ledger, id_)
    findings = [Finding("crm", id_, FindingKind.DOUBLED, details=[f"copy-of-{id_}"]) for id_ in ("a", "b")]
    at = Instant(60)
    seq = await ledger.write(
        lambda c: audits.add(c, findings, began_at=at, finished_at=at, who="cli", result="{}")
    )
    await ledger.write(lambda c: erasure.erase_calls(c, ["a"], FIELDS, now=Instant(70), by_number=False))
    assert await ledger.read(lambda c: audits.list_findings(c, seq)) == findings[1:]
