"""Which call an event belongs to: links, contradictions, the last resort, merges."""

from typing import Any

import msgspec
import pytest

from relay.call import Kind, Status
from relay.fold.links import match_by_number_and_time
from relay.fold.matching import (
    AliasIndex,
    Match,
    _is_generated_uuid,
    customer_number,
    is_transfer_of,
    limit_aliases,
    match_by_ids,
    restrict_ids,
)
from relay.instants import SECOND, Instant
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

U3, OTHER = "uuid:u3", "other:x"
CALLS = {
    "A": [U1, I1],
    "B": [U2],
    "C": [I2],
    "D": [U3, "id:3", "id:4"],
    "E": [OTHER, "id:6"],
    "F": ["id:7", "id:8"],
}


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
        # a call with several call_ids has each of them
        ((U3, "id:3"), Match("D", (U3, "id:3"))),
        ((U3, "id:3", "id:4"), Match("D", (U3, "id:3", "id:4"))),
        ((U3, "id:9"), Match(None, ("id:9",), dropped=(U3,))),
        (("id:3", "id:9"), Match(None, ("id:9",), dropped=("id:3",))),
        (("uuid:new", "id:7"), Match("F", ("id:7", "uuid:new"))),
        (("id:8", "other:new"), Match("F", ("id:8", "other:new"))),
        ((U2, "id:7"), Match("B", (U2, "id:7"), merge=("F",))),
        # an event with several call_ids links a call that has one of them
        ((U1, I1, "id:9"), Match("A", (U1, I1, "id:9"))),
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


@pytest.mark.parametrize(
    ("aliases", "expected"),
    [
        ((I1, "other:new", "uuid:new"), Match(None, ("uuid:new",), ("other:new", I1))),
        (("id:b", "other:new"), Match(None, ("other:new",), ("id:b",))),
        (("other:b", "uuid:new"), Match(None, ("uuid:new",), ("other:b",))),
        (("id:b", OTHER), Match("E", (OTHER,), ("id:b",))),
        ((OTHER, "id:b"), Match("E", (OTHER,), ("id:b",))),
        (("id:b", U1), Match("A", (U1,), ("id:b",))),
    ],
)
def test_of_ids_that_contradict_each_other_the_uuid_is_accepted_or_else_the_made_up_id(
    aliases: tuple[str, ...], expected: Match
) -> None:
    calls = CALLS | {"B": [U2, "other:b", "id:b"]}
    assert match_by_ids(aliases, index_of(calls)) == expected


def test_calls_are_merged_if_all_their_ids_fit() -> None:
    calls = {"A": [U1], "B": [I1], "C": [OTHER]}
    assert match_by_ids((I1, OTHER, U1), index_of(calls)) == Match("A", (U1, OTHER, I1), (), ("C", "B"))
    calls["C"] = [OTHER, U2]
    assert match_by_ids((U1, OTHER), index_of(calls)) == Match("A", (U1,), (OTHER,))


def test_two_call_ids_of_one_event_merge_a_call_that_has_both() -> None:
    calls = {"A": [U1], "B": [I1, I2]}
    assert match_by_ids((U1, I1, I2), index_of(calls)) == Match("A", (U1, I1, I2), (), ("B", "B"))
    calls = {"A": [U1, I2], "B": [I1]}
    assert match_by_ids((U1, I1, I2), index_of(calls)) == Match("A", (U1, I1, I2), (), ("B",))
    calls = {"A": [U1, "id:9"], "B": [I1]}
    assert match_by_ids((U1, I1, "id:9"), index_of(calls)) == Match("A", (U1, I1, "id:9"), (), ("B",))


PINNED = {"A": [U1, I1], "B": [I2]}


@pytest.mark.parametrize(
    ("aliases", "pinned", "expected"),
    [
        # an id that is split off gets no further id, and gives none
        ((U1, "id:9"), {U1}, Match("A", (U1,), ("id:9",))),
        ((U1, I1), {U1}, Match("A", (U1, I1))),
        ((U1, I1, "id:9"), {U1}, Match("A", (U1, I1), ("id:9",))),
        ((U1, I1, "id:9"), {I1}, Match("A", (I1, U1), ("id:9",))),
        ((U1, I2), {U1}, Match("A", (U1,), (I2,))),
        ((U1, I1), {I1}, Match("A", (U1, I1))),
        ((U1, I2), {I2}, Match("A", (U1,), (I2,))),
        (("uuid:new", I2), {I2}, Match("B", (I2,), ("uuid:new",))),
        (("uuid:new", I1), {I1}, Match("A", (I1,), ("uuid:new",))),
        # the call that has been split from is matched as before
        ((U1, I2), {"id:elsewhere"}, Match("B", (I2,), (U1,))),
    ],
)
def test_an_id_that_a_person_split_off_stays_with_its_call(
    aliases: tuple[str, ...], pinned: set[str], expected: Match
) -> None:
    assert match_by_ids(aliases, index_of(PINNED, pinned=frozenset(pinned))) == expected


