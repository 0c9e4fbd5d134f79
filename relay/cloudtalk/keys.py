"""The keys of each fact, and whether a text is the name of such a key or of another variable."""

import re
from collections.abc import Iterator
from typing import Final

KEYS: Final = {
    "call_id": "call_id cdr_id",
    "call_uuid": "call_uuid uuid",
    "direction": "direction call_direction",
    "status": "call_status status answered",
    "external_number": "external_number public_external contact_number contact_phone caller_number "
    "customer_number phone phone_number contact.phone contact.phone_number contact.number contacts.phone "
    "external_phone external_phone_number contact_phone_number customer_phone customer_phone_number "
    "client_phone client_number client_phone_number customer.phone customer.phone_number client.phone",
    "internal_number": "internal_number public_internal CallNumber.caller_id_e164 internal_phone "
    "internal_phone_number own_number company_number",
    "from": "from from_number phone_number_from phone_from number_from from_phone from_phone_number caller "
    "calling_number",
    "to": "to to_number phone_number_to phone_to number_to to_phone to_phone_number callee called_number "
    "dialed_number",
    "contact_id": "contact_id contact.id contacts.id customer_id client_id customer.id client.id",
    "contact_name": "contact_name contact.name contacts.name customer_name client_name caller_name "
    "customer.name client.name",
    "agent_id": "agent_id user_id agent.id user.id",
    "agent_email": "agent_email user_email agent.email user.email",
    "agent_name": "agent_name user_name agent.name agent.full_name user.name agent agent_full_name "
    "user_full_name",
    "agent_first_name": "agent_first_name agent.first_name user.first_name",
    "agent_last_name": "agent_last_name agent.last_name user.last_name",
    "recording_url": "recording_url recording_link recording.url recording.link record_url recording",
    "tags": "tags call_tags tag",
    "notes": "notes note call_notes",
    "transcript": "transcript transcription",
    "summary": "summary call_summary ai_summary",
    "started_at": "started_at start_time call_start date start_date start",
    "answered_at": "answered_at answer_time call_answer answered_time",
    "ended_at": "ended_at end_time call_end end_date end",
    "duration": "duration call_duration billsec duration_seconds total_time",
    "talking": "talking_time talk_time talking_seconds",
    "waiting": "waiting_time wait_time waiting_seconds",
    "wrapup": "wrapup_time wrapup_seconds",
    "voicemail": "is_voicemail voicemail",
    "occurred_at": "occurred_at",
}
"""Of the keys of a fact, the first one has priority. Case, spaces and underscores do not count."""

_PLACEHOLDER_SIGN: Final = re.compile(r"[{}\[\]<>()%$@#|\"'`\u00b4\u2018\u2019\u201c\u201d\u00ab\u00bb\\]")
"""What template languages, and people, put around the name of a variable."""

_IN_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_IN_SIGNS: Final = re.compile(r"\[(.*)\]|<(.*)>|\((.*)\)|[%@#|~*]+(.*?)[%@#|~*]+|[$:=](.*)", re.DOTALL)
_LEADING_SIGNS: Final = ":=*~"
"""They count only at the beginning: `sip:5` is an id."""

_MOST_DIGITS_OF_NAME: Final = 2
"""`{var12}` is a name, `{a1b2c3}` is an id."""


def _bare_name(key: str) -> str:
    """Return the last step of a key without spaces and underscores: `contact.name` and `Name` become `name`.

    A hyphen stays: `call-id` is an id of a customer's automation.
    """
    return "".join(key.rpartition(".")[2].replace("_", " ").split()).lower()


_BARE_NAMES: Final = {_bare_name(key) for keys in KEYS.values() for key in keys.split()} | {"eventid"}
_NAMES: Final = _BARE_NAMES | {"call" + name for name in _BARE_NAMES}


def names_variable(text: str) -> bool:
    """Whether a text in the place of an id is the name of a variable.

    A text names a key of a fact with any brackets, quotes, percent and dollar signs, or without them:
    `${call_uuid}`. Any other variable has brackets or signs around its name: `{my_var}`.
    """
    if text[:1] not in _LEADING_SIGNS and not _PLACEHOLDER_SIGN.search(text):
        return _bare_name(text) in _NAMES
    parts = _PLACEHOLDER_SIGN.split(text.lstrip(_LEADING_SIGNS))
    return any(_bare_name(part) in _NAMES for part in parts) or any(
        _looks_like_name(found) for found in _find_bracketed(text)
    )


def _find_bracketed(text: str) -> Iterator[str]:
    """Yield what is in braces anywhere in the text, and what is in other brackets or signs around it."""
    yield from _IN_BRACES.findall(text)
    if (found := _IN_SIGNS.fullmatch(text)) is not None:
        yield found[found.lastindex or 0]


def _looks_like_name(text: str) -> bool:
    """Whether a text in brackets is a name and not an id, which consists mostly of digits or has an `@`."""
    digits = sum(character.isdigit() for character in text)
    has_letter = any(character.isalpha() for character in text)
    return has_letter and "@" not in text and digits <= max(_MOST_DIGITS_OF_NAME, len(text) // 4)
