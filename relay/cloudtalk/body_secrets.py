"""Secrets inside requests: they may authenticate a request, and they are never stored.

Bodies have them because not every sender can set a header. A secret is recognised by the key under which it
is sent, or because it is one of the settings' secrets, in whatever spelling.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote_plus, unquote_plus

import msgspec

from relay.standards.credentials import CREDENTIAL_KEYS, normalize_key
from relay.standards.secret_spellings import REDACTED, SecretFinder

TOKEN_QUERY_KEY: Final = "token"  # noqa: S105 - a key
"""The key of a token in a query, whatever the secret keys of bodies are."""

_SEPARATOR: Final = re.compile("([&;])")
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*[^;]*", re.IGNORECASE)
_START_OF_JSON: Final = re.compile(r"\s*+[\[{]\s*+[\[{\"]")
_ESCAPED_LETTER: Final = re.compile(
    rb"(?:(?<!\\)\\+u00|%)(2[dD]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aA])"
)
"""An escaped ASCII letter, digit, "-" or "_", in JSON or a form.

A match begins at the first of several backslashes: a search from each of them would take quadratic time.
"""

_CACHED: Final = 256
"""Requests have few different paths, queries and types."""

_VALUE: Final = (
    rb"(?:(?:(?:bearer|basic|digest)\s+)?"
    rb'(?:"(?:\\.|[^"\\])*"?|\'(?:\\.|[^\'\\])*\'?|\\++"(?:[^"\\]|\\++[^"\\])*(?:\\++")?'
    rb"|[\[{][^\]}]*[\]}]?|[^\s&;,\"'<>\]}\\]+))"
)
"""A value in JSON, also in a JSON text inside another one, in a form, a header, or an attribute."""


class BodySecrets:
    """Removes the values of secret keys, in any case and at any depth, and the listed secrets anywhere."""

    def __init__(self, keys: Iterable[str], secrets: Iterable[str]) -> None:
        listed = list(secrets)
        self._listed = frozenset(listed)
        names = [name for key in keys if (name := key.strip())]
        self._keys = frozenset(map(normalize_key, names))
        self._removed_keys = self._keys | frozenset(map(normalize_key, CREDENTIAL_KEYS))
        words = {word for key in (*names, *CREDENTIAL_KEYS) for word in _spell_key(key)}
        self._finder = SecretFinder(listed, words)
        any_key = "|".join(map(re.escape, words)).encode()
        initials = "".join({word[0] for word in words})
        # The initials are a fast check: the expression tries each key at each place where a word may begin.
        named = rb"(?<![a-z0-9])(?=[" + re.escape(initials).encode() + rb"])(?:" + any_key + rb")"
        self._pair = re.compile(
            rb"(" + named + rb"(?:\\*[\"'])?\s{0,9}\]?\s{0,9}(?:=>|[:=]|%3[ad])\s{0,9})" + _VALUE,
            re.IGNORECASE,
        )
        self._element = re.compile(
            rb"(<(?:\w{1,30}:)?(?:" + any_key + rb")\b[^>]{0,200}>)[^<]*", re.IGNORECASE
        )
        self._part = re.compile(
            rb"(\bname=\"?(?:"
            + any_key
            + rb")\"?[^\n]{0,200}\r?\n(?:[^\r\n]{1,200}\r?\n){0,9}\r?\n)[^\r\n]*",
            re.IGNORECASE,
        )
        self._after_semicolon = re.compile(r"(;\s*+(?:" + any_key.decode() + r")=)[^;&\s]*", re.IGNORECASE)
        self.clean_query = lru_cache(_CACHED)(self._clean_query)
        self.clean_path = lru_cache(_CACHED)(self._clean_path)
        self.clean_content_type = lru_cache(_CACHED)(self._clean_content_type)

    def may_be_in(self, raw: bytes) -> bool:
        """Whether JSON in these bytes may have a secret: a fast check before `remove`."""
        return self._finder.may_be_in(raw)

    def has_listed_secret(self, raw: bytes) -> bool:
        """Whether a listed secret is anywhere in these bytes, also under a key that occurs twice."""
        return self._finder.remove(raw) is not raw

    def clean_text(self, text: str) -> str:
        """Remove the listed secrets from a text, such as an error message that quotes the request."""
        return self._finder.remove_from_text(text)

    # --- parsed values --------------------------------------------------------------------------

    def remove(self, value: Any) -> tuple[Any, list[str]]:
        """Return the value without its secrets, and the secrets that may be tokens."""
        removed: list[str] = []
        return self._clean(value, removed), removed

    def _clean(self, value: Any, removed: list[str]) -> Any:
        match value:
            case str():
                return self._clean_value(value, removed)
            case dict():
                hidden = "value" if self._names_secret(value) else None
                return {
                    self.clean_text(key): self._clean(item, removed)
                    for key, item in value.items()
                    if key != hidden and not self._remove_secret(key, item, removed)
                }
            case list():
                return [self._clean(item, removed) for item in value]
            case int() if str(value) in self._listed:
                return REDACTED
            case _:
                return value

    def _clean_value(self, text: str, removed: list[str]) -> str:
        """Clean JSON inside a text, too: some senders quote their payload as a text."""
        if text.lstrip()[:1] in {"{", "["} and self.may_be_in(text.encode("utf-8", "replace")):
            try:
                return msgspec.json.encode(self._clean(msgspec.json.decode(text), removed)).decode()
            except (msgspec.DecodeError, RecursionError):
                text = self._clean_broken_json(text)
        if ";" in text:  # the parser of forms separates fields by "&" alone
            text = self._after_semicolon.sub(rf"\1{REDACTED}", text)
        return self.clean_text(text)

    def _clean_broken_json(self, text: str) -> str:
        """Clean JSON that cannot be decoded, such as a text that was cut off; a note of a person stays."""
        if not _START_OF_JSON.match(text):
            return text
        return self._redact_pairs(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def _names_secret(self, value: dict[str, Any]) -> bool:
        """Whether an object is the name of a secret and its value, as in lists of headers."""
        name = value.get("name", value.get("key"))
        return isinstance(name, str) and _last_key(name) in self._removed_keys

    def _remove_secret(self, key: str, item: Any, removed: list[str]) -> bool:
        """Note the secret under a secret key; False if the key is not secret."""
        last = _last_key(key)
        if last in self._keys and isinstance(item, str | int):
            removed.append(str(item))
        return last in self._removed_keys

    # --- heads ----------------------------------------------------------------------------------

    def _clean_query(self, query: str) -> str:
        """Remove secret keys with their values, whether `&` or `;` separates the pairs."""
        pieces = _SEPARATOR.split(query)
        pairs = zip(["", *pieces[1::2]], pieces[::2], strict=True)
        kept = [
            separator + clean for separator, pair in pairs if (clean := self._clean_pair(pair)) is not None
        ]
        return self.clean_text("".join(kept).lstrip("&;"))

    def _clean_pair(self, pair: str) -> str | None:
        """Clean JSON in a value; None for a secret key."""
        name, equals, value = pair.partition("=")
        key = _last_key(unquote_plus(name))
        if key == TOKEN_QUERY_KEY or key in self._removed_keys:
            return None
        text = unquote_plus(value)
        clean = self._clean_value(text, []) if text.lstrip()[:1] in {"{", "["} else text
        return pair if clean == text else name + equals + quote_plus(clean)

    def _clean_path(self, path: str) -> str:
        """Remove listed secrets, and values after a secret key in a segment: `/token=…`, `/x;token=…`."""
        segments = self.clean_text(path).encode("utf-8", "surrogatepass").split(b"/")
        return b"/".join(map(self._redact_pairs, segments)).decode("utf-8", "surrogatepass")

    def _clean_content_type(self, content_type: str) -> str:
        """Return the type and its charset; no other parameter is needed to parse the body again."""
        media_type, charset = content_type.partition(";")[0], _CHARSET.search(content_type)
        return self.clean_text(media_type + (charset[0] if charset else ""))

    # --- bodies that cannot be parsed -----------------------------------------------------------

    def redact_raw(self, raw: bytes) -> bytes:
        """Redact a text that cannot be parsed: everything that looks like a secret in JSON, XML or a form.

        Often the end of such a text is missing, and so a part of the last secret.
        """
        return self._finder.remove_from_start(self._redact_pairs(raw) if self.may_be_in(raw) else raw)

    def _redact_pairs(self, raw: bytes) -> bytes:
        raw = _ESCAPED_LETTER.sub(_unescape_letter, raw)  # a key may be written in escapes
        for pattern in (self._part, self._element):
            raw = pattern.sub(rb"\g<1>" + REDACTED.encode(), raw)
        return self._finder.remove(self._pair.sub(_redact_pair, raw))


def _redact_pair(pair: re.Match[bytes]) -> bytes:
    """Keep the quotes of JSON, so that the text around the secret stays readable."""
    name = pair[1].rstrip()
    value = pair[0][len(pair[1]) :]
    is_json = name.endswith(b":") and b'"' in name
    quote = value[:1] if value[:1] in {b'"', b"'"} else b'"' * is_json
    return pair[1] + quote + REDACTED.encode() + quote


def _unescape_letter(escape: re.Match[bytes]) -> bytes:
    return bytes([int(escape[1], 16)])


def _spell_key(key: str) -> set[str]:
    return {normalize_key(key, sign) for sign in ("_", "-", " ", "")}


def _last_key(key: str) -> str:
    """The key itself, or the last part of a dotted one: `data.secret` and `secret[]` are secrets, too."""
    return normalize_key(re.split(r"[.\[\]]+", key.strip(" .[]"))[-1])