def test_legs_of_one_call_have_different_call_ids_but_one_uuid() -> None:
    calls = {"A": [U1, I1], "B": [U2, I2], "C": ["id:9"]}
    index = msgspec.structs.replace(index_of(calls), is_leg=lambda _: True)
    assert match_by_ids((U1, I2), index) == Match("A", (U1,), (I2,))
    assert match_by_ids((U1, "id:9"), index) == Match("A", (U1, "id:9"), merge=("C",))
    assert match_by_ids((U1, "id:new"), index) == Match("A", (U1, "id:new"))
    assert match_by_ids(("uuid:new", I1), index) == Match(None, ("uuid:new",), (I1,))


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


def test_one_id_of_the_same_kind_is_enough_to_be_another_call() -> None:
    state = join_events(event(Kind.STARTED, U1, started_at=T0, **NUMBER))
    for ids in ((U2, I1), (I1, U2)):
        assert (
            match_by_number_and_time(event(Kind.ENDED, *ids, started_at=T0, **NUMBER), {"A": state}) is None
        )


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


# --- the last resort: what is compared ----------------------------------------------------------------

CUSTOMER: dict[str, Any] = {
    "from": "+34612345678",
    "to": "+34910000000",
    "direction": "inbound",
    "started_at": T0,
}


def stated(facts: dict[str, Any]) -> dict[str, Any]:
    return {fact: value for fact, value in (CUSTOMER | facts).items() if value is not None}


@pytest.mark.parametrize(
    ("facts", "other_facts", "linked"),
    [
        ({}, {}, True),
        ({"started_at": T0 + 120 * SECOND}, {}, True),
        ({"started_at": T0 - 120 * SECOND}, {}, True),
        ({"started_at": T0 + 120 * SECOND + 1}, {}, False),
        ({"started_at": T0 - 120 * SECOND - 1}, {}, False),
        ({"started_at": None}, {}, False),
        ({}, {"started_at": None}, False),
        ({}, {"to": None}, True),
        ({"to": None}, {}, True),
        ({"to": "+34910000009"}, {}, False),
        ({"direction": None}, {}, True),
        ({"direction": "internal"}, {}, False),
    ],
)
def test_number_and_time_link_an_event_if_nothing_contradicts(
    facts: dict[str, Any], other_facts: dict[str, Any], linked: bool
) -> None:
    ended = event(Kind.ENDED, I1, **stated(facts))
    state = join_events(event(Kind.STARTED, U1, **stated(other_facts)))
    assert match_by_number_and_time(ended, {"A": state}) == ("A" if linked else None)


def test_the_only_call_that_fits_is_linked_among_others_with_its_number() -> None:
    near = join_events(event(Kind.STARTED, U1, **CUSTOMER))
    far = join_events(event(Kind.STARTED, U2, **stated({"started_at": T0 + 121 * SECOND})))
    ended = event(Kind.ENDED, I1, **CUSTOMER)
    assert match_by_number_and_time(ended, {"far": far, "near": near}) == "near"
    assert match_by_number_and_time(ended, {"near": near, "also": near}) is None
    assert match_by_number_and_time(ended, {}) is None


# --- transfers ----------------------------------------------------------------------------------------

FOUR_HOURS = 14_400 * SECOND
WITHHELD: dict[str, Any] = {"from": None}


@pytest.mark.parametrize(
    ("facts", "other_facts", "is_transfer"),
    [
        ({}, {}, True),
        ({"started_at": T0 + FOUR_HOURS}, {}, True),
        ({"started_at": T0 - FOUR_HOURS}, {}, True),
        ({"started_at": T0 + FOUR_HOURS + 1}, {}, False),
        ({"started_at": T0 - FOUR_HOURS - 1}, {}, False),
        # with the number of one customer neither the own number nor the direction counts
        ({"to": "+34910000009"}, {}, True),
        ({"direction": "outbound", "to": "+34612345678"}, {}, True),
        ({"from": "+34600000009"}, {}, False),
        ({"from": "611"}, {}, False),
        ({"from": "611"}, {"from": "611"}, None),
        (WITHHELD, {}, None),
        ({}, WITHHELD, None),
        (WITHHELD, WITHHELD, None),
        (WITHHELD | {"to": "+34910000009"}, {}, False),
        (WITHHELD | {"direction": "outbound", "from": "+34910000000", "to": None}, WITHHELD, False),
        (WITHHELD | {"started_at": T0 + FOUR_HOURS + 1}, {}, False),
    ],
)
def test_another_leg_has_the_same_customer_and_begins_within_four_hours(
    facts: dict[str, Any], other_facts: dict[str, Any], is_transfer: bool | None
) -> None:
    leg = event(Kind.ENDED, U1, I1, **stated(facts))
    state = join_events(event(Kind.STARTED, U1, **stated(other_facts)), received_at=T0 + 10 * FOUR_HOURS)
    assert is_transfer_of(leg, Instant(T0), state) is is_transfer


