"""What the pages show, and what their forms do."""

import asyncio
import csv
import html
import io
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from structlog.testing import capture_logs

from crm_clients.local import LocalSettings
from relay.app import Relay
from relay.instants import Instant
from relay.ledger import destinations
from relay.settings import Settings
from tests.support.browsing import Browser, browsing
from tests.support.in_process import settings_in, wait_for_status
from tests.support.patience import PATIENCE
from tests.support.relay import WEBHOOK_PATH

HOSTILE = '<script>alert("x")</script>\u202e'
CANARY = "canary-0123456789-abcdef"


def event(kind: str, id_: str, **facts: Any) -> dict[str, Any]:
    return {"event": f"call.{kind}", "data": {"call_id": id_, "direction": "inbound"} | facts}


EVENTS = (
    event("started", "1", contact_name="María García", external_number="+34612345678"),
    event("ended", "1", talking_time=51, duration=60, agent_name="Begoña Sáez", notes=HOSTILE, token=CANARY),
    event(
        "ended",
        "2",
        talking_time=0,
        duration=20,
        contact_name="=1+1",
        external_number="+34600000001",
        notes="see a;=1+1, -2\n=3\tb@c e=f",
    ),
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    crm = LocalSettings(
        client="local", path=tmp_path / "crm.db", record_url="https://crm.example/{remote_id}"
    )
    return settings_in(tmp_path, destinations={"crm": crm}, cloudtalk={"tokens": [CANARY]})


@pytest.fixture
async def relay_and_browser(settings: Settings) -> AsyncIterator[tuple[Relay, Browser]]:
    """A relay with two calls that its CRM has, and a browser on its machine."""
    async with browsing(settings) as (relay, browser):
        for each in EVENTS:
            headers = {"authorization": f"Bearer {CANARY}"}
            assert (await browser.client.post(WEBHOOK_PATH, json=each, headers=headers)).is_success
        await wait_for_status(
            relay, settings, lambda status: "crm" in status and status["crm"].delivered == 2
        )
        yield relay, browser


# --- the list -------------------------------------------------------------------------------------


async def test_the_list_shows_calls_with_their_deliveries(relay_and_browser: tuple[Relay, Browser]) -> None:
    _, browser = relay_and_browser
    page = (await browser.open("/console/calls")).text
    assert page.count("<tr data-id") == 2
    for shown in ("María García", "+34612345678", "Begoña Sáez", "Missed", "Completed", "1 min", "Delivered"):
        assert shown in page
    assert CANARY not in page


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("q=garcia", {"1"}),
        ("q=612 34 56", {"1"}),
        ("q=begona", {"1"}),
        ("q=cloudtalk-2", {"2"}),
        ("q=2", {"2"}),
        ("status=missed", {"2"}),
        ("direction=inbound", {"1", "2"}),
        ("direction=outbound", set()),
        ("destination=crm&delivery=delivered", {"1", "2"}),
        ("delivery=dead", set()),
        ("agent=saez", {"1"}),
        ("day=2020-01-01", set()),
        ("q=garcia&status=missed", set()),
    ],
)
async def test_calls_are_searched_and_filtered(
    relay_and_browser: tuple[Relay, Browser], query: str, ids: set[str]
) -> None:
    _, browser = relay_and_browser
    page = await browser.open(f"/console/calls?{query}")
    assert page.status_code == 200
    assert {id_ for id_ in ("1", "2") if f'data-id="cloudtalk-{id_}"' in page.text} == ids
    assert ("No call matches" in page.text) is not bool(ids)


async def test_the_number_of_unanswered_calls_leads_to_these_calls(
    relay_and_browser: tuple[Relay, Browser], settings: Settings
) -> None:
    relay, browser = relay_and_browser
    overview = (await browser.open("/console")).text
    (path,) = re.findall(r'href="([^"]+)">See all<', overview)
    assert '<span class="count bad">1</span>' in overview
    page = (await browser.open(urljoin("/console", path))).text
    assert re.findall(r'data-id="([^"]+)"', page) == ["cloudtalk-2"]
    rows = html.unescape(re.findall(r'data-rows="([^"]+)"', page)[0])
    assert "cloudtalk-2" in (await browser.open(urljoin("/console/calls", rows))).text
    table = (await browser.open("/console/calls.csv?view=unanswered")).text
    assert [row["id"] for row in csv.DictReader(io.StringIO(table.removeprefix("\ufeff")))] == ["cloudtalk-2"]
    headers = {"authorization": f"Bearer {CANARY}"}
    answer = event("ended", "3", direction="outbound", talking_time=9, external_number="+34600000001")
    await browser.client.post(WEBHOOK_PATH, json=answer, headers=headers)
    await wait_for_status(relay, settings, lambda status: status["crm"].delivered == 3)
    page = (await browser.open("/console/calls?view=unanswered")).text
    assert "data-id" not in page
    assert "Nobody who was missed in the last seven days waits for a call." in page


