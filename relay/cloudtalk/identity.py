"""CloudTalk's ids, told apart by their form, and how the two of one call are found in what is said."""

import base64
import binascii
import re
from typing import Final, NamedTuple
from urllib.parse import unquote

from relay.cloudtalk.values import whole

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_UUID_LENGTH: Final = 36
_RECORDING: Final = re.compile(r"/pub/r/([^/?#]{2,64})", re.IGNORECASE)
_LONGEST_NUMBER: Final = 19
"""Digits of the largest number that 64 bits hold."""


class Identity(NamedTuple):
    """What one event says of whose it is: the two ids, and all that the call may be known by."""

    call_id: str | None
    call_uuid: str | None
    aliases: tuple[str, ...]


def is_uuid(written: str) -> bool:
    """Whether an id has the form of CloudTalk's call_uuid."""
    return len(written) == _UUID_LENGTH and _UUID.fullmatch(written) is not None


def alias_of(written: str) -> str:
    """The id in its namespace: `uuid:` lower-cased, `id:` digits, `other:` what is neither."""
    if is_uuid(written):
        return f"uuid:{written.lower()}"
    number = whole(written)
    return f"id:{number}" if number.isascii() and number.isdigit() else f"other:{written}"


def identify(call_id: str | None, call_uuid: str | None, recording_url: str | None) -> Identity:
    """Whose an event is, by its ids as they were said; a call_id that was said speaks over the one
    that a link to a recording bears.
    """
    if call_id is not None and call_uuid is None and is_uuid(call_id):
        call_id, call_uuid = None, call_id
    if call_id is None and recording_url is not None:
        call_id = recorded_id(recording_url)
    aliases = [] if call_id is None else [alias_of(call_id)]
    if call_uuid is not None:
        # A call_uuid that is none is no call_id either: a number there would name another call.
        known = is_uuid(call_uuid)
        call_uuid = call_uuid.lower() if known else call_uuid
        aliases.insert(0, f"uuid:{call_uuid}" if known else f"other:{call_uuid}")
    return Identity(call_id, call_uuid, tuple(dict.fromkeys(aliases)))


def recorded_id(url: str) -> str | None:
    """The call_id in a public link to a recording: base64 after `/pub/r/`, with or without padding."""
    found = _RECORDING.search(url)
    if found is None:
        return None
    encoded = unquote(found[1]).rstrip("=").translate(_URL_SAFE)
    try:
        decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded.decode("ascii") if decoded.isdigit() and len(decoded) <= _LONGEST_NUMBER else None


_URL_SAFE: Final = str.maketrans("-_", "+/")
