"""The defaults that `relay init` takes from the machine."""

import socket
from pathlib import Path

import pytest

from relay.cli.init import system
from relay.operations.languages import Language


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Language.EN),
        ({"LANG": "es_ES.UTF-8"}, Language.ES),
        ({"LANG": "es"}, Language.ES),
        ({"LANG": "C.UTF-8"}, Language.EN),
        ({"LANG": "de_DE.UTF-8"}, Language.EN),
        ({"LANG": "es_ES.UTF-8", "LC_ALL": "en_GB.UTF-8"}, Language.EN),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "es_MX.UTF-8", "LC_ALL": ""}, Language.ES),
    ],
)
def test_the_language_is_that_of_the_locale(environment: dict[str, str], expected: Language) -> None:
    assert system.find_language(environment) is expected


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("America/Mexico_City", "America/Mexico_City"),
        ("America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("Etc/UTC", "Europe/Madrid"),
        ("UTC", "Europe/Madrid"),
        ("Etc/GMT-2", "Europe/Madrid"),
        ("", "Europe/Madrid"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "Europe/Madrid"),
    ],
)
def test_the_time_zone_is_that_of_the_machine_unless_it_is_no_place(
    zone: str, expected: str, tmp_path: Path
) -> None:
    link = tmp_path / "localtime"
    assert system.find_timezone({"TZ": zone}, link) == expected
    link.symlink_to(f"/usr/share/zoneinfo/{zone}")
    assert system.find_timezone({}, link) == expected


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("Europe/Madrid", "ES"), ("Atlantic/Canary", "ES"), ("America/Bogota", "CO"), ("Etc/UTC", "ES")],
)
def test_the_country_is_that_of_the_time_zone(zone: str, expected: str) -> None:
    assert system.find_region(zone) == expected


def test_a_port_that_a_program_uses_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        monkeypatch.setattr(system, "_PORTS", range(port, port + 50))
        assert port < system.find_free_port() < port + 50
