"""Which senders hear of a refusal."""

from zoneinfo import ZoneInfo

import pytest

from relay.cloudtalk.errors import InvalidPayload
from relay.cloudtalk.parser import Parser
from relay.cloudtalk.request import RawRequest
from relay.ingest.refusals import should_refuse

PATH = "/cloudtalk/webhook"


@pytest.mark.parametrize(
    ("raw", "message_id", "path", "acknowledged"),
    [
        (b'{"event":"call.ended"}', None, PATH, False),
        (b'{"event":"call.ended"}', "m", PATH, True),
        (b'{"event":"call.ended"}', None, PATH + "/flow", True),
        (b'{"event":"call.ended","call.uuid":null}', None, PATH, True),
        (b'{"event_id":"e","type":"call.ended","data":{}}', None, PATH, True),
        (b'{"event":"call.ended","data":{"id":null}}', None, PATH, False),
        (b'{"event":"call.ended","data":{"id":null}}', "m", PATH, True),
        (b"42", None, PATH, False),
        (b"42", "m", PATH, True),
        (b"{", None, PATH, False),
        (b"{", "m", PATH, True),
        (b"{", None, PATH + "/flow", True),
        (b"{", None, PATH + "/flow/call.ended", True),
    ],
)
def test_signed_messages_and_call_flows_get_no_refusal(
    raw: bytes, message_id: str | None, path: str, *, acknowledged: bool
) -> None:
    request = RawRequest(raw, path=path, message_id=message_id)
    with pytest.raises(InvalidPayload) as caught:
        Parser(ZoneInfo("Europe/Madrid"), "ES").parse(request)
    assert should_refuse(request, caught.value) is not acknowledged
