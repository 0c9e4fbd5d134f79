"""`update` with real relays: two on one ledger, and a Supabase project, HubSpot accounts and receivers.

Each kind of CRM is there twice: for `complete` and for `never`.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any, Final

import pytest
from sqlalchemy import make_url

from tests.fakes.hubspot import TOKEN, RunningHubSpot, running_hubspot
from tests.support.receiver import Receiver
from tests.support.relay import RelayProcess, eventually, running_relay
from tests.support.supabase import Supabase, running_supabase

UUID: Final = "3f0d6a52-7d0e-4a54-9a4b-6b1a5a0c9e11"
OTHER: Final = "b1f0c1de-52a5-4f0b-8a3e-0f2d8f5c2a77"
RULES: Final = ("complete", "never")
TABLES: Final = {"complete": "calls", "never": "calls_once"}
SETTINGS: Final = """
[server]
port = 0
[ledger]
url = "{ledger}"
"""
DESTINATION: Final = """
[destinations.{client}-{rule}]
client = "{client}"
update = "{rule}"
complete_after_seconds = 1
{lines}
"""


class Crms:
    """A CRM of each kind for each rule."""

    def __init__(self, stack: ExitStack) -> None:
        self.supabase: Supabase = stack.enter_context(running_supabase())
        self.supabase.create_table("calls_once")
        self.supabase.execute("CREATE DATABASE ledger TEMPLATE template0")
        self.receivers = {rule: stack.enter_context(closing(Receiver())) for rule in RULES}
        self.hubspots: dict[str, RunningHubSpot] = {}
        for rule in RULES:
            self.hubspots[rule] = stack.enter_context(running_hubspot())
            self.hubspots[rule].hubspot.create_relay_properties()

    @property
    def settings(self) -> str:
        ledger = make_url(self.supabase.dsn).set(database="ledger").render_as_string(hide_password=False)
        return SETTINGS.format(ledger=ledger) + "".join(map(self._destinations, RULES))

    def _destinations(self, rule: str) -> str:
        by_client: dict[str, dict[str, Any]] = {
            "supabase": {"url": self.supabase.url, "key": self.supabase.key, "table": TABLES[rule]},
            "hubspot": {"token": TOKEN, "base_url": self.hubspots[rule].url, "contacts": "off"},
            "webhook": self.receivers[rule].settings(),
        }
        lines = {
            client: "\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
            for client, values in by_client.items()
        }
        return "".join(
            DESTINATION.format(client=client, rule=rule, lines=lines[client]) for client in by_client
        )

    def recordings(self, rule: str) -> list[dict[str, str | None]]:
        """The recording of each call by its id, in each CRM of this rule."""
        in_hubspot = [record.properties for record in self.hubspots[rule].hubspot.calls.records.values()]
        return [
            {row["id"]: row["recording_url"] for row in self.supabase.rows(TABLES[rule])},
            {each["cloudtalk_call_id"]: each.get("hs_call_recording_url") for each in in_hubspot},
            {id_: call["recording_url"] for id_, call in self.receivers[rule].calls.items()},
        ]

    def wait_for(self, rule: str, expected: dict[str, str]) -> None:
        eventually(lambda: self.recordings(rule), lambda found: found == [expected] * 3)


def said(kind: str, id_: str, recording: str | None = None, **fields: Any) -> dict[str, Any]:
    url = {} if recording is None else {"recording_url": f"https://rec.example/{recording}"}
    common = {"direction": "inbound", "from": "+34611222333", "to": "+34910000009"}
    return {"event": f"call.{kind}", "data": {"id": id_, **common, **url, **fields}}


@pytest.fixture(scope="module")
def crms() -> Iterator[Crms]:
    with ExitStack() as stack:
        yield Crms(stack)


@pytest.fixture(scope="module")
def relays(crms: Crms, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RelayProcess]]:
    """Two relays on one ledger: each destination is served by one of them."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(running_relay(tmp_path_factory.mktemp(name), crms.settings))
            for name in ("one", "two")
        ]


def test_each_crm_gets_complete_calls_by_its_rule(crms: Crms, relays: list[RelayProcess]) -> None:
    one, two = relays
    ended = [
        [said("ended", "102", "first", duration=9)],
        [said("ended", UUID, "kept", duration=9), said("answered", UUID, call_id="77")],
        [said("ended", "77", "split-off", duration=9)],
        [said("ended", OTHER, "survivor", duration=9)],
        [said("ended", "88", "merged", duration=9)],
    ]
    started = [said("started", id_) for id_ in ("101", "102", UUID, OTHER)]
    assert one.post([*started, *(event for events in ended for event in events)]).status_code == 200
    first = {
        "cloudtalk-102": "https://rec.example/first",
        f"cloudtalk-{UUID}": "https://rec.example/split-off",
        f"cloudtalk-{OTHER}": "https://rec.example/survivor",
        "cloudtalk-88": "https://rec.example/merged",
    }
    for rule in RULES:
        crms.wait_for(rule, first)

    assert two.post([said("ended", "102", "second", duration=9)]).status_code == 200
    split = two.command("calls", "split", f"cloudtalk-{UUID}")
    assert split.returncode == 0, split.stderr
    one.stop()
    assert two.post([said("ended", OTHER, call_id="88", duration=9)]).status_code == 200
    del first["cloudtalk-88"]
    split_off = {"cloudtalk-77": "https://rec.example/split-off"}
    crms.wait_for("never", first | split_off)
    changed = {
        "cloudtalk-102": "https://rec.example/second",
        f"cloudtalk-{UUID}": "https://rec.example/kept",
        f"cloudtalk-{OTHER}": "https://rec.example/survivor",
    }
    crms.wait_for("complete", changed | split_off)
    states = {
        (each["destination"], each["explanation_code"])
        for each in json.loads(two.command("calls", "show", "cloudtalk-102", "--json").stdout)["deliveries"]
    }
    assert states == {
        *((f"{client}-complete", "delivered") for client in ("supabase", "hubspot", "webhook")),
        *((f"{client}-never", "not_updated") for client in ("supabase", "hubspot", "webhook")),
    }
