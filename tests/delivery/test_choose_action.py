"""What is done with a due delivery: filters, retractions and replays."""

from typing import Any, Literal

import msgspec
import pytest

from crm_clients.settings import DeliveryFilter, DestinationSettings
from relay.call import DELIVERED_FIELDS, Call
from relay.delivery.choose_action import (
    Action,
    choose_action,
    is_partial,
    is_wanted,
    may_have_record,
    undelivered_fields,
    whole_fields,
)
from relay.ledger.deliveries import DueDelivery
from tests.support.deliveries import due_delivery
from tests.support.samples import make_call

INBOUND = DeliveryFilter(directions=("inbound",))


def call(**fields: Any) -> Call:
    return msgspec.structs.replace(make_call(version=3), **fields)


def due(record: Call, **changes: Any) -> DueDelivery:
    return due_delivery(call=record, field_versions={"status": 3, "notes": 1}, **changes)


def action(
    delivery: DueDelivery,
    when: DeliveryFilter = INBOUND,
    *,
    internal: bool = False,
    update: Literal["always", "complete", "never"] = "always",
    is_complete: bool = True,
) -> Action:
    settings = DestinationSettings(client="fake", when=when, update=update)
    return choose_action(delivery, settings, forward_internal=internal, is_complete=is_complete)


def test_a_call_that_the_filter_matches_is_written_with_all_fields() -> None:
    delivery = due(call(direction="inbound"))
    assert action(delivery) is Action.UPSERT
    assert undelivered_fields(delivery) == set(DELIVERED_FIELDS)


def test_a_call_that_the_filter_does_not_match_is_not_sent() -> None:
    assert action(due(call(direction="outbound"))) is Action.FILTER


@pytest.mark.parametrize("attempted", [{"delivered_version": 2}, {"outcome": "unknown"}])
def test_a_call_that_the_crm_may_have_is_updated_whatever_the_filter(attempted: dict[str, Any]) -> None:
    assert action(due(call(direction="outbound"), **attempted)) is Action.UPSERT


@pytest.mark.parametrize(
    ("delivered_version", "fields"), [(1, {"status"}), (2, {"status"}), (3, set()), (4, set())]
)
def test_only_fields_that_changed_since_the_delivered_version_are_sent(
    delivered_version: int, fields: set[str]
) -> None:
    delivery = due(call(), delivered_version=delivered_version)
    assert undelivered_fields(delivery) == fields
    assert action(delivery) is (Action.UPSERT if fields else Action.VERIFY)


def test_a_replay_that_asks_for_the_whole_record_writes_every_field() -> None:
    delivery = due(call(tags=["vip"]), delivered_version=3, rewrite=True)
    assert action(delivery) is Action.UPSERT
    assert undelivered_fields(delivery) == set(DELIVERED_FIELDS)
    assert undelivered_fields(delivery, partial=True) == {"tags", "status", "notes", "cloudtalk_data"}


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        (Action.UPSERT, False),
        (Action.VERIFY, False),
        (Action.RETRACT, False),
        (Action.SKIP, True),
        (Action.RESTORE, False),
        (Action.FILTER, True),
        (Action.HOLD, True),
        (Action.KEEP, True),
    ],
)
def test_a_skipped_or_filtered_call_sends_nothing(each: Action, *, expected: bool) -> None:
    assert each.sends_nothing is expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({}, False),
        ({"delivered_version": 1}, True),
        ({"outcome": "unknown"}, True),
        ({"attempts": 3}, False),
    ],
)
def test_a_crm_may_have_a_call_after_a_delivery_or_an_attempt_without_a_known_end(
    state: dict[str, Any], *, expected: bool
) -> None:
    assert may_have_record(due(call(), **state)) is expected


SECOND_EPOCH = 2 * 2**32


@pytest.mark.parametrize(
    ("state", "epoch", "expected"),
    [
        ({"delivered_version": 2}, 0, False),
        ({"delivered_version": SECOND_EPOCH + 1}, 2, False),
        ({"delivered_version": 0}, 0, True),  # the CRM may have a record that this ledger has forgotten
        ({"delivered_version": 0, "outcome": "unknown"}, 0, True),
        ({"delivered_version": 2, "partial": True}, 0, True),
        ({"delivered_version": 2}, 1, True),  # the ledger was restored since
        ({"delivered_version": SECOND_EPOCH + 1}, 3, True),
    ],
)
@pytest.mark.parametrize("started_at", [None, "1970-01-01T00:00:00Z", "2099-01-01T00:00:00Z"])
def test_the_crm_knows_no_more_only_if_this_ledger_created_the_record(
    state: dict[str, Any], epoch: int, expected: bool, started_at: str | None
) -> None:
    assert is_partial(due(call(started_at=started_at), **state), epoch) is expected


