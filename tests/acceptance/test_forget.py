"""`relay forget` leaves no trace of a person, with real processes, CRMs and databases."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from crm_clients.supabase.settings import KV_TABLE
from relay.standards.phone_mentions import PhoneMention
from tests.fakes.cloudtalk import FakeCloudTalk, threaded_cloudtalk
from tests.fakes.hubspot import TOKEN, HubSpot, RunningHubSpot, running_hubspot
from tests.support.ledger_content import read_all_rows, read_files
from tests.support.patience import http_client
from tests.support.recordings import recorded_call, wav
from tests.support.relay import RelayProcess, crm_rows, eventually, running_relay
from tests.support.servers import free_port
from tests.support.supabase import Supabase, running_supabase

NUMBER: Final = PhoneMention("+34612345678")
NAME: Final = "Ana Secreta"
IDS: Final = ("0000000000a1", "0000000000a2", "70000000a3", "7000000071", "7000000072", "mission-9")
"""Parts of the ids that CloudTalk gave to the calls of the person."""

OTHER: Final = "+34699999999"
UUID_1: Final = "44fe27cd-5268-4670-993e-0000000000a1"
UUID_2: Final = "44fe27cd-5268-4670-993e-0000000000a2"

YESTERDAY: Final = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d %H:%M}"
"""A missed call that is older than a week gets no task."""

SETTINGS: Final = """
[server]
port = {port}
public_url = "http://127.0.0.1:{port}"
[ledger]
url = "{ledger}"
[cloudtalk.api]
key_id = "id"
key_secret = "secret"
base_url = "{cloudtalk}/api"
[enrich]
analytics = false
[recordings]
proxy = true
keep = true
keep_url = "archive"
signing_keys = ["key-of-the-links-0123456789"]
allowed_hosts = ["127.0.0.1"]
[delivery]
first_retry_seconds = 0.2
longest_retry_seconds = 1
[destinations.crm]
client = "local"
path = "crm.db"
[destinations.hub]
client = "hubspot"
token = "{token}"
base_url = "{hubspot}"
contacts = "match"
[destinations.kv]
client = "supabase"
url = "{supabase}"
key = "{key}"
layout = "kv"
tasks = true
[destinations.table]
client = "supabase"
url = "{supabase}"
key = "{key}"
"""


@pytest.fixture(scope="module")
def supabase() -> Iterator[Supabase]:
    with running_supabase() as running:
        yield running


@pytest.fixture
def hubspot() -> Iterator[RunningHubSpot]:
    account = HubSpot()
    account.create_relay_properties()
    account.contacts.add(phone="+34612345678", firstname="Ana")
    with running_hubspot(account) as running:
        yield running


@pytest.fixture
def cloudtalk() -> Iterator[FakeCloudTalk]:
    with threaded_cloudtalk({"7000000071": wav(1), "7000000072": wav(1)}) as fake:
        yield fake


class Office:
    """A relay with four CRMs, and what a person leaves in them."""

    def __init__(
        self,
        relay: RelayProcess,
        url: str,
        hubspot: HubSpot,
        supabase: Supabase,
        cloudtalk: FakeCloudTalk,
    ) -> None:
        self.relay = relay
        self.url = url
        self.hubspot = hubspot
        self.supabase = supabase
        self.cloudtalk = cloudtalk
        self.folder = relay.folder

    def receive(self, body: Any) -> None:
        assert self.relay.post(body).status_code in {200, 422}

    def receive_calls(self) -> None:
        """Calls of one person in many spellings, and one call of another person."""
        ct = self.cloudtalk.url
        self.receive(recorded_call("7000000071", ct, call_uuid=UUID_1, **{"contacts[0].name": NAME}))
        self.receive(recorded_call("7000000072", ct, call_uuid=UUID_2, external_number="612 34 56 78"))
        missed = {"direction": "incoming", "internal_number": 34910000000, "started_at": YESTERDAY}
        self.receive(
            missed | {"event": "call.ended", "call_uuid": UUID_1[:-2] + "b1", "external_number": OTHER}
        )
        self.receive(
            missed
            | {
                "event": "call.ended",
                "call_id": "70000000a3",
                "external_number": "0034612345678",
                "contact_name": NAME,
                "talking_time": 0,
            }
        )
        mission = {"id": "mission-9", "direction": "inbound", "from": "+34612345678", "to": "+34910000000"}
        self.receive({"event": "call.started", "data": mission | {"contact_name": NAME}})
        self.receive({"event": "recording.uploaded", "call_id": 7000000071, "recording_url": f"{ct}/x.wav"})
        self.receive({"event": "call.ended", "external_number": "(+34) 612-345-678"})  # no id: quarantine

    def wait_for_deliveries(self) -> None:
        def pending() -> list[int]:
            found = json.loads(self.relay.command("destinations", "list", "--json").stdout)
            return [each["pending"] for each in found]

        eventually(lambda: len(self.hubspot.calls.records), lambda number: number == 5)
        eventually(pending, lambda counts: counts == [0, 0, 0, 0])

    def play_recording(self) -> None:
        """Let the cache have a recording too."""
        rows = crm_rows(self.folder / "crm.db")
        (link,) = [row["recording_url"] for id_, row in rows.items() if UUID_2 in id_]
        with http_client() as client:
            assert client.get(link).status_code == 200

    def forget(self, *arguments: str) -> dict[str, Any]:
        result = self.relay.command("forget", *arguments, "--yes", "--json")
        assert result.returncode == 0, result.stdout + result.stderr
        assert not is_personal(result.stdout + result.stderr)
        receipt: dict[str, Any] = json.loads(result.stdout)
        return receipt

    def count_forgotten_events(self, log_offset: int) -> int:
        lines = self.relay.log_lines(log_offset)
        return sum(line["events"] for line in lines if line["event"] == "event.forgotten")

    def read_customers(self) -> tuple[list[str], list[Any]]:
        """What the CRMs have of the person besides calls and tasks."""
        contacts = [each.properties["firstname"] for each in self.hubspot.contacts.records.values()]
        return contacts, [value for key, value in self.supabase.values().items() if key == "cliente:c1"]

    def find_traces(self) -> list[str]:
        """Name the places that have the person's number in any spelling, the name, or an id of a call."""
        places = {f"ledger {name}": text for name, text in read_all_rows(self.url).items()}
        files = read_files(
            self.folder / "crm.db",
            *self.folder.glob("relay.db*"),
            self.folder / "var",
            self.folder / "archive",
        )
        places |= {str(path): body.decode(errors="replace") for path, body in files}
        places |= {
            "hubspot calls": str(self.hubspot.calls.records),
            "hubspot tasks": str(self.hubspot.tasks.records),
            "supabase kv": str({k: v for k, v in self.supabase.values().items() if k != "cliente:c1"}),
            "supabase table": str(self.supabase.rows()),
        }
        return [place for place, text in places.items() if is_personal(text)]


