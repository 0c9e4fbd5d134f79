"""Whose call an event is: links, contradictions, waiting, merging."""

from typing import Any

import pytest

from relay.call import CallEvent, Kind, Status
from relay.fold.matching import Match, match_call
from relay.ledger.calls import CallRow
from tests.support.worlds import T0, MemoryWorld

U1, U2, I1, I2 = "uuid:u1", "uuid:u2", "id:1", "id:2"


def event(kind: Kind, *aliases: str, dialect: str = "workflow", data: Any = None, **facts: Any) -> CallEvent:
    namespaces = {"uuid": "call_uuid", "id": "call_id", "other": "call_id"}
    ids = {namespaces[kind]: id_ for kind, _, id_ in (alias.partition(":") for alias in aliases)}
    name = aliases[0].partition(":")[2]
    return CallEvent(
        kind,
        dialect,
        name,
        aliases,
        facts.get("started_at"),
        ids | facts,
        data or {},
        single_id=dialect == "mission",
    )


# --- the place of an event, as a table ----------------------------------------------------------------

CALLS = {"A": [U1, I1], "B": [U2], "C": [I2]}
OWNERS = {alias: call for call, aliases in CALLS.items() for alias in aliases}


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
        # two calls that turn out to be one
        ((U2, I2), Match("B", (U2, I2), merge=("C",))),
        # a call_id typed as a constant: the uuid is believed
        ((U2, I1), Match("B", (U2,), dropped=(I1,))),
        (("uuid:new", I1), Match(None, ("uuid:new",), dropped=(I1,))),
        # a uuid typed as a constant: the call_id is believed
        ((U1, "id:9"), Match(None, ("id:9",), dropped=(U1,))),
        ((U1, I2), Match("C", (I2,), dropped=(U1,))),
    ],
)
def test_an_event_belongs_where_its_ids_agree(aliases: tuple[str, ...], expected: Match) -> None:
    found = match_call(aliases, OWNERS, lambda call: CALLS[call])
    assert (found.call, set(found.kept), set(found.dropped), found.merge) == (
        expected.call,
        set(expected.kept),
        set(expected.dropped),
        expected.merge,
    )


def test_where_every_id_contradicts_another_the_uuid_is_believed_alone() -> None:
    calls = {"A": [U1, I1], "B": [U2, I2]}
    owners = {alias: call for call, aliases in calls.items() for alias in aliases}
    assert match_call((U1, I2), owners, lambda call: calls[call]) == Match("A", (U1,), dropped=(I2,))


@pytest.mark.parametrize("ids", [("other:uuid-1", "other:call-1"), ("id:5", "id:7"), (U1, U2)])
def test_two_ids_of_one_kind_in_one_event_are_one_call(ids: tuple[str, str]) -> None:
    """Made-up ids are of no known form, and the mission's id may be of any."""
    first, second = ids
    for others in ([ids], [(first,), ids], [(second,), ids], [(first,), (second,), ids]):
        world = MemoryWorld()
        say(world, *(event(Kind.STARTED, *aliases, dialect="mission") for aliases in others))
        say(world, event(Kind.ENDED, first, dialect="mission", talking=3))
        say(world, event(Kind.MODIFIED, second, tags=["x"]))
        assert only(world).record.status == Status.COMPLETED
        assert only(world).record.tags == ["x"]
        assert not any(found.conflicts for found in world.plans)


def test_a_constant_beside_the_missions_own_id_merges_nothing() -> None:
    world = MemoryWorld()
    for number in range(30):
        say(world, event(Kind.ENDED, f"other:m-{number}", "other:test", dialect="mission", talking=number))
    assert len(world.living) == 30


def test_two_ids_spelt_alike_are_two_calls() -> None:
    world = MemoryWorld()
    say(world, event(Kind.STARTED, "id:5"), event(Kind.STARTED, "other:5"))
    assert {row.id for row in world.living} == {"cloudtalk-5", "cloudtalk-other:5"}


def test_an_end_of_the_mission_waits_for_nobody() -> None:
    world = MemoryWorld()
    number = {"external_number": "+34612345678", "direction": "inbound"}
    say(world, event(Kind.STARTED, "id:1001", dialect="mission", **number))
    say(world, event(Kind.ENDED, "id:1002", dialect="mission", talking=1, **number))
    assert len(world.living) == 2


