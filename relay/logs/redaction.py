"""Redaction: secrets are always removed from log lines, personal data unless the settings allow it.

A value with a known key is masked as a whole. In any other text, patterns find telephone numbers, e-mail
addresses and credentials. Values that no pattern can find must be passed in: secrets to `hide` when the
relay starts, and a contact's name to `mask_text` together with a CRM's error text.
"""

import re
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from json import dumps
from typing import Any, Final

import msgspec

from relay.standards.credentials import is_credential_key
from relay.standards.secret_spellings import REDACTED, SecretFinder

SECRET: Final = REDACTED
PERSON: Final = "***"
EMAIL: Final = "***@***"
LONGEST_TEXT: Final = 8_192
"""Maximum characters of one text. A longer text loses its middle, because errors end with the cause."""

_NUMBER_KEYS: Final = frozenset(
    {"from", "to", "external_number", "internal_number", "number", "phone", "phone_number", "telefono"}
)
_PERSON_KEYS: Final = frozenset(
    {"contact_name", "agent_name", "agent_email", "contact", "agent", "email", "first_name", "last_name"}
    | {"clientenombre", "nombre", "agente", "notes", "notas", "transcript", "summary", "smart_notes"}
)
_SECRET_KEYS: Final = frozenset({"cookie", "secret", "token"})
"""Besides the keys of credentials in any API."""

_READABLE_KEYS: Final = frozenset(
    {"timestamp", "level", "logger", "call", "calls", "call_id", "call_uuid", "event_seq", "quarantine_id"}
    | {"remote_id", "client", "dialect", "kind", "destination", "lease", "owner", "outcome", "url"}
    | {"until", "version", "dropped"}
)
"""Keys of ids, times and the relay's own words. Digits under them are no telephone number unless they are
written like one, with `+`, spaces or brackets: a customer's automation may use the caller's number as the id.
"""

_PERSONAL: Final = re.compile(
    r"(?P<keep>\bcloudtalk-\w[\w-]*"  # the id of a record
    r"|\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"
    r"|\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?\b"
    r"|\b(?:127|10|172|192)(?:\.\d{1,3}){3}\b)"  # private IP; 91.123.45.67 can be a telephone number
    r"|(?P<email>[\w.+%-]{1,64}@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<plus>\+|%2[Bb])?\(?(?P<digits>\d(?:[ \xa0().-]{0,2}\d){6,})"
)
_WRITTEN_NUMBER: Final = re.compile(
    r"(?P<plus>\+|%2[Bb])?(?P<digits>\(?\d(?:[ \xa0().-]{0,2}\d){6,})", re.ASCII
)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_SIGN_OF_NUMBER: Final = re.compile(r"[+ \xa0()]|%2[Bb]")
_CREDENTIAL: Final = re.compile(
    r"(?i)(?P<before>\bauthorization['\"]?\s*[:=,]\s*(?:b?['\"])?(?:(?:bearer|basic)\s+)?"
    r"|\bbearer\s+(?=\S*\d)"
    r"|(?:token|secret|(?:api|lhc)[_-]?key|password|passwd|signature)(?:=|['\"]\s*:\s*['\"]))[^\s'\",&;#]+"
    r"|(?P<login>://[^\s/:@]*:)[^\s/@]+(?=@)"
)
_DIGIT_OR_AT: Final = re.compile(r"\d\D{0,2}\d|@")
_CREDENTIAL_HINT: Final = re.compile(r"=|://|['\"]\s*:|earer|uthoriz")
"""Cheap tests that are made before the expensive patterns: most texts contain nothing to redact. The hint of
a credential is searched in lower case.
"""

_LONGEST_EXTENSION: Final = 4
_DEEPEST_NESTING: Final = 4
_LONGEST_REMEMBERED: Final = 100
_MOST_REMEMBERED: Final = 2_000
"""The log lines of one call repeat its ids, and all lines repeat the relay's own words."""


