"""What is stored of a body that cannot be parsed: its text without secrets, or its size and digest."""

import gzip
import hashlib
import zlib

import pytest

from relay.cloudtalk.body_secrets import BodySecrets
from relay.cloudtalk.request import RawRequest
from relay.cloudtalk.unparsed import clean_unparsed

TOKEN = "kanarie/vogel+7f3a9c0d2e"
SECRETS = BodySecrets(["lhc_key"], [TOKEN])
TEXT = b'{"event":"call.ended","lhc_key":"s3cr3t","note":"kanarie\\/vogel+7f3a9c0d2e ' + b"x" * 40
CLEAN = b'{"event":"call.ended","lhc_key":"[secret]","note":"[secret] ' + b"x" * 40


def clean(raw: bytes, *, content_type: str = "", encoding: str = "", max_bytes: int = 1_000) -> bytes:
    return clean_unparsed(RawRequest(raw, content_type=content_type, encoding=encoding), SECRETS, max_bytes)


def pack(raw: bytes) -> bytes:
    return gzip.compress(raw, mtime=0)  # the same in each process of the test run


def deflate(raw: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(raw) + compressor.flush()


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (TEXT, ""),
        (pack(TEXT), "gzip"),
        (pack(TEXT), ""),
        (zlib.compress(TEXT), "deflate"),
        (deflate(TEXT), "Deflate "),
        (pack(TEXT)[:-9], "gzip"),
        (pack(TEXT) + b"rest", "x-gzip"),
        (TEXT, "gzip"),
        (TEXT.decode().encode("utf-16"), ""),
        (TEXT.decode().encode("utf-16-be"), ""),
        (pack(TEXT.decode().encode("utf-16-le")), "gzip"),
    ],
)
def test_a_text_is_stored_decompressed_and_without_secrets(raw: bytes, encoding: str) -> None:
    assert clean(raw, encoding=encoding) == CLEAN


def test_a_text_in_another_charset_is_stored() -> None:
    assert (
        clean("contraseña: ñandú y más texto".encode("cp1252"))
        == b"contrase\xf1a: \xf1and\xfa y m\xe1s texto"
    )
    assert clean("密码 на русском".encode()) == "密码 на русском".encode()


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (pack(pack(TEXT)), "gzip"),
        (b"PK\x03\x04\x14\0\x08\0" + deflate(TEXT), ""),
        (b"\x28\xb5\x2f\xfd" + deflate(TEXT), "zstd"),
        (zlib.compress(TEXT), ""),
        (b"\x1f\x8bbroken gzip \xff\xfe\x80" + bytes(range(256)), "gzip"),
        (TEXT.decode().encode("cp037"), ""),
        (b"--b\r\nContent-Encoding: gzip\r\n\r\n" + pack(TEXT) + b"\r\n--b--" + b"-" * 2_000, ""),
    ],
)
def test_of_bytes_that_are_no_text_only_size_and_digest_are_stored(raw: bytes, encoding: str) -> None:
    expected = f"[removed: {len(raw)} bytes that are no text; sha256 {hashlib.sha256(raw).hexdigest()}]"
    assert clean(raw, encoding=encoding).decode() == expected


def test_a_few_bytes_hold_no_secret() -> None:
    assert clean(b"\x89PNG\xff\0") == b"\x89PNG\xff\0"
    assert clean(b"\x89\xff" + b"\xfe" * 9) == b"\x89\xff" + b"\xfe" * 9
    assert clean(b"\x89\xff" + b"\xfe" * 10).startswith(b"[removed: 12 bytes that are no text; sha256 ")


@pytest.mark.parametrize(
    ("raw", "is_text"),
    [
        (b"abcdefghi\xf1\xf1\xf1", True),
        (b"abcdefgh\xf1\xf1\xf1\xf1", False),
        (b"a b c d e f g h \xf1", True),
        (b"a\tb\rc\nd e f\xf1\xf1\xf1", True),
        (b"abcdefghijklmno\x01\xf1", False),
        (b"abcdefghijklmno\x7f\xf1", False),
    ],
)
def test_a_text_in_an_undeclared_charset_has_mostly_ascii_and_no_control_characters(
    raw: bytes, *, is_text: bool
) -> None:
    assert (clean(raw) == raw) is is_text


def test_no_more_is_decompressed_than_the_limit() -> None:
    assert clean(pack(b"x" * 10_000_000), max_bytes=100) == b"x" * 100
    assert clean(pack(b"x" * 10_000), max_bytes=1) == b"x"
