"""How fast a backlog drains: the calls of an outage, all pending, when the CRM is there again."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Final

from bench.environment import Environment
from bench.fill import filled_ledger
from bench.ledgers import BenchLedger
from bench.result import BenchError, Result, Row
from bench.server import serve
from relay.ledger.states import DeliveryState
from tests.fakes.hubspot import TOKEN, HubSpot, running_hubspot
from tests.fakes.hubspot_limits import Limits, Window

QUESTION: Final = "How fast does a backlog drain?"
COLUMNS: Final = ("calls", "seconds", "calls/s", "CPU µs/call", "requests/call", "calls/request")
_TIMES: Final = 27
_HUBSPOT_TIMES: Final = 5
"""How many calls are pending, as a multiple of the calls of the small ledger."""

_HUBSPOT_REQUESTS: Final = 190
"""Requests in ten seconds that HubSpot permits to an app of a paying account."""

_HUBSPOT: Final = """
[destinations.crm]
client = "hubspot"
token = "{token}"
base_url = "{url}"
contacts = "{mode}"
"""
_TIMEOUT_SECONDS: Final = 180.0
_POLL_SECONDS: Final = 0.05
"""Counting 50 000 rows takes some milliseconds of a core that the relay shares."""

_MICROSECONDS: Final = 1_000_000


def measure(environment: Environment) -> Result:
    """Fill ledgers with pending calls, start a relay, and wait until the CRM has all of them."""
    cases: dict[str, Callable[[str], Row]] = {
        "PostgREST": partial(_measure_postgrest, environment),
        "HubSpot, without contacts": partial(_measure_hubspot, environment, "off"),
        "HubSpot, with contacts": partial(_measure_hubspot, environment, "match"),
    }
    return Result(
        "backlog",
        QUESTION,
        "All calls are pending when the relay starts (SQLite). From the relay being ready until the last "
        "row is in the CRM. HubSpot: a fake that refuses more than "
        f"{_HUBSPOT_REQUESTS} requests in 10 s and 5 searches in 1 s, so these limits make the rate; "
        f"refused requests count; each customer calls {_HUBSPOT_TIMES} times and has a contact.",
        COLUMNS,
        tuple(measure_case(case) for case, measure_case in cases.items() if environment.includes(case)),
    )


def _measure_postgrest(environment: Environment, case: str) -> Row:
    crm = environment.postgrest_crm()
    with _pending_ledger(environment, _TIMES, "supabase") as ledger, crm.counting() as count_rows:
        requests = crm.gateway.requests
        return _measure_drain(ledger, crm.settings, count_rows, lambda: crm.gateway.requests - requests, case)


def _measure_hubspot(environment: Environment, mode: str, case: str) -> Row:
    hubspot = HubSpot()
    hubspot.create_relay_properties()
    hubspot.limits = Limits(burst=Window(_HUBSPOT_REQUESTS, 10))
    with _pending_ledger(environment, _HUBSPOT_TIMES, "hubspot") as ledger, running_hubspot(hubspot) as fake:
        for number in ledger.column("SELECT DISTINCT number FROM calls"):
            hubspot.contacts.add(phone=number, firstname=number)
        return _measure_drain(
            ledger,
            _HUBSPOT.format(token=TOKEN, url=fake.url, mode=mode),
            lambda: len(hubspot.calls),
            lambda: len(hubspot.log),
            case,
        )


def _pending_ledger(environment: Environment, times: int, client: str) -> AbstractContextManager[BenchLedger]:
    return filled_ledger(
        environment.base_ledger, times=times, client=client, state=DeliveryState.PENDING, events=False
    )


def _measure_drain(
    ledger: BenchLedger,
    settings: str,
    count_rows: Callable[[], int],
    count_requests: Callable[[], int],
    case: str,
) -> Row:
    """Start a relay on this ledger and wait until the CRM has a row for each call."""
    calls = ledger.scalar("SELECT count(*) FROM calls")
    with serve(ledger.folder, ledger.url, settings) as server:
        begin, cpu = time.perf_counter(), server.cpu_seconds()
        while (found := count_rows()) < calls:
            if time.perf_counter() > begin + _TIMEOUT_SECONDS:
                raise BenchError(f"{case}: after {_TIMEOUT_SECONDS:g} s the CRM had {found} of {calls} calls")
            time.sleep(_POLL_SECONDS)
        seconds = time.perf_counter() - begin
        ledger.wait_until_delivered()
        requests = count_requests()
        figures = (
            calls,
            seconds,
            calls / seconds,
            (server.cpu_seconds() - cpu) / calls * _MICROSECONDS,
            requests / calls,
            calls / requests,
        )
    return Row(case, figures)