@pytest.mark.parametrize("other", [Kind.ENDED, Kind.MISSED, Kind.VOICEMAIL])
def test_an_end_does_not_wait_for_a_call_that_is_over(other: Kind) -> None:
    world = MemoryWorld()
    number = {"external_number": "+34612345678", "direction": "inbound"}
    say(world, event(other, U1, **number), event(Kind.ENDED, I2, talking=1, **number))
    assert len(world.living) == 2


def test_a_constant_typed_as_a_messages_id_swallows_no_news() -> None:
    world = MemoryWorld()
    for tags in (["a"], ["b"]):
        facts = {"tags": tags}
        say(world, CallEvent(Kind.MODIFIED, "signed", "u1", (U1,), None, facts, facts, ("evt:1",)))
    assert only(world).record.tags == ["b"]


def test_an_id_that_a_person_split_off_links_nothing() -> None:
    calls = {"A": [U1], "B": [I1]}
    owners = {U1: "A", I1: "B"}
    found = match_call((U1, I1), owners, lambda call: calls[call], frozenset({I1}))
    assert (found.call, found.kept, found.dropped, found.merge) == ("A", (U1,), (I1,), ())
    assert match_call((I1,), owners, lambda call: calls[call], frozenset({I1})).call == "B"


# --- over a world -------------------------------------------------------------------------------------


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld()


def only(world: MemoryWorld) -> CallRow:
    (row,) = world.living
    return row


def say(world: MemoryWorld, *events: CallEvent) -> None:
    for arrived in world.arrive(events):
        world.fold([arrived])


RECORDING = event(Kind.RECORDING, I1, recording_url="https://example.test/1.wav")
ENDED = event(Kind.ENDED, U1, I1, talking=7, direction="inbound")


def test_a_recording_before_its_end_waits_and_is_in_the_one_record(world: MemoryWorld) -> None:
    say(world, RECORDING)
    assert world.living == []
    say(world, ENDED)
    assert only(world).record.recording_url == "https://example.test/1.wav"
    assert only(world).id == "cloudtalk-u1"


def test_without_an_end_a_recording_makes_a_record_after_the_grace_period(world: MemoryWorld) -> None:
    say(world, RECORDING)
    world.end_grace()
    assert (only(world).id, only(world).record.status) == ("cloudtalk-1", Status.IN_PROGRESS)
    say(world, ENDED)
    assert (only(world).id, only(world).record.status) == ("cloudtalk-1", Status.COMPLETED)
    assert only(world).record.call_uuid == "u1"


def test_two_records_that_turn_out_to_be_one_become_the_one_delivered_first(world: MemoryWorld) -> None:
    say(world, RECORDING)
    world.end_grace()
    world.deliver()
    say(world, event(Kind.STARTED, U1, contact_name="Ana"))
    world.deliver()
    say(world, ENDED)
    assert only(world).id == "cloudtalk-1"
    assert (only(world).record.contact_name, only(world).record.talking_seconds) == ("Ana", 7)
    assert world.rows["cloudtalk-u1"].record.merged_into == "cloudtalk-1"
    assert world.owners == {I1: "cloudtalk-1", U1: "cloudtalk-1"}
    say(world, event(Kind.MODIFIED, U1, tags=["vip"]))
    assert only(world).record.tags == ["vip"]


def test_of_two_that_no_crm_has_one_goes_without_a_trace(world: MemoryWorld) -> None:
    world.fold(world.arrive([event(Kind.STARTED, U1), event(Kind.MODIFIED, I1), ENDED]))
    assert set(world.rows) == {"cloudtalk-u1"} or set(world.rows) == {"cloudtalk-1"}
    assert only(world).record.talking_seconds == 7


def test_a_constant_call_id_merges_nothing_and_is_told_once_per_kind(world: MemoryWorld) -> None:
    told = []
    for number in range(100):
        uuid = f"uuid:{number}"
        say(
            world,
            event(Kind.STARTED, uuid, contact_name=f"N{number}"),
            event(Kind.ENDED, uuid, "id:123", talking=number + 1),
        )
    for found in world.plans:
        told += [(conflict.event.kind, conflict.dropped) for conflict in found.conflicts]
    assert len(world.living) == 100
    assert {row.record.talking_seconds for row in world.living} == set(range(1, 101))
    assert [row.record.call_id for row in world.living].count("123") == 1
    assert set(told) == {(Kind.ENDED, ("id:123",))}


