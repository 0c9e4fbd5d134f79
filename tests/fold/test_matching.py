"""Which call an event belongs to: links, contradictions, the last resort, merges."""

from typing import Any

import pytest

from relay.call import Kind, Status
from relay.fold.matching import (
    AliasIndex,
    Match,
    _is_generated_uuid,
    match_by_ids,
    match_by_number_and_time,
)
from relay.instants import SECOND
from relay.ledger.aliases import AliasReason
from tests.support.memory_ledger import MemoryLedger
from tests.support.samples import T0, join_events
from tests.support.samples import make_event_with_ids as event

U1, U2, I1, I2 = "uuid:u1", "uuid:u2", "id:1", "id:2"
NUMBER: dict[str, Any] = {"external_number": "+34612345678", "direction": "inbound"}


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


# --- the normal rule: by ids ------------------------------------------------------------------------

CALLS = {"A": [U1, I1], "B": [U2], "C": [I2]}


def index_of(calls: dict[str, list[str]], *, pinned: frozenset[str] = frozenset()) -> AliasIndex:
    owners = {alias: call for call, aliases in calls.items() for alias in aliases}
    return AliasIndex(owners, lambda call: calls[call], pinned)


@pytest.mark.parametrize(
    ("aliases", "expected"),
    [
        (("uuid:new",), Match(None, ("uuid:new",))),
        (("uuid:new", "id:9"), Match(None, ("uuid:new", "id:9"))),
        ((U1,), Match("A", (U1,))),
        ((I1,), Match("A", (I1,))),
        ((U1, I1), Match("A", (U1, I1))),
        ((U2, "id:9"), Match("B", (U2, "id:9"))),
        ((I2, "uuid:new"), Match("C", (I2, "uuid:new"))),
        # the event links two calls: they are one
        ((U2, I2), Match("B", (U2, I2), merge=("C",))),
        # a call_id typed as a constant: the uuid is accepted
        ((U2, I1), Match("B", (U2,), dropped=(I1,))),
        (("uuid:new", I1), Match(None, ("uuid:new",), dropped=(I1,))),
        # a uuid typed as a constant: the call_id is accepted
        ((U1, "id:9"), Match(None, ("id:9",), dropped=(U1,))),
        ((U1, I2), Match("C", (I2,), dropped=(U1,))),
    ],
)
def test_an_event_belongs_to_the_call_that_its_ids_agree_on(
    aliases: tuple[str, ...], expected: Match
) -> None:
    match = match_by_ids(aliases, index_of(CALLS))
    assert (match.call, set(match.accepted), set(match.dropped), match.merge) == (
        expected.call,
        set(expected.accepted),
        set(expected.dropped),
        expected.merge,
    )


def test_if_every_id_contradicts_another_only_the_uuid_is_accepted() -> None:
    index = index_of({"A": [U1, I1], "B": [U2, I2]})
    assert match_by_ids((U1, I2), index) == Match("A", (U1,), dropped=(I2,))


def test_an_id_that_a_person_split_off_links_nothing() -> None:
    index = index_of({"A": [U1], "B": [I1]}, pinned=frozenset({I1}))
    assert match_by_ids((U1, I1), index) == Match("A", (U1,), dropped=(I1,))
    assert match_by_ids((I1,), index).call == "B"


@pytest.mark.parametrize("ids", [("other:uuid-1", "other:call-1"), ("id:5", "id:7"), (U1, U2)])
def test_two_ids_of_one_kind_in_one_event_are_one_call(ids: tuple[str, str]) -> None:
    """Made-up ids have no known form, and the mission's id may have any."""
    first, second = ids
    for others in ([ids], [(first,), ids], [(second,), ids], [(first,), (second,), ids]):
        ledger = MemoryLedger()
        ledger.fold_each(*(event(Kind.STARTED, *aliases, dialect="mission") for aliases in others))
        ledger.fold_each(event(Kind.ENDED, first, dialect="mission", talking=3))
        ledger.fold_each(event(Kind.MODIFIED, second, tags=["x"]))
        assert ledger.only_row.record.status == Status.COMPLETED
        assert ledger.only_row.record.tags == ["x"]
        assert not any(changes.conflicts for changes in ledger.changes)


