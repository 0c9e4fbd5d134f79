"""Parse the dialect `rest`: a row of CloudTalk's list of calls (`GET /calls/index.json`).

A row is `{"Cdr": {…}, "CallNumber": {…}, "Agent": {…}, "Contact": {…}, "Notes": […], "Tags": […], …}`.
It has neither a status nor a call_uuid, `Cdr.type` is the direction, and numbers are numbers or texts. The
relay adds `uuid` beside `Cdr` if it learnt the call_uuid from the analytics API, `alone` if several calls fit
the row and the API did not say which one it is, and `named` if webhooks give the call another number.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from relay.call import API_RECORDINGS, ROW, CallEvent, Kind
from relay.cloudtalk.dialects import Dialect
from relay.cloudtalk.errors import InvalidPayload, InvalidValue
from relay.cloudtalk.fields import FieldParser, keys_of, pop_occurred_at
from relay.cloudtalk.flatten import Field, flatten
from relay.cloudtalk.identity import Identity, build_identity, is_uuid
from relay.cloudtalk.values import is_missing, parse_flag, parse_numeric_id

UUID: Final = "uuid"
ALONE: Final = "alone"
NAMED: Final = "named"
_ADDITIONS: Final = frozenset({UUID, ALONE, NAMED})

_NO_FACTS: Final = keys_of({"recording_url"})
"""The link of a row is a page for people, not audio."""

_PARTNERS: Final = keys_of({"contact_id", "agent_id"})
"""Ids of other things, which are 0 where there is none."""

_PARENTS: Final = ("transferredfrom", "redirectedfrom")
_NO_ID: Final = frozenset({"0", ""})
_MAX_DIGITS: Final = 19


class HistoryRowParser:
    """Parses rows leniently: an invalid value becomes a warning of the event."""

    def __init__(self, field_parser: FieldParser) -> None:
        self._field_parser = field_parser

    def parse(self, dialect: Dialect, body: dict[str, Any], pointer: str = "") -> CallEvent:
        """Parse the row at `pointer`. Raises `InvalidPayload` for a row without CloudTalk's numeric id."""
        fields = flatten(body, pointer).fields
        warnings: list[str] = []
        facts = self._field_parser.parse(_fields_with_facts(fields), warnings)
        identity = _pop_ids(facts, pointer)
        named = _parse_call_id(body.get(NAMED))
        kind = Kind.ENDED if "ended_at" in facts else Kind.UPDATE
        _correct(facts, fields)
        facts |= _facts_of_row(identity, fields, body)
        if named is not None:
            facts["named"] = named
        return CallEvent(
            kind,
            dialect.name,
            identity.call_uuid or identity.call_id or "",
            identity.aliases if named is None else (*identity.aliases, f"id:{named}"),
            pop_occurred_at(kind, facts),
            facts,
            _without_additions(body),
            warnings=tuple(warnings),
            source_rank=dialect.source_rank,
        )


def _without_additions(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row as CloudTalk sent it."""
    return {key: value for key, value in body.items() if key not in _ADDITIONS}


def _fields_with_facts(fields: Mapping[str, Field]) -> dict[str, Field]:
    return {
        key: field
        for key, field in fields.items()
        if key not in _NO_FACTS and not (key in _PARTNERS and str(field.value).strip() in _NO_ID)
    }


def _pop_ids(facts: dict[str, Any], pointer: str) -> Identity:
    """Remove the ids from the facts. A text that is no uuid in the place of the call_uuid is left out."""
    call_id, call_uuid = facts.pop("call_id", None), facts.pop("call_uuid", None)
    if call_id is None or not _is_call_id(call_id):
        raise InvalidPayload("missing_id", "Cdr.id: expected the numeric id of a call", f"{pointer}/Cdr/id")
    return build_identity(call_id, call_uuid if call_uuid and is_uuid(call_uuid) else None, None)


def _is_call_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS and text.strip("0") != ""


def _correct(facts: dict[str, Any], fields: Mapping[str, Field]) -> None:
    """Seconds that are not billed are no duration, and a call that ended without an answer has no talking
    time.
    """
    started_at, ended_at = facts.get("started_at"), facts.get("ended_at")
    if (
        facts.get("duration") == 0
        and started_at is not None
        and ended_at is not None
        and ended_at > started_at
    ):
        del facts["duration"]
    if (
        ended_at is not None
        and "answeredat" in fields
        and facts.keys().isdisjoint({"answered_at", "talking"})
    ):
        facts["talking"] = 0


def _facts_of_row(identity: Identity, fields: Mapping[str, Field], body: Mapping[str, Any]) -> dict[str, Any]:
    """The ids, and the facts that only a row has."""
    content = msgspec.json.encode(_without_additions(body), order="deterministic")
    digest = hashlib.blake2b(content, digest_size=8).hexdigest()
    stated: dict[str, Any] = {
        "call_id": identity.call_id,
        "call_uuid": identity.call_uuid,
        "leg_of": _find_parents(fields, identity.call_id),
        "alone": _flag(body.get(ALONE)),
        "api_recording_url": None,
        f"{ROW}{identity.call_id}": digest,
    }
    if "recorded" in fields and _flag(fields["recorded"].value):
        stated["api_recording_url"] = f"{API_RECORDINGS}{identity.call_id}.json"
    return {fact: value for fact, value in stated.items() if value}


def _flag(value: Any) -> bool | None:
    try:
        return parse_flag(value)
    except InvalidValue:
        return None


def _find_parents(fields: Mapping[str, Field], call_id: str | None) -> list[str]:
    """The call_ids of the calls that this one was transferred or redirected from."""
    values = [fields[key].value for key in _PARENTS if key in fields]
    ids = [_parse_call_id(value) for value in values if not is_missing(value)]
    return list(dict.fromkeys(id_ for id_ in ids if id_ is not None and id_ != call_id))


def _parse_call_id(value: Any) -> str | None:
    try:
        text = parse_numeric_id(value)
    except InvalidValue:
        return None
    return text if text is not None and _is_call_id(text) else None
