"""Secrets inside bodies and queries: they may authenticate a request, and they are never stored.

Bodies have them because not every sender can set a header.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import msgspec

REDACTED: Final = b"[secret]"
TOKEN_QUERY_KEY: Final = "token"  # noqa: S105 - a key
"""The key of a token in a query, whatever the secret keys of bodies are."""


class BodySecrets:
    """Removes the values of the secret keys, in any case and at any depth, and the listed tokens anywhere."""

    def __init__(self, keys: Iterable[str], tokens: Iterable[str]) -> None:
        self._keys = frozenset(key.strip().lower() for key in keys)
        self._tokens = sorted((token for token in tokens if token), key=len, reverse=True)
        any_key = b"|".join(re.escape(key.encode()) for key in sorted(self._keys)) or b"(?!)"
        json_value = rb'(?:\\*"[^"]*"?|[^\s",}\]]+)'
        self._json_pair = re.compile(rb"((?:" + any_key + rb')\\*"\s*:\s*)' + json_value, re.IGNORECASE)
        self._form_pair = re.compile(rb"((?:^|[&?])(?:" + any_key + rb")=)[^&\s]*", re.IGNORECASE)
        escaped_tokens = [re.escape(token.encode()) for token in self._tokens]
        # JSON may write any character as \uXXXX, and so hide a key.
        self._suspicious = re.compile(b"|".join([any_key, rb"\\u", *escaped_tokens]), re.IGNORECASE)

    def may_be_in(self, raw: bytes) -> bool:
        """Whether JSON in these bytes may have a secret: a fast check before `remove`."""
        return self._suspicious.search(raw) is not None

    def has_listed_token(self, raw: bytes) -> bool:
        """Whether a listed token is anywhere in these bytes, also under a key that occurs twice."""
        return any(token.encode() in raw for token in self._tokens)

    # --- parsed values --------------------------------------------------------------------------

    def remove(self, value: Any) -> tuple[Any, list[str]]:
        """Return the value without its secrets, and the secrets that may be tokens."""
        removed: list[str] = []
        return self._clean(value, removed), removed

    def _clean(self, value: Any, removed: list[str]) -> Any:
        match value:
            case dict():
                return {
                    self._redact_tokens(key): self._clean(item, removed)
                    for key, item in value.items()
                    if not self._remove_secret(key, item, removed)
                }
            case list():
                return [self._clean(item, removed) for item in value]
            case str():
                return self._clean_text(value, removed)
            case _:
                return value

    def _clean_text(self, text: str, removed: list[str]) -> Any:
        """Clean JSON inside a text, too: some senders quote their payload as a text."""
        if text.lstrip()[:1] in {"{", "["} and self.may_be_in(text.encode("utf-8", "replace")):
            with suppress(msgspec.DecodeError, RecursionError):
                return msgspec.json.encode(self._clean(msgspec.json.decode(text), removed)).decode()
        return self._redact_tokens(text)

    def _redact_tokens(self, text: str) -> str:
        for token in self._tokens:
            text = text.replace(token, REDACTED.decode())
        return text

    def _remove_secret(self, key: str, item: Any, removed: list[str]) -> bool:
        """Note the secret under a secret key; False if the key is not secret."""
        if _last_key(key) not in self._keys:
            return False
        if isinstance(item, str | int):
            removed.append(str(item))
        return True

    # --- queries and bodies that cannot be parsed -----------------------------------------------

    def remove_from_query(self, query: str) -> str:
        pairs = parse_qsl(query, keep_blank_values=True)
        secret_keys = self._keys | {TOKEN_QUERY_KEY}
        clean = [(key, value) for key, value in pairs if _last_key(key) not in secret_keys]
        return query if len(clean) == len(pairs) else urlencode(clean)

    def redact_raw(self, raw: bytes) -> bytes:
        """Redact a body that cannot be parsed: everything that looks like a secret in JSON or a form."""
        raw = self._json_pair.sub(rb'\g<1>"' + REDACTED + rb'"', raw)
        raw = self._form_pair.sub(rb"\g<1>" + REDACTED, raw)
        for token in self._tokens:
            raw = raw.replace(token.encode(), REDACTED)
        return raw


def _last_key(key: str) -> str:
    """The key itself, or the last part of a dotted one: `data.secret` is a secret, too."""
    return re.split(r"[.\[\]]+", key.strip(" ]"))[-1].strip().lower()
