"""The calls of a small office, for pages that people look at: made-up people, at times up to now."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from typing import Any, Final, NamedTuple

OWN_NUMBER: Final = "+34910000001"


class Customer(NamedTuple):
    name: str | None
    number: str


CUSTOMERS: Final = (
    Customer("María García Pérez", "+34612345678"),
    Customer("José Núñez", "+34699112233"),
    Customer("Lucía Fernández", "+34911223344"),
    Customer("Talleres Ibáñez S.L.", "+34934567890"),
    Customer("Sofía Romero", "+34655443322"),
    Customer(None, "+447700900123"),
    Customer("Andrés Ortega", "+34622334455"),
    Customer("Clínica Dental Sol", "+34917654321"),
    Customer("Elena Vázquez", "+34677889900"),
    Customer("Hugo Martín", "+34688776655"),
    Customer("Consuelo Álvarez", "+34600700800"),
)
AGENTS: Final = (
    ("7", "Ana López", "ana@example.com"),
    ("8", "Carlos Ruiz", "carlos@example.com"),
    ("9", "Begoña Sáez", "begona@example.com"),
)
OUTCOMES: Final = ("talked", "talked", "missed", "talked", "called", "talked", "no_answer")
FIRST_ID: Final = 901_200


def bodies(calls: int, now: datetime | None = None, *, recordings: str = "") -> Iterator[dict[str, Any]]:
    """Return the events of so many calls, the oldest first; the newest call has `FIRST_ID`.

    `recordings`: the host of links to recordings.
    """
    at = (now or datetime.now(UTC)).replace(microsecond=0)
    plan = zip(cycle(CUSTOMERS), cycle(AGENTS), cycle(OUTCOMES), strict=False)
    found = []
    for number, (customer, agent, outcome) in enumerate(islice(plan, calls)):
        at -= timedelta(minutes=9 + number * 7 % 23)
        found.append(list(_call(str(FIRST_ID + number), customer, agent, outcome, at, recordings)))
    return itertools.chain.from_iterable(reversed(found))


def _call(
    id_: str, customer: Customer, agent: tuple[str, str, str], outcome: str, at: datetime, recordings: str
) -> Iterator[dict[str, Any]]:
    facts: dict[str, Any] = {
        "call_id": id_,
        "direction": "outbound" if outcome in {"called", "no_answer"} else "inbound",
        "external_number": customer.number,
        "internal_number": OWN_NUMBER,
    }
    if customer.name:
        facts["contact_name"] = customer.name
    agents = dict(zip(("agent_id", "agent_name", "agent_email"), agent, strict=True))
    yield {"event": "call.started", "data": facts | {"started_at": _iso(at)}}
    if outcome in {"missed", "no_answer"}:
        end = {"ended_at": _iso(at + timedelta(seconds=31)), "duration": 31, "talking_time": 0}
        yield {"event": "call.ended", "data": facts | end}
        return
    answered = {"answered_at": _iso(at + timedelta(seconds=9))}
    yield {"event": "call.answered", "data": facts | agents | answered}
    seconds = 60 + int(id_) * 37 % 600
    end = {
        "ended_at": _iso(at + timedelta(seconds=seconds)),
        "duration": seconds,
        "talking_time": seconds - 9,
        "tags": ["presupuesto"],
        "notes": "Pide presupuesto para 12 licencias.\nLlamar el lunes por la mañana.",
    }
    if recordings:
        end["recording_url"] = f"{recordings}/pub/r/{id_}/recording.wav"
    yield {"event": "call.ended", "data": facts | agents | end}


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
