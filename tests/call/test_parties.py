"""The two numbers of a call, by its direction."""

from typing import Any

import pytest

from relay.call import external_number, internal_number
from tests.support.samples import make_event

FROM_TO: dict[str, Any] = {"from": "+1", "to": "+2"}
STATED: dict[str, Any] = {"external_number": "+3", "internal_number": "+4"}
NOTHING: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("facts", "external", "internal"),
    [
        (FROM_TO | {"direction": "inbound"}, "+1", "+2"),
        (FROM_TO | {"direction": "outbound"}, "+2", "+1"),
        (FROM_TO | {"direction": "internal"}, None, None),
        (FROM_TO, None, None),
        (STATED, "+3", "+4"),
        (STATED | FROM_TO | {"direction": "inbound"}, "+3", "+4"),
        (STATED | FROM_TO | {"direction": "outbound"}, "+3", "+4"),
        ({"from": "+1", "direction": "inbound"}, "+1", None),
        ({"from": "+1", "direction": "outbound"}, None, "+1"),
        ({"external_number": "+3", "to": "+2", "direction": "inbound"}, "+3", "+2"),
        (NOTHING, None, None),
    ],
)
def test_a_number_is_as_stated_or_that_of_the_party_in_the_direction(
    facts: dict[str, Any], external: str | None, internal: str | None
) -> None:
    event = make_event(**facts)
    assert (external_number(event), internal_number(event)) == (external, internal)
