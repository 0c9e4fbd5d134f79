"""What is done with a due delivery: filters, retractions and replays."""

from typing import Any

import msgspec
import pytest

from crm_clients.settings import DeliveryFilter
from relay.call import DELIVERED_FIELDS, Call, Status
from relay.delivery.actions import Action, changed_fields, choose_action
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
    assert changed_fields(delivery) == set(DELIVERED_FIELDS)


def test_a_call_that_the_filter_does_not_match_is_not_sent() -> None:
    assert action(due(call(direction="outbound"))) is Action.FILTER


@pytest.mark.parametrize("attempted", [{"delivered_version": 2}, {"outcome": "unknown"}])
def test_a_call_that_the_crm_may_have_is_updated_whatever_the_filter(attempted: dict[str, Any]) -> None:
    assert action(due(call(direction="outbound"), **attempted)) is Action.UPSERT


def test_only_fields_that_changed_since_the_delivered_version_are_sent() -> None:
    assert changed_fields(due(call(), delivered_version=2)) == {"status"}


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


# --- the filter itself ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "fields", "matches"),
    [
        ({}, {}, True),
        ({"directions": ["inbound", "outbound"]}, {"direction": "outbound"}, True),
        ({"directions": ["inbound"]}, {"direction": None}, False),
        ({"statuses": ["missed", "voicemail"]}, {"status": Status.MISSED}, True),
        ({"statuses": ["missed"]}, {"status": Status.IN_PROGRESS}, False),
        ({"own_numbers": ["+34910000001"]}, {"internal_number": "+34910000001"}, True),
        ({"own_numbers": ["910 000 001"]}, {"internal_number": "+34910000001"}, True),
        ({"own_numbers": ["910000001"]}, {"internal_number": "+34910000002"}, False),
        ({"own_numbers": ["001"]}, {"internal_number": "+34910000001"}, False),
        ({"own_numbers": ["020 7946 0958"]}, {"internal_number": "+442079460958"}, True),
        ({"own_numbers": ["00 34 910 000 001"]}, {"internal_number": "910000001"}, True),
        ({"own_numbers": ["+34910000001"]}, {"internal_number": "0000000"}, False),
        ({"own_numbers": ["1001"]}, {"internal_number": "1001"}, True),
        ({"own_numbers": ["+34910000001"]}, {"internal_number": None}, False),
        ({"minimum_seconds": 10}, {"duration_seconds": 10}, True),
        ({"minimum_seconds": 10}, {"duration_seconds": 9}, False),
        ({"minimum_seconds": 10}, {"duration_seconds": None, "status": Status.ANSWERED}, False),
        ({"minimum_seconds": 10}, {"duration_seconds": None, "status": Status.COMPLETED}, True),
        (
            {"directions": ["inbound"], "statuses": ["missed"]},
            {"direction": "inbound", "status": Status.COMPLETED},
            False,
        ),
    ],
)
def test_a_filter_matches_a_call_that_meets_all_its_conditions(
    when: dict[str, Any], fields: dict[str, Any], matches: bool
) -> None:
    assert DeliveryFilter.model_validate(when).matches(call(**fields)) is matches
