"""Who or what is to be forgotten: a number in any spelling with all its calls, or one call."""

from functools import partial
from typing import Final

import msgspec

from relay.call import Call
from relay.cloudtalk.identity import alias_of_id
from relay.ledger import Ledger, aliases, calls, erasure, tombstones
from relay.ledger.connection import Connection
from relay.operations.calls import find_call, record_ids
from relay.settings import Settings
from relay.standards.phones import find_phones

_PAGE: Final = 2_000
_MOST_MENTIONS: Final = 20


class SubjectError(ValueError):
    """The argument names nothing that may be forgotten. `is_usage`: it has to be written in another way."""

    def __init__(self, problem: str, *, is_usage: bool = False) -> None:
        super().__init__(problem)
        self.is_usage = is_usage


class Subject(msgspec.Struct, frozen=True):
    """`number`: in E.164; None for one call. `ids`: of its calls, merged ones too. `records`: those that the
    ledger has. `mentions`: ids of other calls whose texts have the number; they stay.
    """

    number: str | None
    ids: frozenset[str]
    records: dict[str, Call]
    mentions: list[str]


async def find_subject(ledger: Ledger, settings: Settings, written: str) -> Subject:
    """Return what a person means by a number or an id. Raises `SubjectError`."""
    region = settings.cloudtalk.default_region
    numbers = find_phones(written, region)
    id_ = await ledger.read(lambda connection: _find_id(connection, written.strip()))
    by_number = {number: await _find_by_number(ledger, number) for number in numbers}
    with_calls = [number for number, subject in by_number.items() if subject.ids]
    if len(with_calls) + (id_ is not None) > 1:
        meanings = [*with_calls, *([id_] if id_ else [])]
        raise SubjectError(f"{written} may mean {' or '.join(meanings)}: write it so", is_usage=True)
    if id_ is not None:
        return await ledger.read(lambda connection: _subject_of_call(connection, id_))
    if not numbers:
        raise SubjectError(
            f"no call has the id {written}, and it is no telephone number;"
            " write a number with its country code, as +34600111222"
        )
    number = with_calls[0] if with_calls else numbers[0]
    _require_no_own_line(number, by_number[number], settings)
    return by_number[number]


def _find_id(connection: Connection, written: str) -> str | None:
    """Return the id of the record; also of a call that retention deleted and that a CRM still has."""
    if (row := find_call(connection, written)) is not None:
        return row.id
    owners = [found.call for found in aliases.get_many(connection, [alias_of_id(written)])]
    deleted = tombstones.list_ids(connection, [*record_ids(written), *owners])
    return min(deleted, default=None)


def _subject_of_call(connection: Connection, id_: str) -> Subject:
    ids = erasure.with_merged(connection, [id_])
    return Subject(None, frozenset(ids), calls.get_records(connection, ids), [])


async def _find_by_number(ledger: Ledger, number: str) -> Subject:
    """Read all records, page by page: any field of them may have the number."""
    digits = number.removeprefix("+")
    own, mentions = set[str](), list[str]()
    last: str | None = ""
    while last is not None:
        page = await ledger.read(partial(erasure.find_with_digits, digits=digits, after=last, limit=_PAGE))
        for id_, record in page.found.items():
            if number in _numbers(record):
                own.add(id_)
            else:
                mentions.append(id_)
        last = page.last
    ids = await ledger.read(lambda c: erasure.with_merged(c, own))
    records = await ledger.read(lambda c: calls.get_records(c, ids))
    others = [id_ for id_ in mentions if id_ not in ids]
    return Subject(number, frozenset(ids), records, others[:_MOST_MENTIONS])


def _numbers(call: Call) -> set[str | None]:
    return {call.external_number, call.internal_number, call.from_, call.to}


def _require_no_own_line(number: str, subject: Subject, settings: Settings) -> None:
    """The number of the company is in every call: to forget it would erase all of them."""
    region = settings.cloudtalk.default_region
    own = {found for each in settings.cloudtalk.own_numbers for found in find_phones(each, region)}
    internal = sum(record.internal_number == number for record in subject.records.values())
    external = sum(record.external_number == number for record in subject.records.values())
    if number in own or internal > external:
        raise SubjectError(
            f"{number} is a number of your own: {internal} calls have it on your side, and would all be"
            " erased. Nothing was erased; give the number of the other person, or the id of one call."
        )
