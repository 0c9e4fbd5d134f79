"""A person uses the console of a real relay in a real browser."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.fakes.cloudtalk import FakeCloudTalk, threaded_cloudtalk
from tests.support.chromium import overflow, serious_faults
from tests.support.office import FIRST_ID, bodies
from tests.support.patience import http_client
from tests.support.recordings import recorded_call, wav
from tests.support.relay import RelayProcess, crm_rows, eventually, running_relay
from tests.support.servers import free_port

TOKEN = "console-Canary-7f3a91c2d4"
CANARY = "Canary-7f3a91c2d4"
CALLS = 30
PAGES = (
    *("", "calls", f"call?id={FIRST_ID}", "call?id=nothing", "calls?q=nothing"),
    *("dead-letters", "quarantine", "quarantine/reason?reason=missing_id", "audit", "set-up"),
)
SETTINGS = """
[server]
port = {port}
public_url = "http://127.0.0.1:{port}"
[cloudtalk]
tokens = ["webhook-{canary}"]
signing_secrets = ["whsec_Q2FuYXJ5LTdmM2E5MWMyZDQtQ2FuYXJ5LTdmM2E5MWMyZDQ="]
[cloudtalk.api]
key_id = "api-id-{canary}"
key_secret = "api-secret-{canary}"
base_url = "{cloudtalk}/api"
analytics_url = "{cloudtalk}/analytics"
[recordings]
proxy = true
signing_keys = ["key-of-links-{canary}"]
allowed_hosts = ["127.0.0.1"]
[console]
tokens = ["{token}"]
[destinations.crm]
client = "local"
path = "crm.db"
record_url = "https://crm.example.com/calls/{{remote_id}}"
[destinations.erp]
client = "webhook"
url = "http://127.0.0.1:9/{canary}"
secret = "whsec_Q2FuYXJ5LTdmM2E5MWMyZDQtQ2FuYXJ5LTdmM2E5MWMyZDQ="
allow_private = true
"""


@pytest.fixture(scope="module")
def cloudtalk() -> Iterator[FakeCloudTalk]:
    with threaded_cloudtalk({"7": wav(1_200)}) as fake:
        yield fake


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory, cloudtalk: FakeCloudTalk) -> Iterator[RelayProcess]:
    folder = tmp_path_factory.mktemp("relay")
    settings = SETTINGS.format(port=free_port(), cloudtalk=cloudtalk.url, token=TOKEN, canary=CANARY)
    with running_relay(folder, settings) as running:
        send = {"authorization": f"Bearer webhook-{CANARY}"}
        with http_client(running.url, headers=send) as client:
            without_id = {"event": "call.ended", "note": f"webhook-{CANARY}"}
            for body in [*bodies(CALLS), recorded_call("7", cloudtalk.url), without_id]:
                client.post("/cloudtalk/webhook", json=body)
        eventually(lambda: crm_rows(folder / "crm.db"), lambda rows: len(rows) == CALLS + 1)
        yield running


def sign_in(page: Page, relay: RelayProcess, path: str = "") -> None:
    page.goto(f"{relay.url}/console/{path}")
    page.locator("#token").fill(TOKEN)
    page.locator("button.primary").click()
    expect(page.locator("nav").first).to_be_attached()


def post_call(relay: RelayProcess, id_: str, name: str) -> None:
    data = {"call_id": id_, "direction": "inbound", "external_number": "+34611000222", "contact_name": name}
    headers = {"authorization": f"Bearer webhook-{CANARY}"}
    assert relay.post({"event": "call.started", "data": data}, headers=headers).status_code == 200


WAYS = [
    {"locale": "es-ES", "color_scheme": "light", "viewport": {"width": 390, "height": 844}},
    {"locale": "en-GB", "color_scheme": "dark", "viewport": {"width": 390, "height": 844}},
    {"locale": "en-GB", "color_scheme": "light", "viewport": {"width": 1280, "height": 860}},
    {"locale": "es-ES", "color_scheme": "dark", "viewport": {"width": 1280, "height": 860}},
]


@pytest.mark.parametrize("context", WAYS, indirect=True, ids=["es phone", "en phone dark", "en", "es dark"])
def test_every_page_is_accessible_fits_its_window_and_has_no_secret(
    relay: RelayProcess, page: Page, faults: list[str]
) -> None:
    page.goto(f"{relay.url}/console/")
    assert serious_faults(page) == []
    faults.clear()  # the status 401 of the sign-in is an error to the browser's console
    sign_in(page, relay)
    for path in PAGES:
        page.goto(f"{relay.url}/console/{path}")
        page.evaluate("document.querySelectorAll('main details').forEach((each) => { each.open = true; })")
        assert serious_faults(page) == [], path
        assert overflow(page) <= 0, path
        assert CANARY not in page.content(), path
    assert [fault for fault in faults if "404" not in fault and "401" not in fault] == []


def test_the_chart_of_the_overview_is_as_wide_as_its_card(relay: RelayProcess, page: Page) -> None:
    sign_in(page, relay)
    page.set_viewport_size({"width": 1400, "height": 900})
    drawn, card = page.locator(".chart svg").evaluate(
        "svg => [svg.viewBox.baseVal.width * svg.getScreenCTM().a, svg.getBoundingClientRect().width]"
    )
    assert card > 900
    assert round(drawn) == round(card)


def test_a_person_finds_a_call_without_accents_and_reads_where_it_is(relay: RelayProcess, page: Page) -> None:
    sign_in(page, relay)
    page.get_by_role("link", name="Calls").first.click()
    page.get_by_role("searchbox").fill("garcia")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody tr")).to_have_count(3)
    page.get_by_role("link", name="María García Pérez").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("María García Pérez")
    expect(page.locator(".delivery").first).to_contain_text("In crm")
    expect(page.locator(".delivery").last).to_contain_text("erp is down or cannot be reached")
    link = page.get_by_role("link", name="Open in crm").get_attribute("href")
    assert link == f"https://crm.example.com/calls/cloudtalk-{FIRST_ID}"


def test_a_new_call_appears_within_a_second_without_reloading(relay: RelayProcess, page: Page) -> None:
    sign_in(page, relay, "calls")
    expect(page.locator("#live")).to_have_text("Live")
    took = []
    for number in range(3):
        name = f"Nadia Nueva {number}"
        began = time.monotonic()
        post_call(relay, f"new-{number}", name)
        page.get_by_role("link", name=name).wait_for()
        took.append(time.monotonic() - began)
    assert min(took) < 1.0, took
    expect(page.locator("#announce")).to_have_text("New calls: 1")
    page.get_by_role("link", name="Nadia Nueva 2").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nadia Nueva 2")
    page.get_by_role("link", name="← All calls").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Calls")


def test_a_person_sends_a_call_again(relay: RelayProcess, page: Page) -> None:
    sign_in(page, relay, f"call?id={FIRST_ID}")
    page.get_by_role("button", name="Send again crm").click()
    expect(page.get_by_role("status").filter(has_text="is sent again")).to_be_visible()
    lines = [line for line in relay.log_lines() if line["event"] == "console.action"]
    assert lines[-1]["action"] == "push"
    assert lines[-1]["target"] == f"cloudtalk-{FIRST_ID} crm"
    assert len(lines[-1]["session"]) == 8
    # The page follows the delivery to its end without reloading.
    expect(page.locator(".delivery").first).to_contain_text("In crm: it has the newest version")
    expect(page.get_by_role("status").filter(has_text="is sent again")).to_be_visible()


INSIDE = """(selector) => [...document.querySelectorAll(selector)].every((each) => {
    const [inner, outer] = [each.getBoundingClientRect(), each.closest(".card").getBoundingClientRect()];
    return inner.width > 0 && inner.left >= outer.left && inner.right <= outer.right;
})"""
"""Whether each of these elements is inside its card."""


@pytest.mark.parametrize("context", [WAYS[0]], indirect=True, ids=["phone"])
def test_the_names_of_many_crms_and_large_numbers_fit_a_phone(relay: RelayProcess, page: Page) -> None:
    sign_in(page, relay, "calls")
    page.evaluate("""document.querySelectorAll(".pill .of").forEach(
        (each) => { each.textContent = "archive, billing, contact-center, crm, reporting"; })""")
    assert page.evaluate(INSIDE, "#calls .pill")
    page.goto(f"{relay.url}/console/")
    page.evaluate("""document.querySelectorAll(".chart .axis[text-anchor=end]").forEach(
        (each) => { each.textContent = "20\u202f000"; })""")
    assert page.evaluate(INSIDE, ".chart .axis[text-anchor=end]")


def test_a_number_can_be_called(relay: RelayProcess, page: Page) -> None:
    sign_in(page, relay, f"call?id={FIRST_ID}")
    link = page.get_by_role("main").locator("a[href^=tel]").first
    assert link.get_attribute("href") == f"tel:{link.inner_text()}"


def test_a_recording_plays_and_seeks(relay: RelayProcess, page: Page) -> None:
    sign_in(page, relay, "call?id=7")
    player = page.locator("audio")
    player.evaluate("(audio) => { audio.muted = true; return audio.play(); }")
    assert player.evaluate("(audio) => audio.duration") == pytest.approx(1_200, abs=1)
    played = player.evaluate("""(audio) => new Promise((done) => {
        audio.currentTime = 1000;
        audio.ontimeupdate = () => { if (audio.currentTime > 1000.2) done(audio.currentTime); };
    })""")
    assert 1_000.2 < played < 1_100
    assert player.evaluate("(audio) => audio.error") is None


def test_who_is_not_signed_in_or_sends_a_forged_token_is_refused(relay: RelayProcess, page: Page) -> None:
    response = page.goto(f"{relay.url}/console/calls")
    assert response is not None
    assert response.status == 401
    expect(page.locator("table")).to_have_count(0)
    page.locator("#token").fill("wrong-token-0123456789")
    page.locator("button.primary").click()
    expect(page.get_by_role("alert")).to_contain_text("not in the settings")
    sign_in(page, relay, f"call?id={FIRST_ID}")
    page.evaluate(
        "document.querySelectorAll('[name=csrf]').forEach((each) => { each.value = '0'.repeat(64); })"
    )
    page.get_by_role("button", name="Send again crm").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The form was not accepted")


def test_language_and_colours_are_switched_and_remembered(relay: RelayProcess, page: Page) -> None:
    sign_in(page, relay, "calls")
    page.get_by_role("button", name="Español").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Gestión de llamadas")
    assert page.url.endswith("/console/calls")
    page.get_by_role("button", name="Oscuro").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).colorScheme || 'dark'") != "light"


@pytest.mark.parametrize("context", [WAYS[1]], indirect=True)
def test_the_keyboard_is_enough(relay: RelayProcess, page: Page) -> None:
    page.goto(f"{relay.url}/console/calls")
    page.keyboard.type(TOKEN)  # the field has the focus
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Calls")
    page.keyboard.press("Tab")
    expect(page.locator("a.skip")).to_be_focused()
    page.keyboard.press("Enter")
    for name in ("Export CSV", "All calls", "To call back"):
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name=name, exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("nunez")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="José Núñez").first).to_be_visible()


def test_an_open_list_says_when_the_relay_does_not_answer(relay: RelayProcess, page: Page) -> None:
    sign_in(page, relay, "calls")
    page.route("**/calls/rows*", lambda route: route.abort())
    expect(page.locator("#offline")).to_be_visible()
    expect(page.locator("#live")).to_have_text("Paused")
    page.unroute("**/calls/rows*")
    expect(page.locator("#live")).to_have_text("Live")
    expect(page.locator("#offline")).to_be_hidden()
