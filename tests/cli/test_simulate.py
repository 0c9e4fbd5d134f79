"""`relay simulate`: what it sends where, what it says came of it, and that a real relay comes to it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relay.cli import simulate as command
from relay.simulator import Report
from tests.support.home import LOCAL, Home
from tests.support.postgrest import free_port
from tests.support.relay import HOOK, RelayProcess, crm_rows, eventually, running_relay

LABELS = {
    "in_progress": "En Progreso",
    "answered": "Completada",
    "completed": "Completada",
    "missed": "Perdida",
    "no_answer": "Perdida",
}
TOKEN = "open-sesame"


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    settings = f'[server]\nport = 0\n[cloudtalk]\ntokens = ["{TOKEN}"]\n{LOCAL}'
    with running_relay(tmp_path_factory.mktemp("simulate"), settings) as process:
        yield process


def as_a_row(expected: dict[str, Any]) -> dict[str, Any]:
    """An expected record as the embedded CRM holds it."""
    return expected | {"status": LABELS[expected["status"]], "follow_up": int(expected["follow_up"])}


def test_under_chaos_the_crm_ends_with_every_expected_record_and_no_other(relay: RelayProcess) -> None:
    hook = ("--url", relay.url + HOOK, "--token", TOKEN)
    done = relay.command("simulate", *hook, "--calls", "60", "--chaos", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["acknowledged"] == report["sent"] > 60
    assert (report["refused"], report["unanswered"]) == ({}, 0)
    expected = {call["id"]: as_a_row(call) for call in report["expected"]}
    assert len(expected) == 60
    assert {call["status"] for call in expected.values()} >= {"Completada", "Perdida"}

    def rows() -> dict[str, dict[str, Any]]:
        """Those of this run, by the columns that it foretells."""
        prefix = f"cloudtalk-sim-{report['seed']:08x}"
        return {
            id_: {column: row[column] for column in expected.get(id_, row)}
            for id_, row in crm_rows(relay.folder / "crm.db").items()
            if id_.startswith(prefix)
        }

    eventually(rows, lambda found: found == expected)


def test_a_relay_that_refuses_is_told_by_the_status_and_ends_with_1(relay: RelayProcess, home: Home) -> None:
    done = home.run("simulate", "--url", relay.url + HOOK, "--token", "guess", "--calls", "1", "--seed", "1")
    assert done.exit_code == 1
    assert "refused with 401" in done.stderr
    assert " 0 acknowledged (seed 1)" in done.stdout
    assert TOKEN not in done.output


def test_where_nothing_listens_it_says_so_and_ends_with_1(home: Home) -> None:
    port = free_port()
    home.write(f"[server]\nport = {port}\n{LOCAL}")
    done = home.run("simulate", "--calls", "2", "--seed", "1")
    assert done.exit_code == 1
    assert "without an answer: does a relay listen there?" in done.stderr
    assert f"sent to http://127.0.0.1:{port}/cloudtalk/webhook in" in done.stdout
    assert isinstance(done.exception, SystemExit)


# --- what it sends where --------------------------------------------------------------------------


def report_of(**changes: Any) -> Report:
    told: dict[str, Any] = {
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
    return Report(**told | changes)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """How the simulator was asked to run; it runs nothing."""
    asked: list[dict[str, Any]] = []

    async def simulate(url: str, **how: Any) -> Report:
        asked.append({"url": url} | how)
        return report_of()

    monkeypatch.setattr(command, "simulate", simulate)
    return asked


def test_unless_told_otherwise_it_calls_the_relay_of_the_settings(
    home: Home, runs: list[dict[str, Any]]
) -> None:
    home.write(f'[server]\nport = 8123\n[cloudtalk]\nwebhook_path = "/hook"\ntokens = ["{TOKEN}", "old"]')
    home.run("simulate")
    home.run("simulate", "--token", "old")
    assert [(run["url"], run["token"]) for run in runs] == [
        ("http://127.0.0.1:8123/hook", TOKEN),
        ("http://127.0.0.1:8123/hook", "old"),
    ]
    assert (runs[0]["calls"], runs[0]["rate"], runs[0]["chaos"], runs[0]["seed"]) == (10, None, False, None)


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("::1", "[::1]"),
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - read, not bound
        ("localhost", "localhost"),
    ],
)
def test_it_reaches_the_relay_from_this_machine(
    home: Home, runs: list[dict[str, Any]], host: str, reached: str
) -> None:
    home.write(f'[server]\nhost = "{host}"\n[cloudtalk]\ntokens = ["{TOKEN}"]')
    assert home.run("simulate").exit_code == 0
    assert runs[0]["url"] == f"http://{reached}:8080/cloudtalk/webhook"


def test_another_relay_is_not_told_the_tokens_of_these_settings(
    home: Home, runs: list[dict[str, Any]]
) -> None:
    home.write(f'[cloudtalk]\ntokens = ["{TOKEN}"]')
    home.run(
        *("simulate", "--url", "https://relay.example/hook", "--calls", "3", "--rate", "2.5"),
        *("--seed", "9", "--chaos"),
    )
    (run,) = runs
    del run["on_progress"]
    assert run == {
        "url": "https://relay.example/hook",
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
    assert home.run("simulate", "--url", "http://127.0.0.1:1/hook").exit_code == 0
    assert len(runs) == 1


def test_a_port_that_only_the_relay_knows_must_be_told(home: Home, runs: list[dict[str, Any]]) -> None:
    home.write("[server]\nport = 0")
    done = home.run("simulate")
    assert (done.exit_code, runs) == (2, [])
    assert "--url" in done.stderr


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "",
        "127.0.0.1:8080/hook",
        "http://",
        "http:///hook",
        "ftp://a/b",
        "http://[::1",
        "http://a:b/",
    ],
)
def test_an_address_that_is_none_is_a_usage_error(home: Home, runs: list[dict[str, Any]], url: str) -> None:
    done = home.run("simulate", "--url", url)
    assert (done.exit_code, runs, done.stdout) == (2, [], "")
    assert "--url" in done.stderr
    assert repr(url) in done.stderr


@pytest.mark.parametrize("option", [("--calls", "0"), ("--rate", "0"), ("--rate", "-1"), ("--seed", "x")])
def test_a_number_out_of_bounds_is_a_usage_error(
    home: Home, runs: list[dict[str, Any]], option: tuple[str, str]
) -> None:
    assert (home.run("simulate", *option).exit_code, runs) == (2, [])


# --- what it says ---------------------------------------------------------------------------------


def test_scripts_read_what_was_sent_and_what_must_come_of_it(home: Home, runs: list[dict[str, Any]]) -> None:
    told = home.json("simulate")
    assert len(runs) == 1
    assert list(told) == [
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
    assert told["expected"][0]["contact_name"] == "Íñigo"


def test_a_person_reads_a_line_per_call_and_the_count(home: Home, runs: list[dict[str, Any]]) -> None:
    done = home.run("simulate")
    assert len(runs) == 1
    assert done.stdout.splitlines()[1].split() == [
        *("cloudtalk-sim-1", "inbound", "missed", "+34600000001", "Íñigo", "True")
    ]
    assert "3 events of 1 calls sent to http://127.0.0.1:8080/cloudtalk/webhook in 0.5 s" in done.stdout
    assert "3 acknowledged (seed 7)" in done.stdout
    assert "1.25 ms (median), 2.5 ms (95 %)" in done.stdout
    assert done.stderr == ""


def test_the_relays_address_will_do_as_the_hooks(tmp_path: Path, runs: list[dict[str, Any]]) -> None:
    for url in ("http://127.0.0.1:1", "http://127.0.0.1:1/"):
        Home(tmp_path).run("simulate", "--url", url)
    assert [run["url"] for run in runs] == [f"http://127.0.0.1:1{HOOK}"] * 2
