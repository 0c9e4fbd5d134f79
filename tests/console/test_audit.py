"""The page of the audit."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crm_clients.local import LocalSettings
from relay.app import Relay
from relay.audit.report import CloudTalkSide, CrmSide, Reading, Result, encode
from relay.instants import SECOND, Instant
from relay.ledger import audits
from relay.ledger.audits import NIGHTLY, Finding, FindingKind
from relay.ledger.connection import Connection
from tests.support.browsing import Browser, browsing
from tests.support.in_process import settings_in

AT = Instant(1_790_000_000 * SECOND)


def add(connection: Connection, result: Result, *findings: Finding, who: str = NIGHTLY) -> int:
    return audits.add(
        connection, findings, began_at=AT, finished_at=AT, who=who, result=encode(result).decode()
    )


def result(**crms: CrmSide) -> Result:
    source = CloudTalkSide(calls=3, unknown=1)
    return Result(Instant(AT - 7 * 86_400 * SECOND), AT, cloudtalk=source, calls=3, crms=crms)


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[tuple[Relay, Browser]]:
    crm = LocalSettings(client="local", path=tmp_path / "crm.db")
    async with browsing(settings_in(tmp_path, destinations={"crm": crm})) as (relay, browser):
        yield relay, browser


async def test_before_the_first_audit_it_says_when_that_is(opened: tuple[Relay, Browser]) -> None:
    page = (await opened[1].open("/console/audit")).text
    assert "No audit yet" in page
    assert "at 03:30" in page


async def test_it_shows_each_side_and_what_a_person_has_to_look_at_first(
    opened: tuple[Relay, Browser],
) -> None:
    relay, browser = opened
    side = CrmSide(calls=3, records=4, right=1, doubled=1, changed=1)
    failed = CrmSide(Reading.FAILED, "throttled: <too many>")
    await relay.ledger.write(
        lambda c: add(
            c,
            result(crm=side, other=failed),
            Finding("", "cloudtalk-7", FindingKind.UNKNOWN, repaired=True),
            Finding("crm", "cloudtalk-8", FindingKind.CHANGED, details=["notes"]),
            Finding("crm", "cloudtalk-9", FindingKind.DOUBLED, details=["cloudtalk-9", "<copy>"]),
        )
    )
    page = (await browser.open("/console/audit")).text
    assert "Something to look at" in page
    assert "1 doubled, 1 changed by people" in page
    assert "could not be read (throttled: &lt;too many&gt;)" in page
    places = [page.index(f'call?id={id_}"') for id_ in ("cloudtalk-9", "cloudtalk-7", "cloudtalk-8")]
    assert places == sorted(places)
    assert "&lt;copy&gt;" in page
    assert "delete the copy in the CRM" in page
    overview = (await browser.open("/console")).text
    assert "The audit found something to look at" in overview
    spanish = (await browser.open("/console/audit", accept_language="es")).text
    assert "1 duplicadas, 1 cambiadas por personas" in spanish
    assert "no se pudo leer («throttled: &lt;too many&gt;»)" in spanish


async def test_a_good_audit_is_one_line_and_earlier_ones_can_be_shown(
    opened: tuple[Relay, Browser],
) -> None:
    relay, browser = opened
    bad = await relay.ledger.write(lambda c: add(c, result(crm=CrmSide(calls=3, doubled=1)), who="cli"))
    good = CrmSide(calls=3, records=3, right=3)
    await relay.ledger.write(lambda c: add(c, Result(AT, AT, calls=3, crms={"crm": good})))
    page = (await browser.open("/console/audit")).text
    assert "complete and right (the ledger: 3, crm: 3)" in page
    assert "Nothing was missing, doubled or different." in page
    assert "The audit found" not in (await browser.open("/console")).text
    earlier = (await browser.open(f"/console/audit?audit={bad}")).text
    assert "1 doubled" in earlier
    assert "Something to look at" in earlier
