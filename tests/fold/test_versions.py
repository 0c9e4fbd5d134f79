"""The versions of a call's row: their numbers, and which fields a CRM receives in each."""

from typing import Any

import pytest

from relay.call import DELIVERED_FIELDS, CallState, Kind
from relay.fold.versions import (
    continued_version,
    first_version,
    merged_version,
    next_version,
    restored_version,
)
from relay.instants import Instant
from relay.ledger.calls import CallRow
from tests.support.samples import T0, join_events, make_event

NUMBERS: dict[str, Any] = {"external_number": "+34600111222", "started_at": T0}


def state_of(**facts: Any) -> CallState:
    """The state of a call with one Started, which arrived at `T0` + 1."""
    return join_events(make_event(**facts), received_at=T0)


ROW = first_version("c", state_of(contact_name="Ana", **NUMBERS), floor=0)


def test_a_first_version_has_number_1_and_no_changed_fields() -> None:
    assert (ROW.id, ROW.version, ROW.began_at, ROW.number) == ("c", 1, T0, "+34600111222")
    assert (ROW.record.id, ROW.record.version, ROW.record.contact_name) == ("c", 1, "Ana")
    assert (ROW.field_versions, ROW.state) == ({}, state_of(contact_name="Ana", **NUMBERS))


def test_a_call_without_a_start_began_with_its_first_event() -> None:
    state = join_events(make_event(Kind.STARTED), make_event(Kind.ENDED), received_at=T0)
    assert first_version("c", state, floor=0).began_at == T0 + 1


@pytest.mark.parametrize(
    ("after", "floor", "version"), [(0, 0, 1), (4, 0, 5), (0, 9, 10), (4, 9, 10), (9, 4, 10)]
)
def test_a_version_is_above_the_last_one_and_the_floor(after: int, floor: int, version: int) -> None:
    state = state_of(contact_name="Luis")
    last = CallRow("c", after, T0, ROW.state, ROW.record, {})
    rows = (
        first_version("c", state, after=after, floor=floor),
        continued_version("c", state, after=after, floor=floor),
        next_version(last, state, floor=floor),
        merged_version(last, "survivor", floor=floor),
        restored_version(last, state, floor=floor),
    )
    assert [(row.version, row.record.version) for row in rows] == [(version, version)] * 5


def test_a_continued_version_has_the_fields_that_its_events_state() -> None:
    row = continued_version("c", state_of(contact_name="Luis", notes=""), after=4, floor=0)
    assert row.field_versions == {"contact_name": 5, "cloudtalk_data": 5, "status": 0, "follow_up": 0}


def test_a_next_version_has_the_fields_that_changed_and_those_that_changed_before() -> None:
    state = state_of(contact_name="Luis", started_at=T0 + 7, external_number="+34600111333")
    second = next_version(ROW, state, floor=0)
    fields = {"contact_name", "started_at", "external_number"}
    assert second.field_versions == dict.fromkeys(fields, 2)
    assert (second.id, second.began_at, second.number) == ("c", T0 + 7, "+34600111333")
    assert (second.state, second.record.contact_name) == (state, "Luis")
    state = state_of(contact_name="Eva", started_at=T0 + 7, external_number="+34600111333")
    third = next_version(second, state, floor=0)
    assert third.field_versions == dict.fromkeys(fields, 2) | {"contact_name": 3}


def test_a_call_that_loses_its_start_keeps_the_time_at_which_it_began() -> None:
    assert next_version(ROW, state_of(contact_name="Luis"), floor=0).began_at == T0


def test_a_state_that_changes_no_field_keeps_version_and_record() -> None:
    state = join_events(make_event(Kind.RINGING, contact_name="Ana", **NUMBERS), received_at=T0)
    row = next_version(ROW, state, floor=9)
    assert row == CallRow("c", 1, T0, state, ROW.record, {}, "+34600111222")
    assert row.state != ROW.state


def test_a_continued_call_has_the_new_status_in_its_record_before_it_counts_as_a_change() -> None:
    row = continued_version("c", state_of(contact_name="Luis"), after=4, floor=0)
    answered = join_events(make_event(contact_name="Luis"), make_event(Kind.ANSWERED), received_at=T0)
    found = next_version(row, answered, floor=0)
    assert (row.record.status, found.record.status) == ("in_progress", "answered")
    assert (found.version, found.record.version, found.field_versions) == (5, 5, row.field_versions)


def test_a_continued_call_that_ends_has_the_outcome_that_it_states() -> None:
    row = continued_version("c", state_of(contact_name="Luis"), after=4, floor=0)
    missed = join_events(make_event(contact_name="Luis"), make_event(Kind.MISSED), received_at=T0)
    versions = {"contact_name": 5, "cloudtalk_data": 5, "status": 6, "legs": 6}
    assert next_version(row, missed, floor=0).field_versions == versions | {"follow_up": 0}
    inbound = join_events(
        make_event(contact_name="Luis", direction="inbound"), make_event(Kind.MISSED), received_at=T0
    )
    versions |= {"direction": 6, "follow_up": 6}
    assert next_version(row, inbound, floor=0).field_versions == versions


def test_a_merged_version_names_its_survivor_and_has_neither_facts_nor_a_number() -> None:
    row = merged_version(ROW, "survivor", floor=0)
    assert (row.id, row.record.merged_into, row.number) == ("c", "survivor", None)
    assert row.state == CallState({}, {Kind.STARTED: Instant(T0 + 1)}, {}, {})
    assert (row.record.contact_name, row.field_versions) == ("Ana", {})


def test_a_restored_version_has_every_field() -> None:
    row = restored_version(merged_version(ROW, "survivor", floor=0), ROW.state, floor=0)
    assert row.field_versions == dict.fromkeys(DELIVERED_FIELDS, 3)
    assert (row.record.merged_into, row.number, row.began_at) == (None, "+34600111222", T0)