def is_personal(text: str) -> bool:
    return NUMBER.is_in(text) or NAME in text or any(id_ in text for id_ in IDS)


@contextmanager
def running_office(
    folder: Path, url: str, hubspot: RunningHubSpot, supabase: Supabase, cloudtalk: FakeCloudTalk
) -> Iterator[Office]:
    supabase.execute(f"truncate calls; truncate {KV_TABLE}")
    supabase.put({"cliente:c1": {"id": "c1", "nombre": "Ana", "telefono": "612 345 678"}})
    settings = SETTINGS.format(
        port=free_port(),
        ledger=url,
        cloudtalk=cloudtalk.url,
        token=TOKEN,
        hubspot=hubspot.url,
        supabase=supabase.url,
        key=supabase.key,
    )
    with running_relay(folder, settings) as relay:
        yield Office(relay, url, hubspot.hubspot, supabase, cloudtalk)


def test_nothing_is_left_of_a_number_and_nothing_returns(
    tmp_path: Path,
    ledger_url: str,
    hubspot: RunningHubSpot,
    supabase: Supabase,
    cloudtalk: FakeCloudTalk,
) -> None:
    with running_office(tmp_path, ledger_url, hubspot, supabase, cloudtalk) as office:
        office.receive_calls()
        office.wait_for_deliveries()
        eventually(lambda: list((tmp_path / "archive").rglob("*.audio")), lambda found: len(found) == 2)
        office.play_recording()
        places = {"ledger calls", "ledger bodies", "ledger quarantine", "ledger aliases", "ledger call_terms"}
        places |= {"hubspot calls", "hubspot tasks", "supabase kv", "supabase table", "ledger client_state"}
        assert places <= set(office.find_traces())
        log_offset = office.relay.log_path.stat().st_size

        receipt = office.forget("612 34 56 78", "--at-source")

        assert {each["destination"]: (each["state"], each["calls"]) for each in receipt["destinations"]} == {
            "crm": ("erased", 4),
            "hub": ("erased", 4),
            "kv": ("erased", 4),
            "table": ("erased", 4),
        }
        assert receipt["at_source"] == {"deleted": 2, "absent": 0, "failed": [], "advice": None}
        assert (receipt["subject"], receipt["calls"], receipt["quarantined"]) == ("number", 4, 1)
        assert (receipt["complete"], receipt["mentions"], receipt["left"]) == (True, [], [])
        assert office.cloudtalk.deleted == ["7000000071", "7000000072"]
        assert office.find_traces() == []
        assert office.read_customers() == (
            ["Ana"],
            [{"id": "c1", "nombre": "Ana", "telefono": "612 345 678"}],
        )

        # What arrives late does not bring the calls back: by an id, and by the number and the start.
        office.receive({"event": "call.modified", "call_uuid": UUID_1, "tags": "vip"})
        office.receive({"event": "call.modified", "call_id": 7000000072, "note": f"{NAME} 612345678"})
        office.receive(recorded_call("7000000099", office.cloudtalk.url, call_uuid=UUID_1[:-2] + "c9"))
        eventually(lambda: office.count_forgotten_events(log_offset), lambda number: number == 3)
        eventually(office.find_traces, lambda places: places == [])
        log = office.relay.log_path.read_bytes()[log_offset:].decode()
        assert not NUMBER.is_in(log)
        assert NAME not in log

        # A call that begins later is a new one.
        later = {"id": "later-1", "direction": "inbound", "from": "+34612345678", "to": "+34910000000"}
        office.receive({"event": "call.started", "data": later})
        eventually(lambda: set(crm_rows(tmp_path / "crm.db")), lambda ids: "cloudtalk-later-1" in ids)
