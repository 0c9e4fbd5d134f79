"""Bodies are read as they were written, whatever they contain."""

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from relay.ledger.compression import compress, compress_many, decompress, decompress_many


@given(st.lists(st.binary(), max_size=20))
def test_bodies_compressed_together_are_read_as_they_were(bodies: list[bytes]) -> None:
    frames = compress_many([b"never all empty", *bodies])
    assert decompress_many(frames) == [b"never all empty", *bodies]


@given(st.binary())
def test_a_single_body_is_read_as_it_was(body: bytes) -> None:
    assert decompress(compress(body)) == body


def test_threads_compress_at_the_same_time() -> None:
    bodies = [bytes([number]) * 500_000 for number in range(64)]
    with ThreadPoolExecutor(4) as threads:
        frames = list(threads.map(compress, bodies))
        assert list(threads.map(decompress, frames)) == bodies


def test_a_body_of_a_webhook_shrinks_to_less_than_three_quarters() -> None:
    body = (
        b'{"event":"call.ended","call_uuid":"44fe27cd-5268-4670-993e-0129aabbccdd","call_id":77,'
        b'"contact":{"id":1,"name":"Ana"},"agent":{"id":1,"name":"Eva"},"talking_time":5,"wait_time":5,'
        b'"started_at":"2026-11-26T10:00:00Z","ended_at":"2026-11-26T10:01:00Z","call_number":"+34911000111"}'
    )
    assert len(compress(body)) < len(body) * 3 / 4
