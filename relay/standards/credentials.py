"""The keys under which any API sends credentials: their values are neither stored nor logged."""

import re
from functools import lru_cache
from typing import Final

CREDENTIAL_KEYS: Final = (
    *("authorization", "proxy_authorization", "api_key", "x_api_key", "password", "passwd", "pwd"),
    *("access_token", "refresh_token", "id_token", "auth_token", "bearer_token", "session_token"),
    *("x_webhook_token", "x_auth_token", "client_secret", "webhook_secret", "secret_key", "private_key"),
)

_SIGNS: Final = re.compile(r"[-_\s]+")


def normalize_key(key: str, sign: str = "") -> str:
    """`API-Key`, `api_key` and `apikey` are the same key. `sign` is written between its words."""
    return _SIGNS.sub(sign, key.lower())


_NORMALIZED: Final = frozenset(map(normalize_key, CREDENTIAL_KEYS))


@lru_cache(maxsize=1_000)
def is_credential_key(key: str) -> bool:
    return normalize_key(key) in _NORMALIZED
