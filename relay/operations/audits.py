"""What audits found, for people and programs. The fields of the structs are the keys of their JSON."""

from collections.abc import Iterator
from typing import Any

import msgspec

from relay.audit.report import CloudTalkSide, CrmSide, Reading, Result, decode
from relay.instants import iso
from relay.ledger import audits
from relay.ledger.audits import AuditRow, Finding, FindingKind
from relay.ledger.connection import Connection
from relay.operations import audit_texts as texts
from relay.operations.explanation import Situation
from relay.operations.languages import Language, Text
from relay.operations.story_texts import word


class SideView(msgspec.Struct, frozen=True):
    """One side. `calls`: how many it has, None if it could not be compared. `found`: what is special."""

    name: str
    calls: int | None
    found: str


class FindingView(msgspec.Struct, frozen=True):
    """A call that was found. `action`: what was done, or what a person can do. `details`: see `Finding`."""

    destination: str
    call: str
    kind: FindingKind
    found: str
    repaired: bool
    needs_person: bool
    action: str
    details: list[str]


class AuditView(msgspec.Struct, frozen=True):
    """An audit. `summary`: one line. `good`: no person has to do anything. `seq` is 0 if it is not stored."""

    seq: int
    who: str
    finished_at: str | None
    since: str | None
    until: str | None
    good: bool
    repaired: int
    for_person: int
    unproven: list[str]
    summary: str
    sides: list[SideView]


def view_newest(connection: Connection, situation: Situation) -> AuditView | None:
    """Return the newest audit; None before the first."""
    found = list_newest(connection, situation, limit=1)
    return found[0] if found else None


def list_newest(connection: Connection, situation: Situation, *, limit: int) -> list[AuditView]:
    """Return the newest audits, the newest first."""
    return [view_row(row, situation) for row in audits.list_newest(connection, limit)]


def view_row(row: AuditRow, situation: Situation) -> AuditView:
    """Return the view of a stored audit."""
    result = decode(row.result)
    return msgspec.structs.replace(
        view_result(result, situation),
        seq=row.seq,
        who=row.who,
        finished_at=situation.time(row.finished_at),
    )


def view_result(result: Result, situation: Situation) -> AuditView:
    """Return the view of an audit that is not stored."""
    language = situation.language
    return AuditView(
        seq=0,
        who="",
        finished_at=None,
        since=situation.time(result.since),
        until=situation.time(result.until),
        good=result.is_good,
        repaired=result.repaired,
        for_person=result.for_person,
        unproven=result.unproven,
        summary=summarize(result).read(language),
        sides=list(_sides(result, language)),
    )


def view_finding(finding: Finding, language: Language) -> FindingView:
    """Return the view of a finding."""
    key = "repaired" if finding.repaired else finding.kind
    return FindingView(
        finding.destination,
        finding.call,
        finding.kind,
        texts.KINDS[finding.kind].read(language),
        finding.repaired,
        finding.needs_person,
        texts.ACTIONS[key].read(language),
        finding.details,
    )


def summarize(result: Result) -> Text:
    """Return one line, such as "complete and right (CloudTalk: 20, the ledger: 20, crm: 20)"."""
    return Text(*(_summary(result, language) for language in Language))


def _summary(result: Result, language: Language) -> str:
    sides = ", ".join(
        f"{side.name}: {'?' if side.calls is None else side.calls}" for side in _sides(result, language)
    )
    states = [
        *([texts.GOOD] if result.is_good else []),
        *([texts.REPAIRED.fill(number=result.repaired)] if result.repaired else []),
        *([texts.FOR_PERSON.fill(number=result.for_person)] if result.for_person else []),
        *([texts.UNPROVEN.fill(names=", ".join(result.unproven))] if result.unproven else []),
    ]
    return f"{', '.join(state.read(language) for state in states)} ({sides})"


def _sides(result: Result, language: Language) -> Iterator[SideView]:
    source = result.cloudtalk
    if source is not None:
        yield SideView(texts.CLOUDTALK.read(language), source.calls, _describe(source, language))
    yield SideView(texts.LEDGER.read(language), result.calls, _describe(result, language))
    for name, side in result.crms.items():
        is_compared = side.reading is Reading.COMPARED
        yield SideView(name, side.records if is_compared else None, _describe(side, language))


def _describe(side: CloudTalkSide | CrmSide | Result, language: Language) -> str:
    """Return what is special about a side; empty if nothing is."""
    parts = []
    if isinstance(side, CrmSide) and side.reading is not Reading.COMPARED:
        problem = word(side.problem or "") if side.reading is Reading.PAUSED else side.problem
        parts.append(texts.READINGS[side.reading].fill(problem=problem).read(language))
    if isinstance(side, CloudTalkSide) and side.problem is not None:
        parts.append(texts.READINGS[Reading.FAILED].fill(problem=side.problem).read(language))
    numbers = ((name, getattr(side, name, 0)) for name in texts.NUMBERS)
    parts += [f"{number} {texts.NUMBERS[name].read(language)}" for name, number in numbers if number]
    return ", ".join(parts)


def to_json(result: Result) -> dict[str, Any]:
    """Return all numbers of an audit, as `--json` prints them."""
    numbers = msgspec.to_builtins(result)
    return {
        **numbers,
        "since": iso(result.since),
        "until": iso(result.until),
        "good": result.is_good,
        "repaired": result.repaired,
        "for_person": result.for_person,
        "unproven": result.unproven,
    }
