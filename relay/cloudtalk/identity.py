"""CloudTalk's ids: their namespaces by form, and the two ids of one call."""

import base64
import re
from typing import Final, NamedTuple
from urllib.parse import unquote

from relay.call import API_RECORDINGS, needs_api_key
from relay.cloudtalk.values import restore_digits

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_UUID_LENGTH: Final = 36
_RECORDING_PATH: Final = re.compile(r"/pub/r/([^/?#]{2,64})", re.IGNORECASE)
_MAX_DIGITS: Final = 19
"""The largest number of 64 bits has so many digits."""


class Identity(NamedTuple):
    """The ids of one event. `aliases` are all ids of its call with their namespaces."""

    call_id: str | None
    call_uuid: str | None
    aliases: tuple[str, ...]


def is_uuid(id_: str) -> bool:
    """Whether an id has the form of CloudTalk's call_uuid."""
    return len(id_) == _UUID_LENGTH and _UUID.fullmatch(id_) is not None


def alias_of_id(id_: str) -> str:
    """Return the id with its namespace: `uuid:` in lower case, `id:` for digits, `other:` for other text."""
    if is_uuid(id_):
        return f"uuid:{id_.lower()}"
    digits = restore_digits(id_)
    return f"id:{digits}" if digits.isascii() and digits.isdigit() else f"other:{id_}"


def build_identity(call_id: str | None, call_uuid: str | None, recording_url: str | None) -> Identity:
    """Combine the ids of an event as they were sent.

    A uuid in the place of the call_id counts as the call_uuid. Without a call_id, the one in a recording's
    link counts.
    """
    if call_id is not None and call_uuid is None and is_uuid(call_id):
        call_id, call_uuid = None, call_id
    if call_id is None and recording_url is not None:
        call_id = parse_recording_call_id(recording_url)
    aliases = [] if call_id is None else [alias_of_id(call_id)]
    if call_uuid is not None:
        # A call_uuid of another form is not taken for a call_id: a number would name another call.
        is_valid = is_uuid(call_uuid)
        call_uuid = call_uuid.lower() if is_valid else call_uuid
        aliases.insert(0, f"uuid:{call_uuid}" if is_valid else f"other:{call_uuid}")
    return Identity(call_id, call_uuid, tuple(dict.fromkeys(aliases)))


def parse_recording_call_id(url: str) -> str | None:
    """Return the call_id in a link to a recording: base64 after `/pub/r/`, with or without padding, or the
    name of the file in CloudTalk's API.
    """
    if needs_api_key(url):
        name = url.removeprefix(API_RECORDINGS).removesuffix(".json")
        return name if name.isascii() and name.isdigit() and len(name) <= _MAX_DIGITS else None
    match = _RECORDING_PATH.search(url)
    if match is None:
        return None
    encoded = unquote(match[1]).rstrip("=")
    try:
        decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        return None
    return decoded.decode("ascii") if decoded.isdigit() and len(decoded) <= _MAX_DIGITS else None
