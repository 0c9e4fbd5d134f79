"""Parse the value of one field. Pure functions, one for each kind of value.

Each returns None for a missing value and raises `InvalidValue` for one that it cannot parse. The odd forms
come from real deliveries and from CloudTalk's own API. Times and durations are parsed in `times`.
"""

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import unquote

from relay.cloudtalk.errors import LONGEST_ID, InvalidValue, TooLong, UnrenderedTemplate
from relay.cloudtalk.keys import names_variable
from relay.standards.phones import normalize_phone

_MISSING: Final = frozenset(
    {"", "null", "undefined", "none", "nan", "[object object]", "0000-00-00 00:00:00", "0000-00-00"}
)
_LONGEST_MISSING: Final = max(map(len, _MISSING))
_HTML_ENTITY: Final = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_ENCODED_BRACE: Final = re.compile("%7[bd]", re.IGNORECASE)
_FLOAT: Final = re.compile(r"\d+\.\d*(?:e\+?\d{1,2})?", re.ASCII | re.IGNORECASE)
_EXACT_FLOAT_LIMIT: Final = 2**53
"""From here on two ids may have the same float."""

_WEB: Final = ("https://", "http://")
_TEXT_KEYS: Final = (
    *("note", "summary", "transcript", "transcription", "text", "content", "value"),
    *("message", "sentence", "title", "label", "name"),
)
"""Keys under which an object has a text; the speaker of a segment has a `name`, too."""

_LABEL_KEYS: Final = ("name", "label", "tag", "title", "text", "content", "value")
"""Keys under which an object has a name, such as that of a tag."""

_DIRECTIONS: Final = {
    "inbound": "inbound",
    "incoming": "inbound",
    "outbound": "outbound",
    "outgoing": "outbound",
    "internal": "internal",
}


def is_missing(value: Any) -> bool:
    """Whether the value stands for a missing one, such as `null` as a text."""
    if isinstance(value, str):
        trimmed = value.strip()
        return len(trimmed) <= _LONGEST_MISSING and trimmed.lower() in _MISSING
    return value is None


# --- texts --------------------------------------------------------------------------------------


def parse_text(value: Any) -> str | None:
    """A trimmed text. A number counts as a text: people who type bodies quote as they like."""
    if isinstance(value, str):
        trimmed = value.strip()
        if len(trimmed) <= _LONGEST_MISSING and trimmed.lower() in _MISSING:
            return None
        if "{" in trimmed or "&" in trimmed or "%7" in trimmed:
            _check_rendered(trimmed)
        return trimmed
    if value is None:
        return None
    if isinstance(value, (bool, dict, list)):
        raise InvalidValue("expected text")
    return _format_float(value) if isinstance(value, float) else str(value)


def _check_rendered(text: str) -> None:
    """Raises `UnrenderedTemplate` with the first `{{…}}` in a text."""
    text = _decode(text)
    start = text.find("{{")
    end = -1 if start < 0 else text.find("}}", start)
    if end >= 0:
        raise UnrenderedTemplate(text[start : end + 2])


def _decode(text: str) -> str:
    """Decode the braces that an editor or a client encoded: `&#123;` and `%7B`."""
    if "&" in text:
        text = _HTML_ENTITY.sub(_unescape, text)
    return _ENCODED_BRACE.sub(_unquote, text) if "%7" in text else text


def _unquote(encoded: re.Match[str]) -> str:
    return unquote(encoded[0])


def parse_display_text(value: Any) -> str | None:
    """A text for people. `&amp;` becomes `&`, since some templates escape their values."""
    text = parse_text(value)
    return text if text is None or "&" not in text else _HTML_ENTITY.sub(_unescape, text)


def _unescape(entity: re.Match[str]) -> str:
    return html.unescape(entity[0])


def parse_lines(value: Any) -> str | None:
    """A text, or the texts in lists and objects with one line for each, such as segments of a transcript."""
    return "\n".join(_find_texts(value, _TEXT_KEYS)) or None


