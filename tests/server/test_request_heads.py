"""Request heads."""

import pytest

from relay.server.request_heads import head_size, pieces, with_host_of_target, without_upgrade


def test_the_size_of_a_head_counts_the_target_and_each_header_line() -> None:
    assert head_size(b"/webhook", [(b"host", b"relay"), (b"a", b"")]) == 8 + 13 + 5


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (b"http://relay.example/webhook?a=b", [(b"a", b"1"), (b"host", b"relay.example")]),
        (b"https://relay.example:8443", [(b"a", b"1"), (b"host", b"relay.example:8443")]),
        (b"*", [(b"host", b"other"), (b"a", b"1"), (b"host", b"another")]),
    ],
)
def test_the_host_of_an_absolute_target_replaces_each_host(
    target: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    sent = [(b"host", b"other"), (b"a", b"1"), (b"host", b"another")]
    assert with_host_of_target(target, sent) == headers


def test_a_head_without_its_upgrade_has_all_its_other_lines() -> None:
    headers = [(b"host", b"relay"), (b"upgrade", b"h2c"), (b"content-length", b"2")]
    head = without_upgrade(b"POST", b"/webhook?a=b", "1.1", headers)
    assert head == b"POST /webhook?a=b HTTP/1.1\r\nhost: relay\r\ncontent-length: 2\r\n\r\n"


def test_pieces_have_at_most_the_size() -> None:
    assert [bytes(piece) for piece in pieces(b"abcde", 2)] == [b"ab", b"cd", b"e"]
