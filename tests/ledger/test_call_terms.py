"""The search terms of calls, as they are stored."""

from sqlalchemy import select

from relay.instants import Instant
from relay.ledger import Ledger, call_terms
from relay.ledger.call_terms import CallTerms
from relay.ledger.search_terms import to_text
from relay.ledger.tables import call_keys
from relay.ledger.tables import call_terms as table

AT = Instant(7)


async def stored(ledger: Ledger) -> tuple[list[str], list[str]]:
    """The single terms, and the texts of all terms of a call."""
    return await ledger.read(
        lambda c: (
            sorted(c.execute(select(table.c.term)).scalars()),
            list(c.execute(select(call_keys.c.terms)).scalars()),
        )
    )


async def test_terms_that_are_there_already_do_not_stop_the_fold_of_their_call(ledger: Ledger) -> None:
    old, new = to_text(["ana", "ruiz"]), to_text(["ana", "sanz"])
    await ledger.write(lambda c: call_terms.add(c, {"a": CallTerms(AT, old)}))
    await ledger.write(lambda c: call_terms.add(c, {"a": CallTerms(AT, new)}))
    assert await stored(ledger) == (["ana", "ruiz", "sanz"], [new])
