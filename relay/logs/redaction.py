"""What may not be read in a log line: secrets never, people unless the settings show them.

Values of known keys are masked by their key, and whatever looks like a telephone number, an e-mail
address or a credential in any other text. What no pattern can know is told: secrets by `hide`, once
at assembly, and a contact's name by whoever quotes a CRM's error about it.
"""

import re
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from json import dumps
from typing import Any, Final
from urllib.parse import quote

import msgspec

SECRET: Final = "[secret]"  # noqa: S105 - what stands in a secret's place
PERSON: Final = "***"
EMAIL: Final = "***@***"
LONGEST: Final = 8_192
"""Characters of one text in a line; its middle is cut, since errors end with the cause."""

_NUMBER_KEYS: Final = frozenset(
    {"from", "to", "external_number", "internal_number", "number", "phone", "phone_number", "telefono"}
)
_PERSON_KEYS: Final = frozenset(
    {"contact_name", "agent_name", "agent_email", "contact", "agent", "email", "first_name", "last_name"}
    | {"clientenombre", "nombre", "agente", "notes", "notas", "transcript", "summary"}
)
_SECRET_KEYS: Final = frozenset(
    {"authorization", "apikey", "api_key", "cookie", "password", "secret", "token", "x-webhook-token"}
)
_READABLE_KEYS: Final = frozenset(
    {"timestamp", "level", "logger", "call", "calls", "call_id", "call_uuid", "event_seq", "quarantine_id"}
    | {
        "dropped",
        "remote_id",
        "client",
        "dialect",
        "kind",
        "destination",
        "lease",
        "owner",
        "outcome",
        "url",
        "until",
    }
    | {"version", "dropped"}
)
"""Ids, times and words of our own: they may look like a telephone number and must stay readable."""

_PERSONAL: Final = re.compile(
    r"(?P<keep>\bcloudtalk-\w[\w-]*"  # a record's id
    r"|\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"
    r"|\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?\b"
    r"|\b(?:127|10|172|192)(?:\.\d{1,3}){3}\b)"  # of our own network: 91.123.45.67 may be a telephone
    r"|(?P<email>[\w.+%-]{1,64}@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<plus>\+|%2[Bb])?\(?(?P<digits>\d(?:[ \xa0().-]{0,2}\d){6,})"
)
_CREDENTIAL: Final = re.compile(
    r"(?i)(?P<before>\bauthorization['\"]?\s*[:=,]\s*(?:b?['\"])?(?:(?:bearer|basic)\s+)?"
    r"|\bbearer\s+(?=\S*\d)"
    r"|\b(?:token|secret|api_?key|password|signature)(?:=|['\"]\s*:\s*['\"]))[^\s'\",&;#]+"
    r"|(?P<login>://[^\s/:@]*:)[^\s/@]+(?=@)"
)
_DIGIT_OR_AT: Final = re.compile(r"\d\D{0,2}\d|@")
_MARKS_OF_CREDENTIALS: Final = re.compile(r"=|://|['\"]\s*:|[Ee]arer|EARER|[Uu]thoriz|UTHORIZ")
"""What is cheap to look for first: most texts have no such thing."""


_SHORT: Final = 4


