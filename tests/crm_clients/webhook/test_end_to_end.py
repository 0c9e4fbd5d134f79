"""A real relay and a receiver that verifies the signatures."""

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


def test_simulated_calls_reach_the_receiver_and_no_output_contains_the_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    with closing(Receiver()) as receiver:
        settings = SETTINGS.format(url=receiver.url + PATH)
        with running_relay(tmp_path, settings) as relay:
            sent = relay.command("simulate", "--url", relay.url, "--calls", "20", "--seed", "4", "--json")
            assert sent.returncode == 0, sent.stderr
            expected = {each["id"]: each for each in json.loads(sent.stdout)["expected"]}
            eventually(
                lambda: differing_calls(expected, receiver.calls), lambda differing: not differing, seconds=20
            )
            output = relay.log_path.read_text() + relay.command("status", "--json").stdout
        assert receiver.seen
    for secret in receiver.secrets():
        assert secret not in output


def differing_calls(expected: dict[str, dict[str, Any]], received: dict[str, dict[str, Any]]) -> list[str]:
    """Return the ids of the calls that the receiver does not have, or has with other values."""
    return [
        id_
        for id_ in expected.keys() | received.keys()
        if id_ not in received
        or any(received[id_].get(key) != value for key, value in expected.get(id_, {}).items())
    ]
