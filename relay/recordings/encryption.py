"""Encryption of archived recordings, in chunks, so that a player can seek: AES-256-GCM.

    object  = header chunk chunk … chunk
    header  = magic (8 bytes, "CTRELAY1") key id (8) salt (16)
    chunk   = ciphertext (65 536 bytes, the last one 0 to 65 536) tag (16)
    key id  = the first 8 bytes of SHA-256("id" + secret)
    key     = HKDF-SHA256(secret, salt, info "cloudtalk-relay recording 1"), 32 bytes: one for each object
    nonce   = number of the chunk from 0 (11 bytes, big-endian), 1 for the last chunk, else 0 (1 byte)
    associated data = header + name of the object

So no chunk can be changed, moved, left out or taken from another object.
"""

import hashlib
import os
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

CHUNK_BYTES: Final = 65_536
TAG_BYTES: Final = 16
HEADER_BYTES: Final = 32

_MAGIC: Final = b"CTRELAY1"
_KEY_ID_BYTES: Final = 8
_SALT_BYTES: Final = 16
_INFO: Final = b"cloudtalk-relay recording 1"


class WrongKey(Exception):
    """The object is not encrypted with a listed key, or it was changed."""


class Cipher:
    """Encrypts and decrypts the chunks of one object."""

    def __init__(self, secret: bytes, header: bytes, name: str) -> None:
        self.header = header
        self._secret = secret
        self._associated = header + name.encode()

    @cached_property
    def _aead(self) -> Any:
        # Imported here: only an archive needs this large library.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

        salt = self.header[-_SALT_BYTES:]
        return AESGCM(HKDF(SHA256(), length=32, salt=salt, info=_INFO).derive(self._secret))

    def encrypt(self, number: int, chunk: bytes, *, is_last: bool) -> bytes:
        """Encrypt the chunk with this number."""
        encrypted: bytes = self._aead.encrypt(_nonce(number, is_last=is_last), chunk, self._associated)
        return encrypted

    def decrypt(self, number: int, chunk: bytes, *, is_last: bool) -> bytes:
        """Decrypt the chunk with this number. Raises `WrongKey`."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415

        try:
            plain: bytes = self._aead.decrypt(_nonce(number, is_last=is_last), chunk, self._associated)
        except InvalidTag:
            raise WrongKey("the archived recording was changed") from None
        return plain


def new_cipher(secret: bytes, name: str) -> Cipher:
    """Return the cipher of a new object."""
    return Cipher(secret, _MAGIC + _key_id(secret) + os.urandom(_SALT_BYTES), name)


def open_cipher(secrets: Sequence[bytes], header: bytes, name: str) -> Cipher:
    """Return the cipher of an object with this header. Raises `WrongKey`."""
    key_id = header[len(_MAGIC) : len(_MAGIC) + _KEY_ID_BYTES]
    found = [secret for secret in secrets if _key_id(secret) == key_id]
    if len(header) != HEADER_BYTES or not header.startswith(_MAGIC):
        raise WrongKey("the archived object is no encrypted recording")
    if not found:
        raise WrongKey("the key that encrypted the recording is not in recordings.keep_key")
    return Cipher(found[0], header, name)


def last_chunk(size: int) -> int:
    """Return the number of the last chunk of a recording with this size."""
    return max(size - 1, 0) // CHUNK_BYTES


def _key_id(secret: bytes) -> bytes:
    return hashlib.sha256(b"id" + secret).digest()[:_KEY_ID_BYTES]


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11) + bytes([is_last])
