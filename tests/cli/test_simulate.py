"""`relay simulate`: its options and output, and a run against a real relay."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relay.cli import simulate as command
from relay.simulator import Report
from tests.support.home import LOCAL, Home
from tests.support.relay import WEBHOOK_PATH, RelayProcess, crm_rows, eventually, running_relay
from tests.support.servers import free_port

LABELS = {
    "in_progress": "En Progreso",
    "answered": "Completada",
    "completed": "Completada",
    "missed": "Perdida",
    "no_answer": "Perdida",
}
TOKEN = "open-sesame-of-the-tests"


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    settings = f'[server]\nport = 0\n[cloudtalk]\ntokens = ["{TOKEN}"]\n{LOCAL}'
    with running_relay(tmp_path_factory.mktemp("simulate"), settings) as process:
        yield process


def expected_row(expected: dict[str, Any]) -> dict[str, Any]:
    """Convert an expected record to a row of the embedded CRM."""
    return expected | {"status": LABELS[expected["status"]], "follow_up": int(expected["follow_up"])}


def test_with_chaos_the_crm_has_exactly_the_expected_records(relay: RelayProcess) -> None:
    options = ("--url", relay.url + WEBHOOK_PATH, "--token", TOKEN)
    result = relay.command("simulate", *options, "--calls", "60", "--chaos", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    assert report["acknowledged"] == report["sent"] > 60
    assert (report["refused"], report["unanswered"]) == ({}, 0)
    expected = {call["id"]: expected_row(call) for call in report["expected"]}
    assert len(expected) == 60
    assert {call["status"] for call in expected.values()} >= {"Completada", "Perdida"}

    def rows() -> dict[str, dict[str, Any]]:
        """The rows of this run, with the expected columns only."""
        prefix = f"cloudtalk-sim-{report['seed']:08x}"
        return {
            id_: {column: row[column] for column in expected.get(id_, row)}
            for id_, row in crm_rows(relay.folder / "crm.db").items()
            if id_.startswith(prefix)
        }

    eventually(rows, lambda found: found == expected)


def test_refused_events_are_reported_by_status_and_exit_with_1(relay: RelayProcess, home: Home) -> None:
    result = home.run(
        "simulate", "--url", relay.url + WEBHOOK_PATH, "--token", "guess", "--calls", "1", "--seed", "1"
    )
    assert result.exit_code == 1
    assert "were refused with status 401" in result.stderr
    assert " 0 acknowledged (seed 1)" in result.stdout
    assert TOKEN not in result.output


def test_events_without_a_response_are_reported_and_exit_with_1(home: Home) -> None:
    port = free_port()
    home.write_settings(f"[server]\nport = {port}\n{LOCAL}")
    result = home.run("simulate", "--calls", "2", "--seed", "1")
    assert result.exit_code == 1
    assert "had no response: check that a relay listens at this URL" in result.stderr
    assert f"sent to http://127.0.0.1:{port}/cloudtalk/webhook in" in result.stdout
    assert isinstance(result.exception, SystemExit)


# --- the options --------------------------------------------------------------------------


def report_of(**changes: Any) -> Report:
    report: dict[str, Any] = {
        "seed": 7,
        "dialect": "mission",
        "sent": 3,
        "acknowledged": 3,
        "refused": {},
        "unanswered": 0,
        "seconds": 0.5,
        "p50_ms": 1.25,
        "p95_ms": 2.5,
        "expected": [
            {
                "id": "cloudtalk-sim-1",
                "direction": "inbound",
                "status": "missed",
                "external_number": "+34600000001",
                "contact_name": "Íñigo",
                "duration_seconds": None,
                "follow_up": True,
            }
        ],
    }
    return Report(**report | changes)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The arguments of each run of the simulator, which is replaced by a fake."""
    arguments: list[dict[str, Any]] = []

    async def simulate(url: str, **options: Any) -> Report:
        arguments.append({"url": url} | options)
        return report_of()

    monkeypatch.setattr(command, "simulate", simulate)
    return arguments


