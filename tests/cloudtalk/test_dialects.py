"""Whose a body is: each dialect declares how it is recognised."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from relay.cloudtalk.dialects import DIALECTS
from relay.cloudtalk.parser import Parser, RawRequest

RELAY = Path(__file__).parents[2] / "relay"
HOOK = "/cloudtalk/webhook"
UUID = "44fe27cd-5268-4670-993e-0129aabbccdd"


def dialect_of(body: Any, path: str = HOOK, message_id: str | None = None) -> str:
    found = Parser(ZoneInfo("Europe/Madrid"), "ES").read(
        RawRequest(msgspec.json.encode(body), path=path, message_id=message_id)
    )
    assert isinstance(found, list)
    return found[0].dialect


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
def test_a_body_is_known_by_its_shape(body: Any, dialect: str) -> None:
    assert dialect_of(body) == dialect


@pytest.mark.parametrize("path", ["/flow", "/flow/", "/flow/call.answered"])
def test_the_url_tells_a_call_flow(path: str) -> None:
    assert dialect_of({"call_uuid": UUID}, HOOK + path) == "flow"


def test_a_message_s_id_tells_a_signed_body() -> None:
    assert dialect_of({"call_uuid": UUID}, message_id="m") == "signed"
    assert dialect_of({"event": "call.ended", "data": {"id": "x"}}, message_id="m") == "mission"


def test_the_relay_knows_a_dialect_by_its_declaration_alone() -> None:
    """So a new dialect needs one declaration and no change of the join or of the matching."""
    names = {f'"{dialect.name}"' for dialect in DIALECTS}
    modules = [module for pattern in ("call.py", "call/*.py", "fold/*.py") for module in RELAY.glob(pattern)]
    assert modules
    for module in modules:
        assert not [name for name in names if name in module.read_text("utf-8")], module
