"""`relay serve`: what it logs before it listens."""

import json
import socket
import subprocess
import sys
from contextlib import closing

from relay.server.server import bind
from tests.support.home import LOCAL, Home
from tests.support.patience import PATIENCE


def log_of_start(home: Home, listening: socket.socket, **environment: str) -> list[dict[str, str]]:
    """Return the log of a relay whose port is taken, so that it ends at once."""
    port = str(listening.getsockname()[1])
    done = subprocess.run(  # noqa: S603 - fixed command
        [sys.executable, "-m", "relay", "--settings", home.path, "serve"],
        env={"RELAY__SERVER__PORT": port, "RELAY__LOG__FORMAT": "json"} | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, "Address already in use" in done.stderr) == (1, True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_each_warning_about_the_settings_is_logged(home: Home) -> None:
    with closing(bind("127.0.0.1", 0)) as listening:
        assert log_of_start(home, listening) == []
        home.write_settings(f"{LOCAL}enabled = false")
        disabled, variable = log_of_start(home, listening, RELAY_LOG_LEVEL="debug")
    assert (disabled["event"], disabled["level"], disabled["code"]) == (
        "settings.warning",
        "warning",
        "disabled",
    )
    assert disabled["problem"].startswith("crm: enabled = false")
    assert (variable["code"], variable["hint"]) == ("unknown_variable", "use RELAY__LOG__LEVEL instead")