async def test_a_later_page_without_unanswered_calls_does_not_say_that_all_were_answered(
    relay_and_browser: tuple[Relay, Browser],
) -> None:
    _, browser = relay_and_browser
    page = (await browser.open("/console/calls?view=unanswered&after=9999999999999999.a")).text
    assert "data-id" not in page
    assert "No more calls" in page
    assert "Nobody who was missed" not in page


async def test_an_unknown_list_is_not_the_calls_to_call_back(
    relay_and_browser: tuple[Relay, Browser],
) -> None:
    _, browser = relay_and_browser
    page = (await browser.open("/console/calls?view=x")).text
    assert re.findall(r'aria-current="page">([^<]+)</a>', page.partition('class="tabs"')[2]) == ["All calls"]
    assert ">Clear the search</a>" in page


@pytest.mark.parametrize(
    "query",
    [
        "view=x",
        "view=unanswered&after=x",
        "status=lost",
        "day=yesterday",
        "day=9999-12-31",
        "delivery=x",
        "after=x",
        "q=...",
    ],
)
async def test_a_filter_that_does_not_exist_is_a_sentence(
    relay_and_browser: tuple[Relay, Browser], query: str
) -> None:
    _, browser = relay_and_browser
    page = await browser.open(f"/console/calls?{query}")
    assert page.status_code == 200
    assert 'role="alert"' in page.text
    assert (await browser.open(f"/console/calls/rows?{query}")).status_code == 400
    assert (await browser.open(f"/console/calls.csv?{query}")).status_code == 400


async def test_a_call_of_many_long_events_is_a_page_of_limited_size(
    relay_and_browser: tuple[Relay, Browser],
) -> None:
    relay, browser = relay_and_browser
    headers = {"authorization": f"Bearer {CANARY}"}
    for number in range(201):
        notes = f"{number}" + "x" * 10_000
        body = event("ended", "4", notes=notes)
        assert (await browser.client.post(WEBHOOK_PATH, json=body, headers=headers)).is_success
    await wait_for_status(relay, relay.settings, lambda status: status["crm"].delivered == 3)
    page = (await browser.open("/console/call?id=4")).text
    assert len(page) < 500_000
    assert page.count("<details><summary>Body") == 200
    assert "These are the last 200 of 201." in page


async def test_a_call_at_the_end_of_the_calendar_leaves_the_list_as_it_is(
    relay_and_browser: tuple[Relay, Browser],
) -> None:
    relay, browser = relay_and_browser
    late = event("ended", "3", started_at="9999-12-31T23:59:59Z", ended_at="9998-12-31T23:59:59Z")
    headers = {"authorization": f"Bearer {CANARY}"}
    assert (await browser.client.post(WEBHOOK_PATH, json=late, headers=headers)).is_success
    await wait_for_status(relay, relay.settings, lambda status: status["crm"].delivered == 3)
    for path in ("/console", "/console/calls", "/console/call?id=3"):
        assert (await browser.open(path)).status_code == 200


async def test_an_empty_ledger_says_what_to_expect(tmp_path: Path) -> None:
    async with browsing(settings_in(tmp_path)) as (_, browser):
        assert "No calls yet" in (await browser.open("/console/calls")).text
        assert "No event yet" in (await browser.open("/console")).text


async def test_rows_are_sent_only_if_they_have_changed(relay_and_browser: tuple[Relay, Browser]) -> None:
    _, browser = relay_and_browser
    first = await browser.open("/console/calls/rows")
    digest = first.headers["x-digest"]
    assert first.text.lstrip().startswith("<table")
    assert f'data-digest="{digest}"' in (await browser.open("/console/calls")).text
    assert (await browser.open(f"/console/calls/rows?seen={digest}")).status_code == 204
    headers = {"authorization": f"Bearer {CANARY}"}
    await browser.client.post(WEBHOOK_PATH, json=event("started", "3"), headers=headers)
    async with asyncio.timeout(PATIENCE):
        while (changed := await browser.open(f"/console/calls/rows?seen={digest}")).status_code == 204:
            await asyncio.sleep(0.01)
    assert 'data-id="cloudtalk-3"' in changed.text


