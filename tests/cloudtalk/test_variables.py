"""Variables of a template that a person typed."""

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.parser import Parser
from relay.cloudtalk.request import RawRequest
from relay.cloudtalk.variables import explain_variables, find_variables

PATH = "/cloudtalk/webhook"


@pytest.mark.parametrize(
    ("body", "path", "named"),
    [
        ({"call_uuid": "{{call_uuid}}"}, "/call.ended", ["{{call_uuid}}"]),
        ({"call_uuid": "{{ Call UUID }}", "talking_time": "{{tt}}"}, "", ["{{ Call UUID }}", "{{tt}}"]),
        ({"json": {"call_id": " {{call_id}}\n"}}, "/recording.uploaded", ["{{call_id}}"]),
        ({"event": "{{event}}", "contacts[0].name": "{{contacts[0].name}}"}, "", ["{{contacts[0].name}}"]),
        ({"data": {"id": "{{id}}"}, "event": "call.started"}, "", ["{{id}}"]),
        ({"call.uuid": "{{call.uuid}}"}, "/flow", ["{{call.uuid}}"]),
        ({"my_key": "{{tags}}"}, "", ["{{tags}}"]),
    ],
)
def test_a_body_without_an_id_is_refused_with_the_names_of_its_variables(
    body: dict[str, Any], path: str, named: list[str]
) -> None:
    parser = Parser(ZoneInfo("Europe/Madrid"), "ES")
    with pytest.raises(InvalidPayload) as caught:
        parser.parse(RawRequest(msgspec.json.encode(body), path=PATH + path))
    assert (caught.value.status, caught.value.reason) == (422, "missing_id")
    assert all(name in caught.value.message for name in named)
    assert "typed; choose it from the picker" in caught.value.message


def test_only_unrendered_variables_are_found_each_once() -> None:
    assert find_variables(["{{a}}", " {{a}} ", "a", "{{b}} c", None, 5, [], {}, "{{b}}"]) == [
        "{{a}}",
        "{{b}}",
    ]


def test_many_and_long_variables_are_shortened() -> None:
    message = explain_variables(["{{" + "x" * 500 + "}}"] + [f"{{{{{number}}}}}" for number in range(9)])
    assert len(message) < 300
    assert "and 5 more" in message
    assert explain_variables([]) == ""
