"""A request to the webhook: its head, and the whole of it."""

import gzip

import pytest

from relay.cloudtalk.request import RawRequest, RequestHead


def test_a_request_takes_its_method_its_encoding_and_its_message_id_from_the_head() -> None:
    headers = {"content-type": "text/plain", "content-encoding": "gzip", "webhook-id": "m"}
    head = RequestHead(headers, "a=1", None, "PUT", "/cloudtalk/webhook")
    expected = RawRequest(b"x", "text/plain", "/cloudtalk/webhook", "a=1", "gzip", "m", "PUT")
    assert head.with_body(b"x") == expected


@pytest.mark.parametrize(
    ("encoding", "raw", "expected"),
    [
        ("gzip", b"x", True),
        (" GZIP ", b"x", True),
        ("", gzip.compress(b"x", mtime=0), True),
        ("", b"x", False),
        ("identity", b"x", False),
    ],
)
def test_a_compressed_body_is_declared_or_begins_like_a_gzip_file(
    encoding: str, raw: bytes, expected: bool
) -> None:
    assert RawRequest(raw, encoding=encoding).is_compressed is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/x/flow", True),
        ("/x/flow/", True),
        ("/x/flow/ended", True),
        ("/flow/x/ended", False),
        ("/xflow", False),
    ],
)
def test_only_the_end_of_a_path_makes_a_call_flow(path: str, expected: bool) -> None:
    assert RawRequest(b"", path=path).is_from_call_flow is expected
