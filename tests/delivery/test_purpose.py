"""What is to be done about a mark: filters, retractions and replays."""

from typing import Any

import msgspec
import pytest

from crm_clients.settings import DeliveryFilter
from relay.call import DELIVERED_FIELDS, Call, Status
from relay.delivery.purpose import Action, changed_in, choose_action
from relay.ledger.deliveries import DueDelivery
from tests.support.samples import call_at

INBOUND = DeliveryFilter(directions=("inbound",))


def call(**fields: Any) -> Call:
    return msgspec.structs.replace(call_at(version=3), **fields)


def mark(said: Call, **fields: Any) -> DueDelivery:
    return msgspec.structs.replace(
        DueDelivery(said, {"status": 3, "notes": 1}, 0, 0, None, 0, None, None), **fields
    )


def purpose(due: DueDelivery, when: DeliveryFilter = INBOUND, *, internal: bool = False) -> Action:
    return choose_action(due, when, forward_internal=internal)


def test_what_the_filter_admits_is_brought_whole() -> None:
    due = mark(call(direction="inbound"))
    assert purpose(due) is Action.UPSERT
    assert changed_in(due) == set(DELIVERED_FIELDS)


def test_what_it_does_not_admit_is_not() -> None:
    assert purpose(mark(call(direction="outbound"))) is Action.FILTER


@pytest.mark.parametrize("brought", [{"delivered_version": 2}, {"outcome": "unknown"}])
def test_what_was_brought_once_is_kept_up_to_date_whatever_it_becomes(brought: dict[str, Any]) -> None:
    assert purpose(mark(call(direction="outbound"), **brought)) is Action.UPSERT


def test_only_what_changed_since_is_brought() -> None:
    assert changed_in(mark(call(), delivered_version=2)) == {"status"}


def test_a_replay_of_what_the_crm_has_only_looks() -> None:
    assert purpose(mark(call(), delivered_version=3, outcome="delivered")) is Action.VERIFY


def test_an_internal_call_is_taken_back_where_it_may_be() -> None:
    internal = call(direction="internal")
    assert purpose(mark(internal)) is Action.SKIP
    assert purpose(mark(internal, delivered_version=2)) is Action.RETRACT
    assert purpose(mark(internal, outcome="unknown")) is Action.RETRACT
    assert purpose(mark(internal), DeliveryFilter(), internal=True) is Action.UPSERT
    assert purpose(mark(call(merged_into="cloudtalk-2"), delivered_version=2)) is Action.RETRACT


# --- the filter itself ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "fields", "admitted"),
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
def test_a_filter_admits_what_meets_all_that_it_says(
    when: dict[str, Any], fields: dict[str, Any], admitted: bool
) -> None:
    assert DeliveryFilter.model_validate(when).matches(call(**fields)) is admitted
