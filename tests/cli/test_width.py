"""What the commands print fits 80 columns, and ids and numbers are never split."""

import msgspec
import pytest

from relay.instants import Instant
from relay.ledger import calls, deliveries, destinations, warnings
from relay.ledger.connection import Connection
from relay.ledger.destinations import Pause
from relay.ledger.states import DeliveryState
from tests.support.deliveries import delivered_update
from tests.support.home import LOCAL, Home
from tests.support.samples import RECEIVED_AT, make_call_row

WIDTH = 80
URL = f"https://my.cloudtalk.io/pub/r/MTAwMjQwMjQ4Nw%3D%3D/{'x' * 70}.wav"
LONG = {
    "recording_url": URL,
    "external_number": "+34612345678",
    "cloudtalk_data": {"call_uuid": "44fe27cd-5268-4670-993e-0129aabbccdd", "tags": "vip", "url": URL}
    | {f"custom attribute {number}": number for number in range(20)},
}
CALL = "cloudtalk-44fe27cd-5268-4670-993e-0129aabbccdd"
NAME = "the-crm-of-the-branch-in-barcelona"
MESSAGE = "the CRM refuses the record because its column is too short " * 3
SETTINGS = f"""
{LOCAL}
[destinations.{NAME}]
client = "local"
path = "other.db"
[destinations.unused]
client = "local"
path = "unused.db"
enabled = false
[server]
public_url = "http://relay.barcelona.example.com/cloudtalk/webhook"
[cloudtalk]
tokens = ["replace-me-with-a-token"]
"""


@pytest.fixture
def full(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A ledger with a dead letter, a pause and bodies in quarantine, all with long texts."""
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    home.write_settings(SETTINGS)
    home.path.chmod(0o644)
    row = make_call_row(CALL, 1, contact_name="María José Fernández García", notes="Llamar mañana. " * 20)
    row = msgspec.structs.replace(row, record=msgspec.structs.replace(row.record, **LONG))
    dead = delivered_update(
        call=CALL, state=DeliveryState.DEAD, delivered_version=0, outcome="rejected", message=MESSAGE
    )

    def write(connection: Connection) -> None:
        names = dict.fromkeys(("crm", NAME, "gone"), "local")
        destinations.register(connection, names)
        calls.write(connection, [row], [])
        deliveries.enqueue(connection, [(CALL, 1)], now=Instant(1))
        deliveries.settle(connection, NAME, [dead], now=Instant(1))
        warnings.record(connection, warnings.CLOCK_JUMPED, RECEIVED_AT, MESSAGE)
        destinations.pause_until(
            connection, "crm", Pause("failing", 60, "x", MESSAGE), until=RECEIVED_AT, now=Instant(1)
        )

    home.write_ledger(write)
    home.add_quarantined_body(b'{"event": "call.ended"}' * 9, reason="missing_id", message=MESSAGE)
    return home


COMMANDS = [
    "check",
    "status",
    "calls list",
    f"calls show {CALL}",
    "destinations list",
    f"destinations pause {NAME}",
    f"destinations resume {NAME}",
    "destinations probe crm",
    "dead list",
    f"dead show {CALL}",
    "quarantine list",
    "quarantine show 1",
    "quarantine retry 1",
    f"replay --destination {NAME} --call {CALL}",
    "rebuild",
    "cloudtalk-setup --lang en",
    "cloudtalk-setup --lang es",
]


def test_no_line_is_too_long_and_no_id_is_split(full: Home) -> None:
    printed = {command: full.run(*command.split()).stdout for command in COMMANDS}
    assert all(printed.values())
    too_long = [
        line
        for output in printed.values()
        for line in output.splitlines()
        # A path is one word, and so is a token in the row of a table.
        if len(line) > WIDTH and not line.startswith("|") and " " in line.strip()
    ]
    assert too_long == []
    assert "\nexternal_number   +34612345678\n" in printed[f"calls show {CALL}"]
    with_id = [command for command, output in printed.items() if CALL in output]
    assert with_id == ["calls list", f"calls show {CALL}", "dead list", f"dead show {CALL}"]
    hint = (
        "remove `enabled` from [destinations.unused] to deliver the pending calls, or remove the destination"
    )
    assert f"unused, disabled: {hint}" in " ".join(printed["check"].split())
