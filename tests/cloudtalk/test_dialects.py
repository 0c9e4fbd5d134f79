"""Which dialect a body has."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from relay.cloudtalk.dialects import DIALECTS
from relay.cloudtalk.parser import Parser
from relay.cloudtalk.request import RawRequest

RELAY = Path(__file__).parents[2] / "relay"
PATH = "/cloudtalk/webhook"
UUID = "44fe27cd-5268-4670-993e-0129aabbccdd"


def dialect_of(body: Any, path: str = PATH, message_id: str | None = None) -> str:
    events = Parser(ZoneInfo("Europe/Madrid"), "ES").parse(
        RawRequest(msgspec.json.encode(body), path=path, message_id=message_id)
    )
    assert isinstance(events, list)
    return events[0].dialect


@pytest.mark.parametrize(
    ("body", "dialect"),
    [
        ({"event": "call.ended", "data": {"id": "x"}}, "mission"),
        ({"event": "call.ended", "data": {"id": "x", "call_uuid": UUID}}, "mission"),
        ({"event": "call.ended", "data": {"call_uuid": UUID}}, "workflow"),
        ({"event": "CALL_ENDED", "data": {"id": "x"}}, "workflow"),
        ({"event": "call.ended", "id": "x"}, "workflow"),
        ({"type": "call.ended", "event_id": "e", "data": {"call_uuid": UUID}}, "signed"),
        ({"type": "call.ended", "occurred_at": None, "data": {"call_uuid": UUID}}, "signed"),
        ({"type": "call.ended", "company_id": 1, "data": {"call_uuid": UUID}}, "signed"),
        ({"type": "call.ended", "data": {"call_uuid": UUID}}, "workflow"),
        ({"call.uuid": UUID}, "flow"),
        ({"contact.id": 5, "call_uuid": UUID}, "flow"),
        ({"uuid": UUID}, "flow"),
        ({"call": {"uuid": UUID}}, "flow"),
        ({"call": {"call_uuid": UUID}}, "workflow"),
        ({"uuid": "x", "call_uuid": UUID}, "workflow"),
        ({"call_uuid": UUID}, "workflow"),
    ],
)
def test_a_dialect_is_recognised_by_the_body(body: Any, dialect: str) -> None:
    assert dialect_of(body) == dialect


@pytest.mark.parametrize("path", ["/flow", "/flow/", "/flow/call.answered"])
def test_a_call_flow_is_recognised_by_the_url(path: str) -> None:
    assert dialect_of({"call_uuid": UUID}, PATH + path) == "flow"


def test_a_signed_body_is_recognised_by_its_message_id() -> None:
    assert dialect_of({"call_uuid": UUID}, message_id="m") == "signed"
    assert dialect_of({"event": "call.ended", "data": {"id": "x"}}, message_id="m") == "mission"


def test_the_join_and_the_fold_know_no_dialect_by_name() -> None:
    """A new dialect needs one declaration and no change elsewhere."""
    names = {f'"{dialect.name}"' for dialect in DIALECTS}
    modules = [module for pattern in ("call.py", "call/*.py", "fold/*.py") for module in RELAY.glob(pattern)]
    assert modules
    for module in modules:
        assert not [name for name in names if name in module.read_text("utf-8")], module