class Redactor:
    """Redacts the values of log lines. There is one per process: `redactor`."""

    def __init__(self) -> None:
        self._mask_people = True
        self._secrets: frozenset[str] = frozenset()
        self._finder = SecretFinder(())
        self._clear_cache()

    def _clear_cache(self) -> None:
        """Forget the short texts that were redacted, because another setting counts from now on."""
        self._redact_short = lru_cache(_MOST_REMEMBERED)(self._redact_any)

    @property
    def mask_people(self) -> bool:
        """Whether personal data is masked."""
        return self._mask_people

    @mask_people.setter
    def mask_people(self, mask_people: bool) -> None:
        self._mask_people = mask_people
        self._clear_cache()

    def hide(self, *secrets: str) -> None:
        """Remove these secrets, in every spelling, from all later lines."""
        self._secrets |= set(secrets)
        self._finder = SecretFinder(self._secrets)
        self._clear_cache()

    def redact_field(self, key: str, value: Any) -> Any:
        """Return the value of a field as redacted plain data. Never raises."""
        if type(value) is str and len(value) <= _LONGEST_REMEMBERED:
            return self._redact_short(key, value)
        return self._redact_any(key, value)

    def _redact_any(self, key: str, value: Any, depth: int = 0) -> Any:
        if value is None or isinstance(value, (bool, float)):
            return value
        key = key.lower()
        if self.mask_people and key in _PERSON_KEYS:
            return PERSON if value else value
        if self.mask_people and key in _NUMBER_KEYS:
            return self._mask_number(value)
        if isinstance(value, int):
            return value
        if isinstance(value, msgspec.Struct):
            value = msgspec.to_builtins(value, enc_hook=to_text)
        if depth < _DEEPEST_NESTING and isinstance(value, (dict, list, tuple, set, frozenset)):
            return self._redact_nested(key, value, depth + 1)
        return self._redact_value(key, to_text(value))

    def _redact_value(self, key: str, text: str) -> str:
        if key in _SECRET_KEYS or is_credential_key(key):
            return SECRET
        if key not in _READABLE_KEYS:
            return _shorten(self.redact_text(text))
        text = self.remove_secrets(text)
        is_number = self.mask_people and _SIGN_OF_NUMBER.search(text)
        return _WRITTEN_NUMBER.sub(_mask_written_number, text) if is_number else text

    def _redact_nested(self, key: str, value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            return {
                self.redact_text(to_text(inner_key)): self._redact_any(to_text(inner_key), item, depth)
                for inner_key, item in value.items()
            }
        return [self._redact_any(key, item, depth) for item in value]

    def _mask_number(self, value: Any) -> Any:
        """Mask a telephone number. A number with few digits is an extension and identifies nobody."""
        text = to_text(value)
        if len(re.sub(r"\D", "", text)) <= _LONGEST_EXTENSION:
            return value if isinstance(value, int) else self.redact_text(text)
        return _mask_digits("+" if text.startswith("+") else None, text)

    def redact_text(self, text: str, personal: Iterable[str] = ()) -> str:
        """Remove secrets and credentials from a text and mask personal data, if that is configured.

        `personal`: values that no pattern can find, such as a contact's name.
        """
        text = self.remove_credentials(text)
        if not self.mask_people:
            return text
        for pattern in map(_whole_word_pattern, _values_to_mask(personal)):
            text = pattern.sub(PERSON, text)
        return _PERSONAL.sub(_mask_match, text) if _DIGIT_OR_AT.search(text) else text

    def remove_credentials(self, text: str) -> str:
        """Remove secrets, and whatever looks like a credential, from a text."""
        # Secrets first: the pattern of a credential can end in the middle of a secret.
        text = self.remove_secrets(text)
        if _CREDENTIAL_HINT.search(text.lower()):
            text = _CREDENTIAL.sub(rf"\g<before>\g<login>{SECRET}", text)
        return text

    def remove_secrets(self, text: str) -> str:
        """Remove only the secrets that `hide` was called with. It is cheap, and enough for event names."""
        return self._finder.remove_from_text(text)


def _json_encodings(value: str) -> set[str]:
    """Return the value and its JSON encodings: error texts quote the JSON body that was sent."""
    return {value, dumps(value)[1:-1], dumps(value, ensure_ascii=False)[1:-1]}


def _values_to_mask(personal: Iterable[str]) -> list[str]:
    """Return the values and their words, the longest first: a CRM can quote the first name alone.

    Single letters are left out.
    """
    words = {word for value in personal for word in (value.strip(), *re.findall(r"\w{3,}", value))}
    encodings = {encoding for word in words if len(word) > 1 for encoding in _json_encodings(word)}
    return sorted(encodings, key=len, reverse=True)


def _whole_word_pattern(value: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(value)}(?!\w)", re.IGNORECASE)


def _mask_match(found: re.Match[str]) -> str:
    if found["keep"]:
        return found["keep"]
    if found["email"]:
        return EMAIL
    return _mask_digits(found["plus"], found["digits"])


def _mask_written_number(found: re.Match[str]) -> str:
    """Mask digits that are written like a telephone number; an id or a time has none of the signs."""
    if not _SIGN_OF_NUMBER.search(found[0]) or _DATE.match(found["digits"]):
        return found[0]
    return _mask_digits(found["plus"], found["digits"])


def _mask_digits(plus: str | None, written: str) -> str:
    """Return `+34*****678`: enough to distinguish two calls, too little to dial.

    `plus`: how the plus is written. `written`: the digits, with any other characters between them.
    """
    digits = re.sub(r"\D", "", written)
    country = "+" + digits[:2] if plus and len(digits) >= 10 else ""  # noqa: PLR2004 - a full E.164 number
    return f"{country}*****{digits[-3:] if len(digits) >= 7 else ''}"  # noqa: PLR2004 - too short for a part


def _shorten(text: str) -> str:
    half = LONGEST_TEXT // 2
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{text[:half]} [{len(text) - LONGEST_TEXT} more] {text[-half:]}"


def to_text(value: Any) -> str:
    """Return any value as text, not yet redacted. Never raises."""
    try:
        match value:
            case str():
                return str(value)
            case datetime():
                return format_utc(value)
            case bytes():
                return value.decode(errors="backslashreplace")
            case BaseException():
                return "".join(traceback.format_exception_only(value)).strip()
            case _:
                return str(value)
    except Exception:  # noqa: BLE001 - a value of any class must not break its log line
        return f"<{type(value).__name__} that cannot be shown>"


def format_utc(moment: datetime) -> str:
    """Format as ISO 8601 UTC with milliseconds, ending in Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


redactor = Redactor()


def hide(*secrets: str) -> None:
    """Remove these secrets from all later log lines, whatever the settings."""
    redactor.hide(*secrets)


def remove_secrets(text: str) -> str:
    """Remove secrets and credentials from a text that is shown elsewhere, and keep its personal data."""
    return redactor.remove_credentials(text)


def mask_text(text: str, personal: Iterable[str] = ()) -> str:
    """Redact a foreign text, for example the error text of a CRM.

    `personal`: values that no pattern can find, such as the name of the contact that the text is about.
    """
    return redactor.redact_text(text, personal)
