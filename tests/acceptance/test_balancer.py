"""nginx with the configuration in `deploy/`, two relays and a PostgreSQL survive the loss of one relay."""

import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests.support.nginx import running_nginx, write_configuration
from tests.support.patience import PATIENCE
from tests.support.postgres import Databases
from tests.support.relay import WEBHOOK_PATH, RelayProcess, crm_rows, eventually
from tests.support.servers import free_port

TOKEN = "kq8Xw2Lr0vNf7sYb5tGh3mJd"
SETTINGS = """
[server]
port = {port}
public_url = "https://localhost:{public}"
[cloudtalk]
tokens = ["{token}"]
[ledger]
url = "{ledger}"
[destinations.crm]
client = "local"
path = "{crm}"
"""
CALLS = 90
SENDERS = 6
EVENTS_BEFORE_THE_LOSS = 60


def events_of(call: int) -> list[dict[str, Any]]:
    """The events of a call that lasts one second more for each number."""
    started_at = "2024-11-28T10:30:00Z"
    ended_at = f"2024-11-28T10:{31 + call // 60:02}:{call % 60:02}Z"
    data = {"id": f"lb-{call}", "direction": "inbound", "from": "+34612345678", "to": "+34987654321"}
    ended = {"status": "completed", "duration": 60 + call, "ended_at": ended_at}
    return [
        {"event": "call.started", "data": data | {"started_at": started_at}},
        {"event": "call.answered", "data": data | {"started_at": started_at}},
        {"event": "call.ended", "data": data | {"started_at": started_at} | ended},
    ]


def send(url: str, context: ssl.SSLContext, calls: range, on_response: Callable[[int], None]) -> None:
    """Post the events of these calls one after the other, and repeat none."""
    with httpx.Client(verify=context, timeout=PATIENCE, trust_env=False) as client:
        for call in calls:
            for event in events_of(call):
                response = client.post(url, json=event, headers={"Authorization": f"Bearer {TOKEN}"})
                on_response(response.status_code)


def test_the_loss_of_a_relay_loses_no_event_and_refuses_no_request(
    tmp_path: Path, databases: Databases
) -> None:
    ports, public = [free_port(), free_port()], free_port()
    crm = tmp_path / "crm.db"
    main = write_configuration(tmp_path / "nginx", "upstream-two.conf", port=public, relays=ports)
    context = ssl.create_default_context(cafile=tmp_path / "nginx" / "fullchain.pem")
    statuses: list[int] = []
    has_enough = threading.Event()

    def count(status: int) -> None:
        statuses.append(status)
        if len(statuses) >= EVENTS_BEFORE_THE_LOSS:
            has_enough.set()

    with databases.ledger() as ledger, running_nginx(main):
        relays = []
        for port in ports:
            folder = tmp_path / str(port)
            folder.mkdir()
            values = {"port": port, "public": public, "token": TOKEN, "ledger": ledger, "crm": crm}
            relays.append(RelayProcess(folder, SETTINGS.format(**values)))
        try:
            for relay in relays:
                relay.start()
            url = f"https://localhost:{public}{WEBHOOK_PATH}"
            with ThreadPoolExecutor(SENDERS) as senders:
                parts = [range(CALLS)[number::SENDERS] for number in range(SENDERS)]
                sent = [senders.submit(send, url, context, part, count) for part in parts]
                assert has_enough.wait(PATIENCE)
                # The first one that started delivers: its work has to be continued, too.
                relays[0].kill()
                for future in sent:
                    future.result(PATIENCE)
            assert statuses == [200] * (3 * CALLS)
            expected = {f"cloudtalk-lb-{call}": ("Completada", 60 + call) for call in range(CALLS)}
            rows = eventually(lambda: durations_of(crm), lambda found: found == expected)
            assert len(rows) == CALLS
            assert min(accepted_by(relay) for relay in relays) > 0
        finally:
            for relay in relays:
                relay.stop()


def durations_of(crm: Path) -> dict[str, tuple[str, int]]:
    return {id_: (row["status"], row["duration_seconds"]) for id_, row in crm_rows(crm).items()}


def accepted_by(relay: RelayProcess) -> int:
    return sum(line["event"].startswith("CloudTalk Webhook Event") for line in relay.log_lines())