@pytest.mark.parametrize(
    ("page", "part"),
    [
        ("calls", "calls/rows?"),
        ("call?id=cloudtalk-1", "call/deliveries?id=cloudtalk-1&"),
        ("set-up", "set-up/destinations?"),
    ],
)
async def test_a_part_that_is_asked_for_later_is_as_in_its_page(
    relay_and_browser: tuple[Relay, Browser], page: str, part: str
) -> None:
    _, browser = relay_and_browser
    whole = (await browser.open(f"/console/{page}")).text
    digest = re.search(r'data-digest="([0-9a-f]+)"', whole)
    assert digest is not None
    assert (await browser.open(f"/console/{part}seen={digest[1]}")).status_code == 204
    later = await browser.open(f"/console/{part}seen=other")
    assert later.headers["x-digest"] == digest[1]
    links = re.findall(r'(?:href|action)="([^"]*)"', later.text)
    assert links
    assert [link for link in links if link not in whole] == []


async def test_the_deliveries_of_an_open_call_change_without_reloading(
    relay_and_browser: tuple[Relay, Browser],
) -> None:
    relay, browser = relay_and_browser
    part = "/console/call/deliveries?id=cloudtalk-1"
    first = await browser.open(part)
    assert ("Delivered" in first.text, "Pending" in first.text) == (True, False)
    await relay.ledger.write(lambda c: destinations.pause(c, "crm", now=Instant(1)))
    await browser.open("/console/call?id=1")
    await browser.post("/console/call/push", id="1", destination="crm")
    later = await browser.open(f"{part}&seen={first.headers['x-digest']}")
    assert (later.status_code, "Pending" in later.text) == (200, True)
    assert (await browser.open("/console/call/deliveries?id=nothing")).status_code == 404


async def test_an_open_list_does_not_keep_a_session_alive(relay_and_browser: tuple[Relay, Browser]) -> None:
    _, browser = relay_and_browser
    assert "set-cookie" in (await browser.open("/console/calls")).headers
    browser.client.cookies.clear()
    assert "set-cookie" not in (await browser.open("/console/calls/rows")).headers


async def test_the_export_is_safe_for_spreadsheets(relay_and_browser: tuple[Relay, Browser]) -> None:
    _, browser = relay_and_browser
    with capture_logs() as lines:
        response = await browser.open("/console/calls.csv?status=missed")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(
        r'attachment; filename="calls-\d{4}-\d\d-\d\d\.csv"', response.headers["content-disposition"]
    )
    assert response.text.startswith("\ufeffid,call_id,")
    (row,) = csv.DictReader(io.StringIO(response.text.removeprefix("\ufeff")))
    assert (row["contact_name"], row["external_number"], row["crm"]) == (
        "'=1+1",
        "'+34600000001",
        "delivered",
    )
    assert row["notes"] == "see a;'=1+1,' -2\n'=3\tb@c e=f"
    assert [(line["action"], line["target"]) for line in lines if line["event"] == "console.action"] == [
        ("export", "status")
    ]


async def test_the_export_opens_in_a_spanish_spreadsheet(tmp_path: Path) -> None:
    async with browsing(settings_in(tmp_path)) as (_, browser):
        started = event("started", "3", started_at="2024-07-01T10:00:05Z", contact_name="Núñez; Ana")
        await browser.client.post(WEBHOOK_PATH, json=started)
        browser.client.headers["accept-language"] = "es"
        text = ""
        async with asyncio.timeout(PATIENCE):
            while text.count("\n") < 2:
                text = (await browser.open("/console/calls.csv")).text.removeprefix("\ufeff")
    (row,) = csv.DictReader(io.StringIO(text), delimiter=";")
    assert (row["id"], row["started_at"], row["answered_at"], row["contact_name"]) == (
        *("cloudtalk-3", "2024-07-01 12:00:05"),
        *("", "Núñez; Ana"),
    )


# --- a call ---------------------------------------------------------------------------------------


async def test_a_call_shows_its_record_its_deliveries_and_its_events(
    relay_and_browser: tuple[Relay, Browser],
) -> None:
    _, browser = relay_and_browser
    page = (await browser.open("/console/call?id=1")).text
    for shown in ("María García", "cloudtalk-1", "In crm: it has the newest version", "Begoña Sáez", "51 s"):
        assert shown in page
    assert 'href="https://crm.example/cloudtalk-1"' in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "\u202e" not in page
    assert "\\u202e" in page
    assert page.count("<details><summary>Body") == 2


async def test_a_call_leads_back_to_the_search_also_after_it_was_sent_again(
    relay_and_browser: tuple[Relay, Browser],
) -> None:
    _, browser = relay_and_browser
    found = await browser.open("/console/calls?q=garcia&status=completed")
    links = re.findall(r'href="(\./call\?[^"]*)"', found.text)
    assert len(links) == 1
    await browser.open(urljoin(str(found.url), html.unescape(links[0])))
    listed = re.search(r'name="list" value="([^"]*)"', browser.page.text)
    assert listed is not None
    page = await browser.post("/console/call/push", id="1", list=html.unescape(listed[1]))
    assert '<a href="./calls?q=garcia&amp;status=completed">← Back to the list</a>' in page.text
    assert '<a href="./calls">← All calls</a>' in (await browser.open("/console/call?id=1")).text


