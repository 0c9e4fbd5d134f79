"""Secrets inside bodies and queries: they open the hook, and are never written down.

Hand-written bodies bear them because not every sender can set a header.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import msgspec

CUT: Final = b"[secret]"
QUERY_KEY: Final = "token"
"""What opens the hook in a query, whatever the keys of bodies are called."""


class BodySecrets:
    """Finds and cuts the values of these keys, in any spelling and at any depth, and the listed tokens
    wherever they stand.
    """

    def __init__(self, keys: Iterable[str], tokens: Iterable[str]) -> None:
        self._keys = frozenset(key.strip().lower() for key in keys)
        self._tokens = sorted((token for token in tokens if token), key=len, reverse=True)
        named = b"|".join(re.escape(key.encode()) for key in sorted(self._keys)) or b"(?!)"
        value = rb'(?:\\*"[^"]*"?|[^\s",}\]]+)'
        self._quoted = re.compile(rb"((?:" + named + rb')\\*"\s*:\s*)' + value, re.IGNORECASE)
        self._assigned = re.compile(rb"((?:^|[&?])(?:" + named + rb")=)[^&\s]*", re.IGNORECASE)
        self._suspicious = re.compile(
            b"|".join([named, rb"\\u", *(re.escape(token.encode()) for token in self._tokens)]), re.IGNORECASE
        )

    def may_hold(self, raw: bytes) -> bool:
        """Whether a closer look is worth it. JSON may spell any letter by its number."""
        return self._suspicious.search(raw) is not None

    def holds_token(self, raw: bytes) -> bool:
        """Whether a listed token stands in these bytes, if only under a key that another one hides."""
        return any(token.encode() in raw for token in self._tokens)

    def cut(self, value: Any) -> tuple[Any, list[str]]:
        """The value without its secrets, and those that could open the hook."""
        found: list[str] = []
        return self._cut(value, found), found

    def _cut(self, value: Any, found: list[str]) -> Any:
        match value:
            case dict():
                return {
                    self._text(key): self._cut(item, found)
                    for key, item in value.items()
                    if not self._take(key, item, found)
                }
            case list():
                return [self._cut(item, found) for item in value]
            case str():
                return self._cut_text(value, found)
            case _:
                return value

    def _cut_text(self, text: str, found: list[str]) -> Any:
        """JSON in a text is looked into, since some senders quote their payload once more."""
        if text.lstrip()[:1] in {"{", "["} and self.may_hold(text.encode("utf-8", "replace")):
            with suppress(msgspec.DecodeError, RecursionError):
                return msgspec.json.encode(self._cut(msgspec.json.decode(text), found)).decode()
        return self._text(text)

    def _text(self, text: str) -> str:
        for token in self._tokens:
            text = text.replace(token, CUT.decode())
        return text

    def _take(self, key: str, item: Any, found: list[str]) -> bool:
        if self._last_part(key) not in self._keys:
            return False
        if isinstance(item, str | int):
            found.append(str(item))
        return True

    @staticmethod
    def _last_part(key: str) -> str:
        """`data.secret` is a secret too."""
        return re.split(r"[.\[\]]+", key.strip(" ]"))[-1].strip().lower()

    def cut_query(self, query: str) -> str:
        """The query as it may be kept."""
        pairs = parse_qsl(query, keep_blank_values=True)
        cut = self._keys | {QUERY_KEY}
        kept = [(key, value) for key, value in pairs if self._last_part(key) not in cut]
        return query if len(kept) == len(pairs) else urlencode(kept)

    def cut_raw(self, raw: bytes) -> bytes:
        """A body that cannot be read, as it may be kept: by the look of it."""
        raw = self._quoted.sub(rb'\g<1>"' + CUT + rb'"', raw)
        raw = self._assigned.sub(rb"\g<1>" + CUT, raw)
        for token in self._tokens:
            raw = raw.replace(token.encode(), CUT)
        return raw