def test_a_constant_beside_the_id_of_the_mission_merges_nothing(ledger: MemoryLedger) -> None:
    for number in range(30):
        ids = (f"other:m-{number}", "other:test")
        ledger.fold_each(event(Kind.ENDED, *ids, dialect="mission", talking=number))
    assert len(ledger.live_rows) == 30


def test_ids_of_two_namespaces_with_the_same_text_are_two_calls(ledger: MemoryLedger) -> None:
    ledger.fold_each(event(Kind.STARTED, "id:5"), event(Kind.STARTED, "other:5"))
    assert {row.id for row in ledger.live_rows} == {"cloudtalk-5", "cloudtalk-other:5"}


def test_a_constant_call_id_merges_nothing_and_conflicts_in_one_kind_only(ledger: MemoryLedger) -> None:
    for number in range(100):
        uuid = f"uuid:{number}"
        ledger.fold_each(
            event(Kind.STARTED, uuid, contact_name=f"N{number}"),
            event(Kind.ENDED, uuid, "id:123", talking=number + 1),
        )
    assert len(ledger.live_rows) == 100
    assert {row.record.talking_seconds for row in ledger.live_rows} == set(range(1, 101))
    assert [row.record.call_id for row in ledger.live_rows].count("123") == 1
    conflicts = [conflict for changes in ledger.changes for conflict in changes.conflicts]
    assert {(conflict.event.kind, conflict.dropped) for conflict in conflicts} == {(Kind.ENDED, ("id:123",))}


def test_a_constant_uuid_merges_nothing(ledger: MemoryLedger) -> None:
    for number in range(20):
        ledger.fold_each(event(Kind.ENDED, "uuid:constant", f"id:{number}", talking=number + 1))
    assert len(ledger.live_rows) == 20


# --- merging two calls ------------------------------------------------------------------------------

RECORDING = event(Kind.RECORDING, I1, recording_url="https://example.test/1.wav")
ENDED = event(Kind.ENDED, U1, I1, talking=7, direction="inbound")


def test_of_two_merged_calls_the_one_delivered_first_survives(ledger: MemoryLedger) -> None:
    ledger.fold_each(RECORDING)
    ledger.end_grace()
    ledger.deliver_all()
    ledger.fold_each(event(Kind.STARTED, U1, contact_name="Ana"))
    ledger.deliver_all()
    ledger.fold_each(ENDED)
    assert ledger.only_row.id == "cloudtalk-1"
    assert (ledger.only_row.record.contact_name, ledger.only_row.record.talking_seconds) == ("Ana", 7)
    assert ledger.rows["cloudtalk-u1"].record.merged_into == "cloudtalk-1"
    assert ledger.owners == {I1: "cloudtalk-1", U1: "cloudtalk-1"}
    ledger.fold_each(event(Kind.MODIFIED, U1, tags=["vip"]))
    assert ledger.only_row.record.tags == ["vip"]


def test_a_call_that_is_merged_in_the_batch_that_begins_it_gets_no_row(ledger: MemoryLedger) -> None:
    ledger.fold(ledger.append([event(Kind.STARTED, U1), event(Kind.MODIFIED, I1), ENDED]))
    assert set(ledger.rows) == {"cloudtalk-u1"} or set(ledger.rows) == {"cloudtalk-1"}
    assert ledger.only_row.record.talking_seconds == 7


def test_the_events_of_calls_that_are_merged_belong_to_the_survivor(ledger: MemoryLedger) -> None:
    batch = ledger.append([event(Kind.STARTED, U1), event(Kind.MODIFIED, I1), ENDED])
    ledger.fold(batch)
    assert ledger.changes[0].folded == [(each.seq, ledger.only_row.id) for each in batch]