def test_by_default_events_are_sent_to_the_relay_of_the_settings(
    home: Home, runs: list[dict[str, Any]]
) -> None:
    home.write_settings(
        f'[server]\nport = 8123\n[cloudtalk]\nwebhook_path = "/webhook"\ntokens = ["{TOKEN}", "old-{TOKEN}"]'
    )
    home.run("simulate")
    home.run("simulate", "--token", "old")
    assert [(run["url"], run["token"]) for run in runs] == [
        ("http://127.0.0.1:8123/webhook", TOKEN),
        ("http://127.0.0.1:8123/webhook", "old"),
    ]
    assert (runs[0]["calls"], runs[0]["rate"], runs[0]["chaos"], runs[0]["seed"]) == (10, None, False, None)


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("::1", "[::1]"),
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - not bound
        ("localhost", "localhost"),
    ],
)
def test_the_url_is_reachable_from_this_machine(
    home: Home, runs: list[dict[str, Any]], host: str, reached: str
) -> None:
    home.write_settings(f'[server]\nhost = "{host}"\n[cloudtalk]\ntokens = ["{TOKEN}"]')
    assert home.run("simulate").exit_code == 0
    assert runs[0]["url"] == f"http://{reached}:8080/cloudtalk/webhook"


def test_tokens_of_the_settings_are_not_sent_to_another_relay(home: Home, runs: list[dict[str, Any]]) -> None:
    home.write_settings(f'[cloudtalk]\ntokens = ["{TOKEN}"]')
    home.run(
        *("simulate", "--url", "https://relay.example/webhook", "--calls", "3", "--rate", "2.5"),
        *("--seed", "9", "--chaos"),
    )
    (run,) = runs
    del run["on_progress"]
    assert run == {
        "url": "https://relay.example/webhook",
        "token": None,
        "calls": 3,
        "rate": 2.5,
        "dialect": "mission",
        "signing_secret": None,
        "chaos": True,
        "seed": 9,
    }


def test_another_relay_needs_no_settings(tmp_path: Path, runs: list[dict[str, Any]]) -> None:
    home = Home(tmp_path)
    home.path.unlink()
    assert home.run("simulate", "--url", "http://127.0.0.1:1/webhook").exit_code == 0
    assert len(runs) == 1


def test_port_0_in_the_settings_requires_a_url(home: Home, runs: list[dict[str, Any]]) -> None:
    home.write_settings("[server]\nport = 0")
    result = home.run("simulate")
    assert (result.exit_code, runs) == (2, [])
    assert "--url" in result.stderr


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "",
        "127.0.0.1:8080/webhook",
        "http://",
        "http:///webhook",
        "ftp://a/b",
        "http://[::1",
        "http://a:b/",
    ],
)
def test_an_invalid_url_is_a_usage_error(home: Home, runs: list[dict[str, Any]], url: str) -> None:
    result = home.run("simulate", "--url", url)
    assert (result.exit_code, runs, result.stdout) == (2, [], "")
    assert "--url" in result.stderr
    assert repr(url) in result.stderr


@pytest.mark.parametrize("option", [("--calls", "0"), ("--rate", "0"), ("--rate", "-1"), ("--seed", "x")])
def test_a_number_out_of_bounds_is_a_usage_error(
    home: Home, runs: list[dict[str, Any]], option: tuple[str, str]
) -> None:
    assert (home.run("simulate", *option).exit_code, runs) == (2, [])


# --- the output ---------------------------------------------------------------------------------


def test_json_has_every_key_of_the_report(home: Home, runs: list[dict[str, Any]]) -> None:
    report = home.json("simulate")
    assert len(runs) == 1
    assert list(report) == [
        *(
            "seed",
            "dialect",
            "sent",
            "acknowledged",
            "refused",
            "unanswered",
            "seconds",
            "p50_ms",
            "p95_ms",
            "expected",
        )
    ]
    assert report["expected"][0]["contact_name"] == "Íñigo"


def test_the_table_has_a_line_per_call_and_the_totals_follow(home: Home, runs: list[dict[str, Any]]) -> None:
    result = home.run("simulate")
    assert len(runs) == 1
    assert result.stdout.splitlines()[1].split() == [
        *("cloudtalk-sim-1", "inbound", "missed", "+34600000001", "Íñigo", "True")
    ]
    assert "3 events of 1 calls sent to http://127.0.0.1:8080/cloudtalk/webhook in 0.5 s" in result.stdout
    assert "3 acknowledged (seed 7)" in result.stdout
    assert "1.25 ms (median), 2.5 ms (95th percentile)" in result.stdout
    assert result.stderr == ""


def test_the_url_of_the_relay_is_completed_with_the_path_of_the_webhook(
    tmp_path: Path, runs: list[dict[str, Any]]
) -> None:
    for url in ("http://127.0.0.1:1", "http://127.0.0.1:1/"):
        Home(tmp_path).run("simulate", "--url", url)
    assert [run["url"] for run in runs] == [f"http://127.0.0.1:1{WEBHOOK_PATH}"] * 2
