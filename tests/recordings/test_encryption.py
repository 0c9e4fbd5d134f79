"""The encrypted form of archived recordings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.recordings.encryption import WrongKey, last_chunk, new_cipher, open_cipher

SECRET, OTHER = b"key-of-the-archive-0123456789", b"another-key-of-archives-01234"


def test_the_header_names_the_key_and_differs_for_each_object() -> None:
    first, second = new_cipher(SECRET, "a").header, new_cipher(SECRET, "a").header
    assert len(first) == 32
    assert first[:8] == b"CTRELAY1"
    assert first[8:16].hex() == "5559e2b60ad30380"
    assert first[:16] == second[:16]
    assert first[16:] != second[16:]


def test_a_chunk_is_decrypted_with_the_key_of_its_header_only() -> None:
    cipher = new_cipher(SECRET, "a")
    chunk = cipher.encrypt(0, b"audio", is_last=True)
    assert len(chunk) == 21
    assert b"audio" not in chunk
    assert open_cipher([OTHER, SECRET], cipher.header, "a").decrypt(0, chunk, is_last=True) == b"audio"
    with pytest.raises(WrongKey, match=r"not in recordings\.keep_key"):
        open_cipher([OTHER], cipher.header, "a")
    with pytest.raises(WrongKey, match="no encrypted recording"):
        open_cipher([SECRET], b"RIFF" + cipher.header[4:], "a")
    with pytest.raises(WrongKey, match="no encrypted recording"):
        open_cipher([SECRET], cipher.header[:20], "a")


def test_no_chunk_can_be_changed_moved_left_out_or_taken_from_another_object() -> None:
    cipher = new_cipher(SECRET, "a")
    chunk = cipher.encrypt(3, b"audio", is_last=False)
    assert cipher.decrypt(3, chunk, is_last=False) == b"audio"
    renamed = open_cipher([SECRET], cipher.header, "b")
    salted = open_cipher([SECRET], cipher.header[:-1] + bytes([cipher.header[-1] ^ 1]), "a")
    for other, number, last, taken in (
        (cipher, 2, False, chunk),
        (cipher, 3, True, chunk),
        (cipher, 3, False, chunk[:-1] + bytes([chunk[-1] ^ 1])),
        (cipher, 3, False, b""),
        (renamed, 3, False, chunk),
        (salted, 3, False, chunk),
    ):
        with pytest.raises(WrongKey, match="was changed"):
            other.decrypt(number, taken, is_last=last)


@pytest.mark.parametrize(
    ("size", "expected"), [(0, 0), (1, 0), (65_536, 0), (65_537, 1), (131_072, 1), (131_073, 2)]
)
def test_the_last_chunk_has_at_least_one_byte(size: int, expected: int) -> None:
    assert last_chunk(size) == expected


@given(st.binary(max_size=300), st.integers(0, 2**40), st.booleans())
def test_any_chunk_is_decrypted_unchanged(data: bytes, number: int, is_last: bool) -> None:
    cipher = new_cipher(SECRET, "a")
    assert cipher.decrypt(number, cipher.encrypt(number, data, is_last=is_last), is_last=is_last) == data