def parse_list(value: Any) -> list[str] | None:
    """The items of a list of texts or of `{name}`, or of a text with commas; each item once."""
    if isinstance(value, (list, dict)):
        items: Iterable[str] = _find_texts(value, _LABEL_KEYS)
    else:
        items = (parse_display_text(value) or "").split(",")
    unique = dict.fromkeys(item.strip() for item in items if not is_missing(item))
    return list(unique) or None


def _find_texts(value: Any, keys: Sequence[str]) -> Iterator[str]:
    """Yield the texts in a value; of an object that under the first of these keys, else those inside it."""
    if isinstance(value, list):
        for item in value:
            yield from _find_texts(item, keys)
    elif isinstance(value, dict):
        lower = {key.strip().lower(): item for key, item in value.items()}
        found = next((lower[key] for key in keys if not is_missing(lower.get(key))), None)
        containers = [item for item in lower.values() if isinstance(item, list | dict)]
        yield from _find_texts(containers if found is None else found, keys)
    elif (text := parse_display_text(value)) is not None:
        yield text


# --- ids ----------------------------------------------------------------------------------------


def parse_id(value: Any) -> str | None:
    """An id, verbatim but trimmed. Raises `TooLong`.

    The name of a variable is no id: all calls would have the id `${call_uuid}` or `{my_variable}`.
    """
    text = parse_text(value)
    if text is None:
        return None
    if len(text) > LONGEST_ID:
        raise TooLong
    if names_variable(_decode(text)):
        raise UnrenderedTemplate(text)
    return text


def parse_numeric_id(value: Any) -> str | None:
    """An id that may be a number, also one that a program made a float: `"1.002402487e9"`, `"123.0"`."""
    text = parse_id(value)
    return None if text is None else restore_digits(text)


def restore_digits(text: str) -> str:
    """Return the digits of a whole number that is written as a float; any other text unchanged."""
    if "." not in text or not _FLOAT.fullmatch(text):
        return text
    number = float(text)
    return _format_float(number) if number < _EXACT_FLOAT_LIMIT and number.is_integer() else text


def _format_float(value: float) -> str:
    return str(int(value)) if value.is_integer() else str(value)


# --- phone numbers and links --------------------------------------------------------------------


def parse_phone(value: Any, region: str) -> str | None:
    """A phone number as `normalize_phone` returns it; None if it is withheld.

    An object has it under `number_e164` or `number`.
    """
    if isinstance(value, dict):
        if value and not {"number_e164", "number"} & value.keys():
            raise InvalidValue("expected a telephone number")
        value = value.get("number_e164") or value.get("number")
    text = parse_text(value)
    return None if text is None else normalize_phone(restore_digits(text), region)


def parse_email(value: Any) -> str | None:
    """An e-mail address. A space in it was a "+" before it passed through a query or a form."""
    text = parse_text(value)
    return text if text is None else text.replace(" ", "+")


def parse_web_address(value: Any) -> str | None:
    """An http or https link, with spaces as in `parse_email`. A boolean in its place counts as missing."""
    text = None if isinstance(value, bool) else parse_email(value)
    if text is not None and not text.lower().startswith(_WEB):
        raise InvalidValue("expected a web address")
    return text


# --- enumerations -------------------------------------------------------------------------------


def parse_flag(value: Any) -> bool | None:
    """True for yes, None for no: a missing value means no, too."""
    if isinstance(value, bool):
        return value or None
    word = _parse_word(value)
    if word not in {None, "true", "1", "yes", "false", "0", "no"}:
        raise InvalidValue("expected true or false")
    return True if word in {"true", "1", "yes"} else None


def parse_direction(value: Any) -> str | None:
    """inbound, outbound or internal."""
    word = _parse_word(value)
    if word is not None and word not in _DIRECTIONS:
        raise InvalidValue("expected inbound, outbound or internal")
    return _DIRECTIONS.get(word or "")


def _parse_word(value: Any) -> str | None:
    text = parse_text(value)
    return None if text is None else text.lower()