def test_an_alias_is_chosen_if_another_one_of_its_event_was_dropped(ledger: MemoryLedger) -> None:
    ledger.fold_each(event(Kind.ENDED, U1, I1), event(Kind.ENDED, "uuid:new", I1))
    reasons = {alias.alias: alias.reason for changes in ledger.changes for alias in changes.aliases}
    assert reasons == {U1: AliasReason.STATED, I1: AliasReason.STATED, "uuid:new": AliasReason.CHOSEN}


# --- the last resort: by number and time ------------------------------------------------------------


def test_after_the_grace_period_number_and_time_link_an_event(ledger: MemoryLedger) -> None:
    number: dict[str, Any] = {"external_number": "+34612345678", "internal_number": "+34910000000"}
    ledger.fold_each(
        event(Kind.STARTED, U1, started_at=T0, **number),
        event(Kind.ENDED, I1, started_at=T0 + 2 * SECOND, talking=5, **number),
    )
    ledger.end_grace()
    assert ledger.only_row.record.talking_seconds == 5
    assert ledger.only_row.state.aliases == [I1, U1]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"started_at": T0 + 121 * SECOND}, "too far apart"),
        ({"internal_number": "+34999999999"}, "another line"),
        ({"direction": "outbound"}, "another direction"),
        ({"external_number": "34612345678"}, "no E.164"),
    ],
)
def test_a_different_call_is_never_linked_by_number_and_time(
    ledger: MemoryLedger, other: dict[str, Any], why: str
) -> None:
    facts = NUMBER | {"internal_number": "+34910000000", "started_at": T0}
    ledger.fold_each(event(Kind.STARTED, U1, **facts), event(Kind.ENDED, I1, talking=5, **(facts | other)))
    ledger.end_grace()
    assert len(ledger.live_rows) == 2, why


@pytest.mark.parametrize(
    ("aliases", "expected"),
    [([U1], "A"), (["other:1"], "A"), ([I2], None), ([U1, I2], None), ([I1], None)],
)
def test_a_call_with_an_id_of_the_same_kind_is_never_linked_by_number_and_time(
    aliases: list[str], expected: str | None
) -> None:
    ended = event(Kind.ENDED, I1, started_at=T0, **NUMBER)
    state = join_events(event(Kind.STARTED, *aliases, started_at=T0, **NUMBER))
    assert match_by_number_and_time(ended, {"A": state}) == expected


def test_with_two_candidates_number_and_time_link_nothing(ledger: MemoryLedger) -> None:
    facts: dict[str, Any] = {"external_number": "+34612345678", "started_at": T0}
    ledger.fold_each(event(Kind.STARTED, U1, **facts), event(Kind.STARTED, U2, **facts))
    ledger.fold_each(event(Kind.ENDED, I1, **facts))
    ledger.end_grace()
    assert len(ledger.live_rows) == 3


@pytest.mark.parametrize(
    ("alias", "expected"),
    [
        ("uuid:44fe27cd-5268-4670-993e-0129aabbccdd", True),
        ("uuid:44fe27cd-5268-1670-893e-0129aabbccdd", True),
        ("uuid:44fe27cd-5268-8670-b93e-0129aabbccdd", True),
        ("uuid:44fe27cd-5268-0670-993e-0129aabbccdd", False),
        ("uuid:44fe27cd-5268-9670-993e-0129aabbccdd", False),
        ("uuid:44fe27cd-5268-4670-193e-0129aabbccdd", False),
        ("uuid:00000000-0000-0000-0000-000000000000", False),
        ("other:44fe27cd-5268-4670-993e-0129aabbccdd", False),
        ("uuid:u1", False),
    ],
)
def test_only_a_uuid_with_a_version_and_a_variant_was_generated(alias: str, expected: bool) -> None:
    assert _is_generated_uuid(alias) is expected
