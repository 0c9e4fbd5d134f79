"""The files in `deploy/` for nginx, Caddy and systemd, each checked by its own program."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.debian import require_program
from tests.support.nginx import check_configuration, write_configuration
from tests.support.patience import PATIENCE

DEPLOY = Path(__file__).parents[2] / "deploy"
PROGRAM = "/opt/cloudtalk-relay/bin/relay"
UNITS = ("cloudtalk-relay.socket", "cloudtalk-relay.service")


def run(*line: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - fixed commands
        list(map(str, line)), capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@pytest.mark.parametrize(
    ("upstream", "relays"), [("upstream-one.conf", (8080,)), ("upstream-two.conf", (8080, 8081))]
)
def test_nginx_accepts_the_configuration(tmp_path: Path, upstream: str, relays: tuple[int, ...]) -> None:
    check_configuration(write_configuration(tmp_path / "nginx", upstream, port=8443, relays=relays))


def test_nginx_repeats_only_requests_of_the_webhook() -> None:
    text = (DEPLOY / "nginx" / "relay.conf").read_text()
    _, webhook, rest = text.split("location /")
    assert webhook.startswith("cloudtalk/webhook ")
    assert "non_idempotent;" in webhook
    assert "non_idempotent" not in rest


def test_caddy_accepts_the_configuration() -> None:
    caddy = require_program("caddy", package="caddy")
    file = DEPLOY / "caddy" / "Caddyfile"
    validated = run(caddy, "validate", "--adapter", "caddyfile", "--config", file)
    assert validated.returncode == 0, validated.stderr
    assert '"level":"warn"' not in validated.stderr


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The units, with a program that exists on this machine."""
    folder = tmp_path_factory.mktemp("units")
    for name in UNITS:
        text = (DEPLOY / "systemd" / name).read_text()
        (folder / name).write_text(text.replace(PROGRAM, sys.executable))
    return [folder / name for name in UNITS]


def test_systemd_accepts_the_units(units: list[Path]) -> None:
    verified = run(require_program("systemd-analyze", package="systemd"), "verify", *units)
    assert (verified.returncode, verified.stderr) == (0, "")
    assert f"ExecStart={PROGRAM} serve" in (DEPLOY / "systemd" / UNITS[1]).read_text()


def test_the_service_has_few_rights(units: list[Path]) -> None:
    analyze = require_program("systemd-analyze", package="systemd")
    # 100 is a service with all rights. The threshold is a number of tenths.
    line = ("security", "--offline=true", "--no-pager", "--threshold=20", units[1])
    rated = run(analyze, *line)
    assert rated.returncode == 0, rated.stdout[-300:]