class Mask:
    """What may not be read in a line. One per process: secrets are learnt at assembly."""

    def __init__(self) -> None:
        self.personal = True
        self._secrets: list[str] = []
        self._short_secrets: list[re.Pattern[str]] = []

    def hide(self, secret: str) -> None:
        """In every spelling, the longest first: a secret may hold another one. A short one counts as a
        word of its own only: else a token `t` would eat every word of the log.
        """
        if len(secret) < _SHORT and secret.isalnum():
            self._short_secrets.append(re.compile(rf"(?<!\w){re.escape(secret)}(?!\w)"))
            return
        spellings = {*self._secrets, *_spellings(secret), quote(secret, safe="")} - {""}
        self._secrets = sorted(spellings, key=len, reverse=True)

    def field(self, key: str, value: Any, depth: int = 0) -> Any:
        """A value as it may stand in a line: plain data, and of its key."""
        if value is None or isinstance(value, (bool, float)):
            return value
        key = key.lower()
        if self.personal and key in _PERSON_KEYS:
            return PERSON if value else value
        if self.personal and key in _NUMBER_KEYS:
            return self._number(value)
        if isinstance(value, int):
            return value
        if isinstance(value, msgspec.Struct):
            value = msgspec.to_builtins(value, enc_hook=text_of)
        if depth < 4 and isinstance(value, (dict, list, tuple, set, frozenset)):  # noqa: PLR2004 - deep enough
            return self._nested(key, value, depth + 1)
        return self._told(key, text_of(value))

    def _told(self, key: str, text: str) -> str:
        if key in _SECRET_KEYS:
            return SECRET
        return self.secrets(text) if key in _READABLE_KEYS else _shortened(self.text(text))

    def _nested(self, key: str, value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            return {self.text(text_of(k)): self.field(text_of(k), v, depth) for k, v in value.items()}
        return [self.field(key, item, depth) for item in value]

    def _number(self, value: Any) -> Any:
        """A version or an extension has few digits and no person behind it."""
        text = text_of(value)
        digits = re.sub(r"\D", "", text)
        if len(digits) <= 4:  # noqa: PLR2004 - as said
            return value if isinstance(value, int) else self.text(text)
        return _masked_number("+" if text.startswith("+") else "", digits)

    def text(self, text: str, personal: Iterable[str] = ()) -> str:
        """Free text without secrets and, unless they are asked for, without people."""
        text = self.secrets(text)  # first: a credential's pattern may end in the midst of a secret
        if _MARKS_OF_CREDENTIALS.search(text):
            text = _CREDENTIAL.sub(rf"\g<before>\g<login>{SECRET}", text)
        if not self.personal:
            return text
        for pattern in map(_pattern_of, _by_length(personal)):
            text = pattern.sub(PERSON, text)
        return _PERSONAL.sub(_masked, text) if _DIGIT_OR_AT.search(text) else text

    def secrets(self, text: str) -> str:
        """A text without the secrets that were told; cheap, and all that our own words need."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, SECRET)
        for pattern in self._short_secrets:
            text = pattern.sub(SECRET, text)
        return text


def _spellings(value: str) -> set[str]:
    """A value, and how JSON spells it: error texts quote the body that was sent."""
    return {value, dumps(value)[1:-1], dumps(value, ensure_ascii=False)[1:-1]}


def _by_length(personal: Iterable[str]) -> list[str]:
    """Whole values and their words: a CRM may quote the first name alone. Single letters are no name."""
    words = {word for value in personal for word in (value.strip(), *re.findall(r"\w{3,}", value))}
    spelt = {spelling for word in words if len(word) > 1 for spelling in _spellings(word)}
    return sorted(spelt, key=len, reverse=True)


def _pattern_of(value: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(value)}(?!\w)", re.IGNORECASE)


def _masked(found: re.Match[str]) -> str:
    if found["keep"]:
        return found["keep"]
    if found["email"]:
        return EMAIL
    return _masked_number("+" if found["plus"] else "", re.sub(r"\D", "", found["digits"]))


def _masked_number(plus: str, digits: str) -> str:
    """`+34*****678`: enough to tell two calls apart, too little to dial."""
    country = plus + digits[:2] if plus and len(digits) >= 10 else ""  # noqa: PLR2004 - an E.164 of some length
    return f"{country}*****{digits[-3:] if len(digits) >= 7 else ''}"  # noqa: PLR2004 - else too much of it


def _shortened(text: str) -> str:
    half = LONGEST // 2
    return text if len(text) <= LONGEST else f"{text[:half]} [{len(text) - LONGEST} more] {text[-half:]}"


def text_of(value: Any) -> str:
    """A value as text, not yet masked. Never raises."""
    try:
        match value:
            case str():
                return str(value)
            case datetime():
                return utc(value)
            case bytes():
                return value.decode(errors="backslashreplace")
            case BaseException():
                return "".join(traceback.format_exception_only(value)).strip()
            case _:
                return str(value)
    except Exception:  # noqa: BLE001 - a log line never breaks what it speaks of
        return f"<{type(value).__name__} that cannot be shown>"


def utc(moment: datetime) -> str:
    """ISO 8601 with milliseconds, ending in Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


mask = Mask()


def hide(secret: str) -> None:
    """Never let this value stand in a line, whatever the settings; called once per token or key."""
    mask.hide(secret)


def mask_text(text: str, personal: Iterable[str] = ()) -> str:
    """A text of others, a CRM's error say, as it may be shown.

    `personal` are values of the record it speaks of that no pattern could know: the contact's name.
    """
    return mask.text(text, personal)
