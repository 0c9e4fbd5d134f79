"""The quarantine by reason, and what a person does with its entries."""

from functools import partial
from zoneinfo import ZoneInfo

from relay.cloudtalk.parser import Parser
from relay.ledger import Ledger, actions, journal, quarantine
from relay.ledger.connection import Connection
from relay.ledger.quarantine import NewQuarantinedBody
from relay.operations import quarantine as operations
from relay.operations.quarantine_texts import advice_for
from tests.support.operations import NOW
from tests.support.samples import make_event_row

STARTED = b'{"event":"call.started","call_uuid":"u-1"}'


def body(reason: str, raw: bytes = b"x") -> NewQuarantinedBody:
    return NewQuarantinedBody(
        NOW, reason, f"about {reason}", "", "application/json", "/cloudtalk/webhook", "", raw
    )


async def fill(ledger: Ledger) -> None:
    """Two bodies that are no JSON, one of which can be parsed now, one without an id, and a failed event."""

    def write(connection: Connection) -> None:
        for each in (body("not_json"), body("missing_id"), body("not_json", STARTED)):
            quarantine.add(connection, each)
        (seq,) = journal.append(connection, [make_event_row()])
        journal.set_aside(connection, seq, "the fold failed")

    await ledger.write(write)


async def test_entries_are_grouped_by_reason_with_the_newest_as_example(ledger: Ledger) -> None:
    await fill(ledger)
    groups = await ledger.read(operations.list_groups)
    assert [(group.reason, group.entries, group.example.id) for group in groups] == [
        ("set_aside", 1, "e1"),
        ("not_json", 2, 3),
        ("missing_id", 1, 2),
    ]
    assert groups[0].example.message == "the fold failed"
    assert "choose the body type JSON" in groups[1].advice.en
    assert "elija el tipo JSON" in groups[1].advice.es


async def test_a_list_has_the_beginning_of_each_body_and_its_size(ledger: Ledger) -> None:
    for raw in (b"y" * 200, b"\xc3\xb1" * 500_000):
        await ledger.write(partial(quarantine.add, body=body("not_json", raw)))
    short, long = await ledger.read(lambda c: list(operations.list_views(c)))
    assert (short.size, short.raw) == (200, "y" * 200)
    assert (long.size, long.raw) == (1_000_000, "ñ" * 200 + "…")
    (entry,) = await ledger.read(lambda c: operations.get_many(c, ["2"]))
    assert operations.view_entry(entry).raw == "ñ" * 500_000


async def test_only_entries_of_a_reason_are_listed(ledger: Ledger) -> None:
    await fill(ledger)
    for reason, ids in {"not_json": ["1", "3"], "set_aside": ["e1"], "unknown": []}.items():
        assert await ledger.read(partial(operations.list_ids, reason=reason)) == ids
    newest = await ledger.read(lambda c: operations.list_newest(c, "not_json", 1))
    assert [view.id for view in newest] == [3]


async def test_a_retry_says_what_each_entry_became(ledger: Ledger) -> None:
    await fill(ledger)
    parser = Parser(ZoneInfo("Europe/Madrid"), "ES", (), {}, "/cloudtalk/webhook", ())
    results = await operations.retry(ledger, parser, ["1", "3", "99"], who="cli")
    assert [(result.id, result.events, result.problem is None) for result in results] == [
        (1, 0, False),
        (3, 1, True),
    ]
    assert await ledger.read(operations.list_ids) == ["1", "2", "e1"]


async def test_dropped_entries_are_gone(ledger: Ledger) -> None:
    await fill(ledger)
    assert await operations.drop(ledger, ["1", "e1", "99"], who="cli") == 2
    assert await ledger.read(operations.list_ids) == ["2", "3"]


def test_an_unknown_reason_has_advice_too() -> None:
    assert advice_for("new").en.startswith("The entry could not be used.")


async def test_what_people_did_is_stored(ledger: Ledger) -> None:
    await fill(ledger)
    await operations.drop(ledger, ["1", "e1"], who="cli")
    await operations.drop(ledger, ["2", "3"], who="session", chosen="not_json")
    found = await ledger.read(lambda c: actions.list_of_quarantine(c, 2))
    assert [(row.action, row.who, row.entry) for row in found] == [
        ("quarantine.drop", "session", "not_json"),
        ("quarantine.drop", "cli", "e1"),
    ]
