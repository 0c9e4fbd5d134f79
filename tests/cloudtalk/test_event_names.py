"""Which event a body is: body, query, path, settings, in this order."""

from typing import Any

import pytest

from relay.call import Kind
from relay.cloudtalk.event_names import EventNames
from relay.cloudtalk.flatten import flatten
from relay.cloudtalk.request import RawRequest

HOOK = "/cloudtalk/webhook"


@pytest.mark.parametrize(
    ("body", "path", "query", "text", "kind", "in_body"),
    [
        ({"event": "started"}, "/missed", "event=ended", "started", Kind.STARTED, True),
        ({}, "/missed", "x=1&Event=ended", "ended", Kind.ENDED, False),
        ({}, "/missed", "", "missed", Kind.MISSED, False),
        ({}, "/acme/call.ended/", "", "call.ended", Kind.ENDED, False),
        ({}, "/call%2Dended", "", "call-ended", Kind.ENDED, False),
        ({}, "/fin", "", "hangup", Kind.ENDED, False),
        ({}, "/fin/", "event=", "hangup", Kind.ENDED, False),
        ({"event": "null"}, "/missed", "", "missed", Kind.MISSED, False),
        ({"event": "{{event}}"}, "/missed", "", "missed", Kind.MISSED, False),
        ({"event": "teleported"}, "/missed", "", "teleported", None, True),
        ({"event": "webhook", "action": "ended"}, "", "", "ended", Kind.ENDED, True),
        ({"type": "phone"}, "/missed", "", "missed", Kind.MISSED, False),
        ({"event_type": 17}, "/missed", "", "17", None, True),
    ],
)
def test_a_name_is_looked_for_in_order(
    body: dict[str, Any], path: str, query: str, text: str, kind: Kind | None, in_body: bool
) -> None:
    naming = EventNames(HOOK + "/", {HOOK + "/fin": "hangup", HOOK + "/missed": "started"})
    name = naming.name_of(flatten(body).names, RawRequest(b"", path=HOOK + path, query=query), typed=False)
    assert name is not None
    assert (name.text, name.kind, name.in_body) == (text, kind, in_body)


@pytest.mark.parametrize(
    ("paths", "path"),
    [({}, ""), ({}, "/"), ({}, "/acme"), ({}, "/contact-centre"), ({HOOK + "/fin": "ended"}, "/acme")],
)
def test_nobody_may_say_a_name(paths: dict[str, str], path: str) -> None:
    said = flatten({"type": "phone", "event": None}).names
    assert EventNames(HOOK, paths).name_of(said, RawRequest(b"", path=HOOK + path), typed=False) is None


def test_a_type_that_is_a_name_for_sure_is_one_though_not_known() -> None:
    said = flatten({"type": "call.transferred"}).names
    name = EventNames(HOOK, {}).name_of(said, RawRequest(b"", path=HOOK + "/ended"), typed=True)
    assert name is not None
    assert (name.text, name.is_known) == ("call.transferred", False)


def test_the_hook_s_own_path_names_nothing() -> None:
    assert EventNames("/call.ended", {}).name_of([], RawRequest(b"", path="/call.ended"), typed=False) is None
