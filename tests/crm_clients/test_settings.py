from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from crm_clients.settings import DeliveryFilter, DestinationSettings, require_distinct_names
from relay.call import Status
from tests.support.samples import make_call


def settings_of(**values: Any) -> DestinationSettings:
    return DestinationSettings.model_validate({"client": "any", **values})


# --- the filter of calls ------------------------------------------------------------------------


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
    assert (
        DeliveryFilter.model_validate(when).matches(msgspec.structs.replace(make_call(), **fields)) is matches
    )


def test_a_number_without_digits_is_refused() -> None:
    with pytest.raises(ValidationError, match='"office" has no digits'):
        DeliveryFilter.model_validate({"own_numbers": ["office"]})


# --- names and labels ---------------------------------------------------------------------------


def test_the_settings_rename_fields_and_leave_out_those_with_an_empty_name() -> None:
    settings = settings_of(fields={"notes": "remarks", "summary": ""})
    names = settings.remote_names({"notes": "notes", "summary": "summary", "tags": "labels"})
    assert names == {"notes": "remarks", "tags": "labels"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fields": {"note": "x"}}, 'there is no field "note"; did you mean notes?'),
        ({"fields": {"zzz": "x"}}, 'there is no field "zzz"; known here: call_id, '),
        ({"fields": {"notes": "x" * 101}}, "cannot be the name of a field in this CRM"),
        ({"constants": {"": 1}}, "cannot be the name of a field in this CRM"),
    ],
)
def test_an_unknown_field_or_an_invalid_name_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        settings_of(**values)
    assert message in str(refused.value)


def test_calls_are_always_updated_by_default_and_complete_after_a_minute() -> None:
    assert (settings_of().update, settings_of().complete_after_seconds) == ("always", 60)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"update": "once"}, "Input should be 'always', 'complete' or 'never'"),
        ({"complete_after_seconds": -1}, "greater than or equal to 0"),
        ({"update": "never", "on_merge": "mark"}, 'on_merge = "mark" writes a record again'),
    ],
)
def test_an_impossible_rule_of_updates_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        settings_of(**values)
    assert message in str(refused.value)


def test_a_label_of_the_settings_replaces_the_default() -> None:
    settings = settings_of(labels={"missed": "Sin contestar"})
    assert (settings.label(Status.MISSED), settings.label(Status.VOICEMAIL)) == ("Sin contestar", "Perdida")


@pytest.mark.parametrize(
    "url",
    ["crm.example.com/{remote_id}", "javascript:x{remote_id}", "https://crm.example.com", "{remote_id}"],
)
def test_the_page_of_a_record_is_a_url_with_its_id(url: str) -> None:
    with pytest.raises(ValidationError, match="expected a URL with"):
        settings_of(record_url=url)


def test_a_name_that_is_used_twice_is_refused() -> None:
    require_distinct_names(["a", "b"])
    with pytest.raises(ValueError, match='"a" is used twice'):
        require_distinct_names(["a", "b", "a"])