async def test_a_link_back_leads_to_no_other_page(relay_and_browser: tuple[Relay, Browser]) -> None:
    _, browser = relay_and_browser
    page = await browser.open('/console/call?id=1&list=%22%3E%3Cb%3E#//evil.example"')
    assert '<a href="./calls?%22%3E%3Cb%3E">' in page.text


async def test_a_call_shows_its_story(relay_and_browser: tuple[Relay, Browser]) -> None:
    _, browser = relay_and_browser
    page = (await browser.open("/console/call?id=2")).text
    for shown in ("call.ended (workflow)", "crm: write of version 1, accepted"):
        assert shown in page
    browser.client.headers["accept-language"] = "es"
    page = (await browser.open("/console/call?id=2")).text
    for shown in ("<strong>Recibido</strong>", "crm: envío de la versión 1, aceptada"):
        assert shown in page
    assert "forma parte de" not in page
    assert CANARY not in page


async def test_an_unknown_call_is_explained(relay_and_browser: tuple[Relay, Browser]) -> None:
    _, browser = relay_and_browser
    page = await browser.open("/console/call?id=nothing", accept_language="es")
    assert page.status_code == 404
    assert "No ha llegado ningún evento con nothing" in page.text


async def test_a_call_is_sent_again_to_one_destination(relay_and_browser: tuple[Relay, Browser]) -> None:
    relay, browser = relay_and_browser
    await relay.ledger.write(lambda c: destinations.pause(c, "crm", now=Instant(1)))
    await browser.open("/console/call?id=1")
    with capture_logs() as lines:
        page = await browser.post("/console/call/push", id="cloudtalk-1", destination="crm")
    assert str(page.url).endswith("/console/call?id=cloudtalk-1&done=sent")
    assert "Pending" in page.text
    actions = [(line["action"], line["target"]) for line in lines if line["event"] == "console.action"]
    assert actions == [("push", "cloudtalk-1 crm")]
    assert "crm: sent again (session " in page.text


@pytest.mark.parametrize("fields", [{"id": "nothing"}, {"id": "1", "destination": "other"}, {}])
async def test_only_known_calls_and_destinations_are_sent(
    relay_and_browser: tuple[Relay, Browser], fields: dict[str, str]
) -> None:
    _, browser = relay_and_browser
    await browser.open("/console/call?id=1")
    assert (await browser.post("/console/call/push", **fields)).status_code == 404


# --- the overview ---------------------------------------------------------------------------------


async def test_the_overview_says_that_nothing_needs_a_person(
    relay_and_browser: tuple[Relay, Browser],
) -> None:
    _, browser = relay_and_browser
    page = (await browser.open("/console")).text
    for shown in ("Nothing needs a person", "CloudTalk sends", "just now", "crm has all its calls (2)"):
        assert shown in page
    assert 'aria-label="Calls and events per hour' in page


async def test_the_overview_begins_with_what_needs_a_person(relay_and_browser: tuple[Relay, Browser]) -> None:
    relay, browser = relay_and_browser
    await relay.ledger.write(lambda c: destinations.pause(c, "crm", now=Instant(1)))
    headers = {"authorization": f"Bearer {CANARY}"}
    await browser.client.post(WEBHOOK_PATH, json={"event": "call.ended", "data": {}}, headers=headers)
    page = (await browser.open("/console")).text
    assert "Nothing needs a person" not in page
    assert page.index("One body could not be read") < page.index("From CloudTalk")
    assert page.index("Paused") > page.index("To the CRMs")
    assert re.search(r"Paused <time[^>]*>[0-9]+ d ago</time>", page)
    spanish = (await browser.open("/console", accept_language="es")).text
    assert re.search(r"En pausa: <time[^>]*>hace [0-9]+ d</time>", spanish)
    assert "<dt>Delivered today</dt><dd>2</dd>" in page


async def test_the_overview_and_the_check_show_requests_with_a_wrong_token(
    relay_and_browser: tuple[Relay, Browser],
) -> None:
    relay, browser = relay_and_browser
    headers = {"authorization": "Bearer a-token-that-is-not-listed"}
    await browser.client.post(WEBHOOK_PATH, json=EVENTS[0], headers=headers)
    assert relay.ingest is not None
    await relay.ingest.endpoint.refused_senders.store()
    page = (await browser.open("/console/")).text
    assert 'notice bad"><p>Requests with a wrong token are refused, the last at <time' in page
    assert 'href="./set-up#cloudtalk"' in page
    await browser.open("/console/set-up")
    assert "requests with a wrong token are refused" in (await browser.post("/console/set-up/check")).text
