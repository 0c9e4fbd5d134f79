"""What CloudTalk writes in a field, and what it means. Pure functions, one per kind of value.

Each returns None where the field says nothing, and raises `InvalidValue` where it says something that
no reading fits. Source of the quirks: real deliveries and CloudTalk's own API. Times and durations are
parsed in `times`.
"""

import html
import re
from collections.abc import Iterator
from typing import Any, Final

from relay.standards.phones import normalize_phone

LONGEST_ID: Final = 200

_NOTHING: Final = frozenset(
    {"", "null", "undefined", "none", "nan", "[object object]", "0000-00-00 00:00:00", "0000-00-00"}
)
_LONGEST_NOTHING: Final = max(map(len, _NOTHING))
_ENTITY: Final = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_FLOAT: Final = re.compile(r"\d+\.\d*(?:e\+?\d{1,2})?", re.ASCII | re.IGNORECASE)
_EXACT: Final = 2**53
"""Up to here a float still tells one id from the next."""

_WITHHELD: Final = frozenset(
    {"anonymous", "withheld", "unknown", "private", "restricted", "unavailable", "blocked"}
)
_LONGEST_PHONE: Final = 64
"""Characters; a longer text is no phone number."""

_WEB: Final = ("https://", "http://")
_ITEM_KEYS: Final = ("name", "label", "note", "text", "content", "title")


class InvalidValue(ValueError):
    """The value is there and has no meaning that is known; says what was expected."""


class UnrenderedTemplate(InvalidValue):
    """The sender's template left a variable as it stands: as good as missing."""

    def __init__(self) -> None:
        super().__init__("an unrendered {{ … }} variable")


class TooLong(InvalidValue):
    """An id that no column holds."""

    def __init__(self) -> None:
        super().__init__(f"expected an id of at most {LONGEST_ID} characters")


def is_nothing(value: Any) -> bool:
    """Whether this value stands for a missing one, unreadable or not."""
    if isinstance(value, str):
        return len(value) < _LONGEST_NOTHING * 2 and value.strip().lower() in _NOTHING
    return value is None


def text(value: Any) -> str | None:
    """Text, trimmed. Numbers are text too: a hand-written body quotes what it likes."""
    if isinstance(value, str):
        return _said(value.strip())
    match value:
        case None:
            return None
        case bool() | dict() | list():
            raise InvalidValue("expected text")
        case float():
            return _whole(value)
        case _:
            return str(value)


def _said(trimmed: str) -> str | None:
    if len(trimmed) <= _LONGEST_NOTHING and trimmed.lower() in _NOTHING:
        return None
    if trimmed[:2] == "{{" and trimmed.endswith("}}"):
        raise UnrenderedTemplate
    return trimmed


def _whole(value: float) -> str:
    """`123.0` and `1.002402487e9` are what a spreadsheet makes of an id."""
    return str(int(value)) if value.is_integer() else str(value)


def ident(value: Any) -> str | None:
    """An id, verbatim but for surrounding space; never longer than 200 characters."""
    found = text(value)
    if found is not None and len(found) > LONGEST_ID:
        raise TooLong
    return found


def digits(value: Any) -> str | None:
    """An id that is a number, whatever became of it on its way: `"1.002402487e9"`, `"123.0"`."""
    found = ident(value)
    return found if found is None else whole(found)


def whole(written: str) -> str:
    """A number that was made a float, as the digits that it was; anything else as it is."""
    if "." not in written or not _FLOAT.fullmatch(written):
        return written
    number = float(written)
    return _whole(number) if number < _EXACT and number.is_integer() else written


def prose(value: Any) -> str | None:
    """Text for people: `&amp;` is what an escaping template made of `&`."""
    found = text(value)
    return found if found is None or "&" not in found else _ENTITY.sub(_character, found)


def _character(entity: re.Match[str]) -> str:
    return html.unescape(entity[0])


def phone(value: Any, region: str) -> str | None:
    """A phone number in E.164 if it is valid, else as it was written; None if it is withheld.

    An object has it under `number_e164` or `number`.
    """
    if isinstance(value, dict):
        if value and not {"number_e164", "number"} & value.keys():
            raise InvalidValue("expected a telephone number")
        value = value.get("number_e164") or value.get("number")
    written = text(value)
    if written is None or written.lower() in _WITHHELD:
        return None
    if len(written) > _LONGEST_PHONE:
        return written
    if written[:4].lower() == "tel:":
        written = written[4:].strip()
    return normalize_phone(written, region) if written else None


def web_address(value: Any) -> str | None:
    """A link that a person may follow. A yes or no in its place says nothing."""
    found = None if isinstance(value, bool) else text(value)
    if found is not None and not found.lower().startswith(_WEB):
        raise InvalidValue("expected a web address")
    return found


def listed(value: Any) -> list[str] | None:
    """The items of a list of texts or of `{name}`, or of text with commas; each once, in their order."""
    items = _items(value) if isinstance(value, list) else (prose(value) or "").split(",")
    found = dict.fromkeys(item.strip() for item in items if not is_nothing(item))
    return list(found) or None


def lines(value: Any) -> str | None:
    """Text, or a list of texts or of `{note}` or `{text}`, a line each."""
    if not isinstance(value, list | dict):
        return prose(value)
    return "\n".join(_items(value if isinstance(value, list) else [value])) or None


def _items(values: list[Any]) -> Iterator[str]:
    for item in values:
        inner = next((item[key] for key in _ITEM_KEYS if key in item), None) if _is_object(item) else item
        found = prose(inner)
        if found is not None:
            yield found


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def truth(value: Any) -> bool | None:
    """True where it is said, in any of the usual ways; None for no, which is also what null means."""
    if isinstance(value, bool):
        return value or None
    written = _word(value)
    if written not in {None, "true", "1", "yes", "false", "0", "no"}:
        raise InvalidValue("expected true or false")
    return True if written in {"true", "1", "yes"} else None


_DIRECTIONS: Final = {
    "inbound": "inbound",
    "incoming": "inbound",
    "outbound": "outbound",
    "outgoing": "outbound",
    "internal": "internal",
}
_OUTCOMES: Final = {
    **dict.fromkeys(("answered", "completed"), "answered"),
    **dict.fromkeys(("missed", "no_answer", "unanswered", "busy", "abandoned", "failed"), "missed"),
    **dict.fromkeys(("cancelled", "canceled", "rejected"), "missed"),
    "voicemail": "voicemail",
}


def direction(value: Any) -> str | None:
    """inbound, outbound or internal."""
    written = _word(value)
    if written is not None and written not in _DIRECTIONS:
        raise InvalidValue("expected inbound, outbound or internal")
    return _DIRECTIONS.get(written or "")


def outcome(value: Any) -> str | None:
    """How a call went, as its end says it: answered, missed or voicemail.

    A word that is not known says nothing: CloudTalk may add some, and a call is not refused for it.
    """
    return _OUTCOMES.get(_word(value) or "")


def _word(value: Any) -> str | None:
    written = text(value)
    return None if written is None else written.lower().replace("-", "_").replace(" ", "_")