@pytest.mark.parametrize(
    ("facts", "other_facts"),
    [({"started_at": None}, {}), ({}, {"started_at": None}), ({"started_at": None}, {"started_at": None})],
)
@pytest.mark.parametrize(
    ("arrived_at", "is_transfer"),
    [(T0, True), (T0 + FOUR_HOURS, True), (T0 + FOUR_HOURS + 1, False), (T0 - FOUR_HOURS - 1, False)],
)
def test_without_two_starts_the_arrival_is_compared_with_the_first_one_of_the_call(
    facts: dict[str, Any], other_facts: dict[str, Any], arrived_at: int, is_transfer: bool
) -> None:
    leg = event(Kind.ENDED, U1, I1, **stated(facts))
    # The events arrive at `T0` and a microsecond later.
    state = join_events(
        event(Kind.STARTED, U1, **stated(other_facts)), event(Kind.ANSWERED, U1), received_at=T0 - 1
    )
    assert is_transfer_of(leg, Instant(arrived_at), state) is is_transfer


# --- events that lose an id ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepted", "name", "facts"),
    [
        ((U1, I1), "u1", {"call_uuid": "u1", "call_id": "1", "notes": "n"}),
        ((I1, U1), "u1", {"call_uuid": "u1", "call_id": "1", "notes": "n"}),
        ((U1,), "u1", {"call_uuid": "u1", "notes": "n"}),
        ((I1,), "1", {"call_id": "1", "notes": "n"}),
        ((), "u1", {"notes": "n"}),
    ],
)
def test_an_event_loses_the_facts_of_its_dropped_ids(
    accepted: tuple[str, ...], name: str, facts: dict[str, Any]
) -> None:
    whole = event(Kind.ENDED, U1, I1, notes="n")
    restricted = restrict_ids(whole, accepted)
    assert (restricted.name, restricted.facts) == (name, facts)
    assert set(restricted.aliases) == set(accepted)


@pytest.mark.parametrize(
    ("number", "customer"),
    [("+34612345678", "+34612345678"), ("611", None), ("", None), (611, None), (None, None)],
)
def test_only_an_e164_number_identifies_a_customer(number: object, customer: str | None) -> None:
    assert customer_number(event(Kind.STARTED, U1, external_number=number)) == customer


# --- the limit of aliases -------------------------------------------------------------------------

SIZES = {"full": 1_000, "almost": 999, "large": 600, "small": 399, "other": 400}


@pytest.mark.parametrize(
    ("match", "limited"),
    [
        (Match("full", ("id:full-0", "id:new"), ("id:x",)), Match("full", ("id:full-0",), ("id:x",))),
        (Match("full", ("id:full-0",)), Match("full", ("id:full-0",))),
        (Match("full", ("id:new",), ("id:x",)), Match(None, ("id:new",), ("id:x",))),
        (Match("almost", ("id:almost-0", "id:new")), Match("almost", ("id:almost-0", "id:new"))),
        (Match("almost", ("id:new", "id:newer")), Match(None, ("id:new", "id:newer"))),
        (Match("large", ("id:large-0",), (), ("small",)), Match("large", ("id:large-0",), (), ("small",))),
        (Match("large", ("id:large-0",), (), ("other",)), Match("large", ("id:large-0",), (), ("other",))),
        (Match("large", ("id:large-0", "id:new"), (), ("other",)), Match("large", ("id:large-0",))),
        (Match("large", ("id:large-0",), (), ("small", "other")), Match("large", ("id:large-0",))),
        (Match(None, ("id:new",)), Match(None, ("id:new",))),
    ],
)
def test_a_call_has_at_most_a_thousand_aliases(match: Match, limited: Match) -> None:
    calls = {name: [f"id:{name}-{number}" for number in range(size)] for name, size in SIZES.items()}
    assert limit_aliases(match, lambda call: calls[call]) == limited