def test_a_constant_uuid_with_ids_of_their_own_merges_nothing(world: MemoryWorld) -> None:
    for number in range(20):
        say(world, event(Kind.ENDED, "uuid:constant", f"id:{number}", talking=number + 1))
    assert len(world.living) == 20


def test_an_end_with_the_call_id_alone_waits_where_one_open_call_has_its_number(world: MemoryWorld) -> None:
    number = {"external_number": "+34612345678", "direction": "inbound"}
    ended = event(Kind.ENDED, I1, talking=0, **number)
    say(world, event(Kind.STARTED, U1, started_at=T0, **number), ended)
    assert [row.id for row in world.living] == ["cloudtalk-u1"]
    say(world, event(Kind.RECORDING, U1, I1))
    assert only(world).record.status == Status.MISSED


def test_the_last_resort_is_number_and_time_once_the_grace_is_over(world: MemoryWorld) -> None:
    number = {"external_number": "+34612345678", "internal_number": "+34910000000"}
    say(
        world,
        event(Kind.STARTED, U1, started_at=T0, **number),
        event(Kind.ENDED, I1, started_at=T0 + 2_000_000, talking=5, **number),
    )
    world.end_grace()
    assert only(world).record.talking_seconds == 5
    assert only(world).state.aliases == [I1, U1]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"started_at": T0 + 121_000_000}, "too far apart"),
        ({"internal_number": "+34999999999"}, "another line"),
        ({"direction": "outbound"}, "another direction"),
        ({"external_number": "34612345678"}, "no E.164"),
    ],
)
def test_the_last_resort_never_guesses(world: MemoryWorld, other: dict[str, Any], why: str) -> None:
    facts: dict[str, Any] = {
        "external_number": "+34612345678",
        "internal_number": "+34910000000",
        "direction": "inbound",
        "started_at": T0,
    }
    say(world, event(Kind.STARTED, U1, **facts), event(Kind.ENDED, I1, talking=5, **(facts | other)))
    world.end_grace()
    assert len(world.living) == 2, why


def test_with_two_candidates_the_last_resort_never_guesses(world: MemoryWorld) -> None:
    number: dict[str, Any] = {"external_number": "+34612345678", "started_at": T0}
    say(world, event(Kind.STARTED, U1, **number), event(Kind.STARTED, U2, **number))
    say(world, event(Kind.ENDED, I1, **number))
    world.end_grace()
    assert len(world.living) == 3


def test_a_redelivered_message_is_no_news(world: MemoryWorld) -> None:
    first, second = (
        CallEvent(Kind.MODIFIED, "signed", "u1", (U1,), T0, {"tags": [tag]}, {"tags": tag}, (f"msg:{tag}",))
        for tag in "ab"
    )
    say(world, first, second, first)
    assert only(world).record.tags == ["b"]


def test_tags_a_then_b_then_a_again_in_one_second_end_as_a(world: MemoryWorld) -> None:
    for tags in (["A"], ["A", "B"], ["A"]):
        say(world, event(Kind.MODIFIED, U1, tags=tags))
    assert only(world).record.tags == ["A"]


def test_a_phone_that_rings_sets_no_agent_and_is_remembered(world: MemoryWorld) -> None:
    say(
        world,
        event(Kind.RINGING, U1, agent_id="1", agent_name="Ana"),
        event(Kind.RINGING, U1, agent_id="2", agent_name="Luis"),
    )
    assert only(world).record.agent_id is None
    say(world, event(Kind.ANSWERED, U1, agent_id="2", agent_name="Luis"))
    assert only(world).record.agent_name == "Luis"
    assert only(world).state.agents == {"1": "Ana", "2": "Luis"}


# --- redeliveries without an id -----------------------------------------------------------------------


def test_an_ended_that_comes_once_more_does_not_bring_back_old_tags(world: MemoryWorld) -> None:
    ended = event(Kind.ENDED, "uuid:a", talking=5, tags=["venta"], data={"tags": "venta"})
    say(world, ended)
    say(world, event(Kind.MODIFIED, "uuid:a", tags=["queja"], data={"tags": "queja"}))
    say(world, ended)
    (row,) = world.living
    assert (row.record.tags, row.version) == (["queja"], 2)


def test_tags_that_come_and_go_and_come_again_are_three_facts(world: MemoryWorld) -> None:
    for tags in (["a"], ["b"], ["a"]):
        say(world, event(Kind.MODIFIED, "uuid:a", tags=tags, data={"tags": tags}))
    (row,) = world.living
    assert (row.record.tags, row.version) == (["a"], 3)
