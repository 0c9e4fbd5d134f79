"""A real relay and a receiver that verifies: the simulated calls stand there as they were told."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.support.receiver import PATH, SECRET, Receiver
from tests.support.relay import eventually, running_relay

SETTINGS = """
[server]
port = 0
[ledger]
url = "sqlite:///relay.db"
[destinations.hook]
client = "webhook"
url = "{url}"
secret_file = "secret"
allow_private = true
concurrency = 4
"""


def test_simulated_calls_reach_a_receiver_and_nothing_tells_the_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    with closing(Receiver()) as receiver:
        settings = SETTINGS.format(url=receiver.url + PATH)
        with running_relay(tmp_path, settings) as relay:
            sent = relay.command("simulate", "--url", relay.url, "--calls", "20", "--seed", "4", "--json")
            assert sent.returncode == 0, sent.stderr
            expected = {each["id"]: each for each in json.loads(sent.stdout)["expected"]}
            eventually(lambda: wrong(expected, receiver.calls), lambda found: not found, seconds=20)
            said = relay.log_path.read_text() + relay.command("status", "--json").stdout
        assert receiver.seen
    for secret in receiver.secrets():
        assert secret not in said


def wrong(expected: dict[str, dict[str, Any]], told: dict[str, dict[str, Any]]) -> list[str]:
    """The ids of those calls of which the receiver has another idea."""
    return [
        id_
        for id_ in expected.keys() | told.keys()
        if id_ not in told or any(told[id_].get(key) != value for key, value in expected.get(id_, {}).items())
    ]
