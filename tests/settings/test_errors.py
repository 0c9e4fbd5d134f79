"""Error messages: all problems at once, hints for unknown keys, no secrets."""

import re

import pytest

from tests.support.notebook import SECRET, LoadError


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("server.prot = 1", "server.prot: unknown key; did you mean server.port?"),
        ("server.HOST = 'x'", "server.HOST: unknown key; did you mean server.host?"),
        ("server.webhook_path = '/x'", "server.webhook_path: unknown key; it belongs in [cloudtalk]"),
        ("port = 1", "port: unknown key; it belongs in [server]"),
        ("servre.port = 1", "servre: unknown key; did you mean server?"),
        ("log.tokens_file = 'x'", "log.tokens_file: unknown key; it belongs in [cloudtalk]"),
        ("cloudtalk.token_file = 'x'", "unknown key; did you mean cloudtalk.tokens_file?"),
        ("ledger.zzz = 1", "ledger.zzz: unknown key; known keys: url"),
        ("log.public_uri = 1", "unknown key; did you mean server.public_url?"),
        ("wwww = '/'", "wwww: unknown key; known keys: server, cloudtalk, ledger"),
        ("folder = '/'", "folder: unknown key"),
        ("_folder = '/'", "_folder: unknown key"),
    ],
)
def test_an_unknown_key_is_reported_with_the_most_similar_known_one(
    load_error: LoadError, toml: str, message: str
) -> None:
    assert message in load_error(toml)


def test_all_problems_are_reported_at_once_each_on_its_line(load_error: LoadError) -> None:
    lines = load_error(
        "[server]\nport = 'x'\nprot = 1\n"
        "[destinations.a]\nclient = 'notebok'\n"
        "[destinations.b]\nclient = 'notebook'\n",
        RELAY__LOG__LEVEL="loud",
    ).splitlines()
    assert lines[0] == "The settings have 5 problems:"
    assert [line.split(": ")[:2] for line in lines[1:]] == [
        ["- settings.toml", "destinations.a.client"],
        ["- settings.toml", "destinations.b.url"],
        ["- settings.toml", "server.port"],
        ["- settings.toml", "server.prot"],
        ["- RELAY__LOG__LEVEL", "log.level"],
    ]


def test_messages_show_no_secret_and_no_text_of_pydantic(load_error: LoadError) -> None:
    message = load_error(
        f"""
        [cloudtalk]
        tokens = "{SECRET}"
        tokens_fil = "{SECRET}"
        [ledger]
        url = "mysql://me:{SECRET}@host/relay"
        [destinations.a]
        client = "notebook"
        url = "//me:{SECRET}@host"
        key = ["{SECRET}"]
        pins = ["{SECRET}", 3]
        kye = "{SECRET}"
        pages = "{SECRET}"
        """,
        RELAY__DESTINATIONS__B=SECRET,
        RELAY__LOG=f'["{SECRET}"]',
    )
    assert SECRET not in message
    assert len(message.splitlines()) == 11
    assert not re.search("pydantic|Input|Value error|Extra|type=|https://errors", message)
