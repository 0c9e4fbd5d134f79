"""The search terms of a call: the words of its names, and its numbers from both ends.

A term is a letter for its kind, and a value. A search looks for terms that begin with a text: so it finds a
number by its end as the beginning of the reversed number.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from operator import attrgetter
from typing import Final

import phonenumbers

from relay.call import Call
from relay.standards.phones import find_phones
from relay.standards.words import fold_words


class TermKind(StrEnum):
    """The first letter of a term."""

    CONTACT = "c"
    AGENT = "a"
    NUMBER = "n"
    NUMBER_REVERSED = "r"


_MAX_WORDS: Final = 12
_MAX_EMAIL: Final = 80
_MAX_DIGITS: Final = 20
_CACHED: Final = 1_024
"""Numbers: each event of a call has those of the event before."""

FEWEST_DIGITS: Final = 2
"""A number is not searched by fewer digits."""

_FEWEST_LAST_DIGITS: Final = 4
"""A number is not found by fewer digits of its end."""

_TRUNK_ZERO: Final = re.compile(r"\(0+\)")
_NUMBER: Final = re.compile(r"[\d\s+()\[\]./·\u2010-\u2015\u2212-]+")
_SEPARATOR: Final = "\n"
"""No term contains one."""

_Agent = tuple[str | None, str | None, str | None]
"""The id, the name and the e-mail address."""

_searched = attrgetter("contact_name", "external_number", "internal_number", "merged_into")


# --- the terms of a call ----------------------------------------------------------------------


def terms_of(call: Call) -> list[str]:
    """Return the terms of a call, sorted. A call that was merged into another one has none."""
    if call.merged_into is not None:
        return []
    terms = {TermKind.CONTACT + word for word in fold_words(call.contact_name or "")[:_MAX_WORDS]}
    for id_, name, email in _agents(call):
        terms |= {TermKind.AGENT + word for word in _agent_words(id_, name, email)}
    for number in (call.external_number, call.internal_number):
        terms |= _number_terms(number)
    return sorted(terms)


def has_same_terms(before: Call, after: Call) -> bool:
    """Whether two versions of a call surely have the same terms: no name and no number differs."""
    return _searched(before) == _searched(after) and _agents(before) == _agents(after)


def _agents(call: Call) -> set[_Agent]:
    return {
        (call.agent_id, call.agent_name, call.agent_email),
        *((leg.agent_id, leg.agent_name, leg.agent_email) for leg in call.legs),
    }


def _agent_words(id_: str | None, name: str | None, email: str | None) -> Iterable[str]:
    yield from fold_words(name or "")[:_MAX_WORDS]
    yield from fold_words(id_ or "")[:_MAX_WORDS]
    if email:
        yield from fold_words(email.partition("@")[0])[:_MAX_WORDS]
        yield _fold_email(email)


def _fold_email(written: str) -> str:
    return "".join(written.split()).casefold()[:_MAX_EMAIL]


@lru_cache(_CACHED)
def _number_terms(number: str | None) -> frozenset[str]:
    digits = digits_of(number or "")[:_MAX_DIGITS]
    if len(digits) < FEWEST_DIGITS:
        return frozenset()
    return frozenset({TermKind.NUMBER + digits, TermKind.NUMBER_REVERSED + digits[::-1]})


def digits_of(text: str) -> str:
    """Return the digits of a text in any script as ASCII digits."""
    return phonenumbers.normalize_digits_only(text)


def to_text(terms: Iterable[str]) -> str:
    """Return the terms as one text, as a row has them."""
    return "".join(_SEPARATOR + term for term in terms)


def from_text(text: str) -> list[str]:
    """Return the terms of a row."""
    return text.split(_SEPARATOR)[1:]


def in_text(beginning: str) -> str:
    """Return the part that the text of a row has if one of its terms begins so."""
    return _SEPARATOR + beginning


# --- the terms of a search --------------------------------------------------------------------

Alternatives = tuple[str, ...]
"""Beginnings of terms; a call must have a term with one of them."""


def name_beginnings(text: str, *kinds: TermKind) -> list[Alternatives]:
    """Return what a call must have to be found by these beginnings of words: one entry for each word.

    An agent is also found by the beginning of the whole e-mail address.
    """
    words: list[Alternatives] = []
    for written in text.split():
        if "@" in written and TermKind.AGENT in kinds:
            words.append((TermKind.AGENT + _fold_email(written),))
        else:
            words += [tuple(kind + word for kind in kinds) for word in fold_words(written)]
    return words


def number_beginnings(written: str, region: str) -> Alternatives:
    """Return the beginnings by which a number is found that a person wrote wholly or in part.

    A part with "+" or 00 is a beginning. Other digits are the beginning with or without the country code of
    the region, or the end. Empty if there are fewer than two digits.
    """
    has_plus = "+" in written
    digits = digits_of(_TRUNK_ZERO.sub("", written) if has_plus else written)
    if len(digits) < FEWEST_DIGITS:
        return ()
    whole = [digits_of(number) for number in find_phones(written, region)]
    if has_plus:
        return _beginnings([digits, *whole])
    if digits.startswith("00"):
        return _beginnings([digits[2:], *whole])
    significant = digits.lstrip("0")
    code = str(phonenumbers.country_code_for_region(region) or "")
    national = [code + digits, code + significant] if code else []
    return _beginnings([digits, *national, *whole], ends=[digits, significant])


def is_number(text: str) -> bool:
    """Whether a person may mean a number by this text: digits and punctuation, as many as find its end."""
    return _NUMBER.fullmatch(text) is not None and len(digits_of(text)) >= _FEWEST_LAST_DIGITS


def text_beginnings(text: str, region: str) -> list[Alternatives]:
    """Return what a call must have to be found by a text that is a number, or words of names.

    Each word may be one of the contact or of an agent.
    """
    digits = digits_of(text)
    if not digits or not _NUMBER.fullmatch(text):
        return name_beginnings(text, TermKind.CONTACT, TermKind.AGENT)
    ids = [kind + digits for kind in (TermKind.CONTACT, TermKind.AGENT)]
    return [(*number_beginnings(text, region), *ids)]


def _beginnings(numbers: Iterable[str], *, ends: Iterable[str] = ()) -> Alternatives:
    found = [TermKind.NUMBER + n[:_MAX_DIGITS] for n in numbers if len(n) >= FEWEST_DIGITS]
    found += [
        TermKind.NUMBER_REVERSED + end[-_MAX_DIGITS:][::-1] for end in ends if len(end) >= _FEWEST_LAST_DIGITS
    ]
    return _without_longer(found)


def _without_longer(beginnings: Iterable[str]) -> Alternatives:
    """Remove each beginning that a shorter one covers."""
    kept: list[str] = []
    for beginning in sorted(set(beginnings)):
        if not kept or not beginning.startswith(kept[-1]):
            kept.append(beginning)
    return tuple(kept)
