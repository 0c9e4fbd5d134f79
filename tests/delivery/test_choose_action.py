"""What is done with a due delivery: filters, retractions and replays."""

from typing import Any

import msgspec
import pytest

from crm_clients.settings import DeliveryFilter
from relay.call import DELIVERED_FIELDS, Call
from relay.delivery.choose_action import Action, choose_action, undelivered_fields
from relay.ledger.deliveries import DueDelivery
from tests.support.deliveries import due_delivery
from tests.support.samples import make_call

INBOUND = DeliveryFilter(directions=("inbound",))


def call(**fields: Any) -> Call:
    return msgspec.structs.replace(make_call(version=3), **fields)


def due(record: Call, **changes: Any) -> DueDelivery:
    return due_delivery(call=record, field_versions={"status": 3, "notes": 1}, **changes)


def action(delivery: DueDelivery, when: DeliveryFilter = INBOUND, *, internal: bool = False) -> Action:
    return choose_action(delivery, when, forward_internal=internal)


def test_a_call_that_the_filter_matches_is_written_with_all_fields() -> None:
    delivery = due(call(direction="inbound"))
    assert action(delivery) is Action.UPSERT
    assert undelivered_fields(delivery) == set(DELIVERED_FIELDS)


def test_a_call_that_the_filter_does_not_match_is_not_sent() -> None:
    assert action(due(call(direction="outbound"))) is Action.FILTER


@pytest.mark.parametrize("attempted", [{"delivered_version": 2}, {"outcome": "unknown"}])
def test_a_call_that_the_crm_may_have_is_updated_whatever_the_filter(attempted: dict[str, Any]) -> None:
    assert action(due(call(direction="outbound"), **attempted)) is Action.UPSERT


def test_only_fields_that_changed_since_the_delivered_version_are_sent() -> None:
    assert undelivered_fields(due(call(), delivered_version=2)) == {"status"}


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
