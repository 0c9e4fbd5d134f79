"""API keys of Supabase: the headers they are sent in, and the database role they belong to."""

import base64
import binascii
from typing import Final

import msgspec

from crm_clients.supabase.sql import ROLE

_JWT_PARTS: Final = 3


def key_headers(key: str) -> dict[str, str]:
    """Send a legacy JWT key in both headers and a newer `sb_…` key only in `apikey` (else PGRST301)."""
    bearer = {"Authorization": f"Bearer {key}"} if key.startswith("eyJ") else {}
    return {"apikey": key, **bearer}


def role_of(key: str) -> str:
    """Return the database role that a key names. The key is not verified."""
    if key.startswith("sb_publishable_"):
        return "anon"
    parts = key.split(".")
    if len(parts) != _JWT_PARTS:
        return ROLE
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=="), type=_Claims)
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError):
        return ROLE
    return claims.role


class _Claims(msgspec.Struct):
    role: str = ROLE