def test_a_first_push_of_a_partial_call_has_what_is_known() -> None:
    lone_edit = due_delivery(call=call(tags=["vip"], call_id="7"))
    assert undelivered_fields(lone_edit, partial=True) == {"tags", "call_id", "cloudtalk_data"}


def test_a_field_that_became_empty_is_known() -> None:
    delivery = due_delivery(call=call(tags=["vip"]), field_versions={"notes": 2})
    assert undelivered_fields(delivery, partial=True) == {"tags", "notes", "cloudtalk_data"}


def test_a_later_push_of_a_partial_call_has_what_changed() -> None:
    delivery = due(call(), delivered_version=2)
    assert undelivered_fields(delivery, partial=True) == {"status"}


def test_a_replay_of_a_delivered_version_only_verifies() -> None:
    assert action(due(call(), delivered_version=3, outcome="delivered")) is Action.VERIFY


def test_an_internal_call_is_retracted_if_the_crm_may_have_it() -> None:
    internal = call(direction="internal")
    assert action(due(internal)) is Action.FILTER
    assert action(due(internal, delivered_version=2)) is Action.RETRACT
    assert action(due(internal, outcome="unknown")) is Action.RETRACT
    assert action(due(internal), DeliveryFilter(), internal=True) is Action.UPSERT


def test_a_merged_call_is_retracted_if_the_crm_may_have_it() -> None:
    merged = call(merged_into="cloudtalk-2")
    assert action(due(merged, delivered_version=2)) is Action.RETRACT
    assert action(due(merged)) is Action.SKIP
    assert action(due(merged), internal=True) is Action.SKIP


@pytest.mark.parametrize(
    ("fields", "forward_internal", "expected"),
    [
        ({"direction": "inbound"}, False, True),
        ({"direction": None}, False, True),
        ({"direction": "internal"}, False, False),
        ({"direction": "internal"}, True, True),
        ({"direction": "inbound", "merged_into": "cloudtalk-2"}, False, False),
        ({"direction": "internal", "merged_into": "cloudtalk-2"}, True, False),
    ],
)
def test_a_crm_should_have_no_merged_call_and_an_internal_one_only_on_request(
    fields: dict[str, Any], forward_internal: bool, *, expected: bool
) -> None:
    assert is_wanted(call(**fields), forward_internal=forward_internal) is expected


@pytest.mark.parametrize("partial", [True, False])
def test_the_fields_of_a_whole_push_can_be_a_key(*, partial: bool) -> None:
    fields = whole_fields(due(call(tags=["vip"])), partial=partial)
    assert {fields: fields}[fields] >= {"tags", "notes"}


# --- destinations that get complete calls only ------------------------------------------------------


@pytest.mark.parametrize("rule", ["complete", "never"])
def test_a_call_that_is_not_complete_is_held_unless_it_is_excluded(
    rule: Literal["complete", "never"],
) -> None:
    inbound = call(direction="inbound")
    assert action(due(inbound), update=rule, is_complete=False) is Action.HOLD
    assert action(due(inbound, outcome="unknown"), update=rule, is_complete=False) is Action.HOLD
    assert action(due(call(direction="outbound")), update=rule, is_complete=False) is Action.FILTER
    assert action(due(inbound), update=rule) is Action.UPSERT


def test_a_record_that_is_never_updated_is_kept_and_restored_by_a_replay() -> None:
    written = due(call(), delivered_version=2, outcome="delivered")
    assert action(written, update="never") is Action.KEEP
    assert action(written, update="never", is_complete=False) is Action.KEEP
    replayed = msgspec.structs.replace(written, rewrite=True)
    assert action(replayed, update="never") is Action.RESTORE
    assert action(due(call(direction="inbound"), outcome="unknown"), update="never") is Action.UPSERT


def test_a_complete_call_is_updated_as_usual() -> None:
    assert action(due(call(), delivered_version=2), update="complete") is Action.UPSERT
    assert action(due(call(), delivered_version=2), update="complete", is_complete=False) is Action.HOLD
    assert action(due(call(), delivered_version=3), update="complete") is Action.VERIFY


@pytest.mark.parametrize("rule", ["complete", "never"])
def test_a_record_that_no_crm_should_have_is_retracted_at_once(rule: Literal["complete", "never"]) -> None:
    for unwanted in (call(merged_into="cloudtalk-2"), call(direction="internal")):
        assert action(due(unwanted, delivered_version=2), update=rule, is_complete=False) is Action.RETRACT
