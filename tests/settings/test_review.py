"""Warnings about settings that are valid, but unsafe or probably a mistake."""

import base64
import random
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.settings import Settings, review
from tests.support.notebook import LoadText

STRONG: Final = "f3b1c0de9a74425e8d16b7a0c95e2f48"
NOTEBOOK: Final = "[destinations.a]\nclient = 'notebook'\nurl = 'https://a.example.com'\n"


def codes(settings: Settings) -> list[tuple[str, str | None]]:
    return [(finding.name, finding.code) for finding in review(settings)]


def test_safe_settings_have_no_warning(load_text: LoadText) -> None:
    assert review(load_text(NOTEBOOK)) == []
    assert (
        review(load_text(f"server.host = '0.0.0.0'\n{NOTEBOOK}", RELAY__CLOUDTALK__TOKENS=f'["{STRONG}"]'))
        == []
    )


def test_a_warning_is_ok_and_says_what_to_do(load_text: LoadText) -> None:
    (warning,) = review(load_text())
    assert (warning.name, warning.ok, warning.code) == ("settings", True, "no_destination")
    assert "delivered to no CRM" in str(warning.problem)
    assert "[destinations.NAME]" in str(warning.hint)


def test_each_disabled_destination_is_named(load_text: LoadText) -> None:
    other = NOTEBOOK.replace(".a]", ".b]")
    settings = load_text(f"{NOTEBOOK}enabled = false\n{other}{other.replace('.b]', '.c]')}enabled = false")
    assert codes(settings) == [("a", "disabled"), ("c", "disabled")]


# --- addresses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://crm.example.com",
        "HTTP://crm.example.com/rest?key=0451",
        "http://10.0.0.5:3000",
        "http://[fd00::5]",
        "http://localhost.example.com",
    ],
)
def test_a_crm_url_without_tls_is_named_without_its_path(load_text: LoadText, url: str) -> None:
    (warning,) = review(load_text(NOTEBOOK.replace("https://a.example.com", url)))
    assert (warning.name, warning.code) == ("a", "insecure_url")
    assert "destinations.a.url" in str(warning.problem)
    assert "0451" not in f"{warning.problem}{warning.hint}"


@pytest.mark.parametrize(
    "url",
    [
        "https://crm.example.com",
        "http://127.0.0.1:54321",
        "http://localhost",
        "http://[::1]:1",
        "x://crm.example.com",
    ],
)
def test_other_crm_urls_have_no_warning(load_text: LoadText, url: str) -> None:
    assert review(load_text(NOTEBOOK.replace("https://a.example.com", url))) == []


def test_a_url_in_a_secret_counts_too(load_text: LoadText) -> None:
    (warning,) = review(
        load_text(f"{NOTEBOOK}colour = 'red'", RELAY__DESTINATIONS__A__KEY="http://k.example.com/0451")
    )
    assert warning.code == "insecure_url"
    assert "0451" not in f"{warning.problem}{warning.hint}"


@pytest.mark.parametrize(
    ("server", "found"),
    [
        ("public_url = 'http://calls.example.com'", ["insecure_url"]),
        ("host = '192.168.1.5'", ["insecure_url"]),
        ("public_url = 'http://localhost:9000'", []),
        ("public_url = 'https://calls.example.com/relay'", []),
        ("public_url = 'https://calls.example.com/cloudtalk'", []),
        ("public_url = 'https://calls.example.com/cloudtalk/webhooks'", []),
        ("public_url = 'https://calls.example.com/cloudtalk/webhook'", ["webhook_path_in_url"]),
        ("public_url = 'https://calls.example.com/eu/CloudTalk/Webhook'", ["webhook_path_in_url"]),
        ("public_url = 'https://calls.example.com/cloudtalk//webhook'", ["webhook_path_in_url"]),
        ("public_url = 'https://calls.example.com//cloudtalk///webhook'", ["webhook_path_in_url"]),
        ("public_url = 'https://calls.example.com//eu'", []),
        ("public_url = 'https://calls.example.com/cloudtalk/webhook/call.ended'", ["webhook_path_in_url"]),
        (
            "public_url = 'http://calls.example.com/cloudtalk/webhook'",
            ["insecure_url", "webhook_path_in_url"],
        ),
    ],
)
def test_the_public_url_is_an_https_url_without_the_webhook(
    load_text: LoadText, server: str, found: list[str]
) -> None:
    settings = load_text(f"[server]\n{server}\n{NOTEBOOK}", RELAY__CLOUDTALK__TOKENS=f'["{STRONG}"]')
    assert codes(settings) == [("settings", code) for code in found]


def test_the_path_of_the_webhook_is_that_of_the_settings(load_text: LoadText) -> None:
    text = f"cloudtalk.webhook_path = '/in'\nserver.public_url = 'https://calls.example.com/%s'\n{NOTEBOOK}"
    environment = {"RELAY__CLOUDTALK__TOKENS": f'["{STRONG}"]'}
    assert codes(load_text(text % "in", **environment)) == [("settings", "webhook_path_in_url")]
    assert codes(load_text(text % "incoming", **environment)) == []


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://relay:0451@db.example.com/relay", "db.example.com"),
        ("postgres://relay:0451@10.0.0.5:6543/relay?sslmode=prefer", "10.0.0.5"),
        ("postgresql://relay:0451@one,127.0.0.1,two:5433/relay?sslmode=allow", "one, two"),
        ("postgresql:///relay?host=db.example.com&sslmode=disable&password=0451", "db.example.com"),
        ("postgresql://relay:0451@db.example.com/relay?sslmode=require", None),
        ("postgresql://relay:0451@db.example.com/relay?sslmode=verify-full&sslrootcert=system", None),
        ("postgresql://relay:0451@localhost,127.0.0.1/relay", None),
        ("postgresql:///relay?host=/run/postgresql", None),
        ("postgresql:///relay", None),
    ],
)
def test_a_ledger_on_another_machine_is_reached_by_tls(
    load_text: LoadText, url: str, hosts: str | None
) -> None:
    found = review(load_text(NOTEBOOK, RELAY__LEDGER__URL=url))
    assert [finding.code for finding in found] == ([] if hosts is None else ["insecure_url"])
    for finding in found:
        assert str(finding.problem).endswith(f"unencrypted connection to {hosts}")
        assert "0451" not in f"{finding.problem}{finding.hint}"


# --- secrets -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    [
        *("a" * 64, "1234567890123456", "0123456789abcdef0123456789abcdef", "abcdefghijklmnopqrstuvwxyz"),
        *(
            "abc" * 20,
            "cloudtalk" * 8,
            "acmecorpacmecorpacmecorp",
            "deadbeef" * 4,
            "Passw0rd!2024Passw0rd!2024",
        ),
        *("acme-2024-acme-2025-acme-2026", "CloudTalkcloudtalkCLOUDTALK", "secretsecretsecret1"),
        *("your-token-here-please", "replace_me_with_a_long_random_token", "<your-32-character-token>"),
        *("CHANGE_ME_BEFORE_PRODUCTION", "my-company-cloudtalk-webhook", "insert-token-from-vault-here"),
        *("cambia-este-token-por-uno-largo", "pon_aqui_tu_clave_secreta_y_larga", "mi-token-de-prueba-2024"),
        *("qwertyuiopasdfghjklzxcvbnm", "TOKEN_DE_EJEMPLO_REEMPLAZAR"),
    ],
)
def test_a_token_that_is_easy_to_guess_is_named_by_its_number(load_text: LoadText, token: str) -> None:
    settings = load_text(NOTEBOOK, RELAY__CLOUDTALK__TOKENS=f'["{STRONG}", "{token}"]')
    (warning,) = review(settings)
    assert warning.code == "weak_token"
    assert str(warning.problem).startswith("token 2 in cloudtalk.tokens ")
    assert warning.hint == "replace it by a random one: openssl rand -hex 32"


@pytest.mark.parametrize("key", ["signing_keys", "keep_key"])
def test_a_key_of_recordings_that_is_easy_to_guess_is_named(load_text: LoadText, key: str) -> None:
    settings = load_text(
        NOTEBOOK, **{f"RELAY__RECORDINGS__{key.upper()}": f'["{STRONG}", "secretsecretsecret1"]'}
    )
    (warning,) = review(settings)
    assert warning.code == "weak_token"
    assert str(warning.problem).startswith(f"token 2 in recordings.{key} ")


GENERATORS: Final[list[Callable[[random.Random], str]]] = [
    lambda source: source.randbytes(32).hex(),
    lambda source: source.randbytes(16).hex(),
    lambda source: str(uuid.UUID(bytes=source.randbytes(16), version=4)),
    lambda source: "".join(
        source.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", k=24)
    ),
]


@given(st.sampled_from(GENERATORS), st.integers(0, 2**32))
def test_no_random_token_is_weak(generate: Callable[[random.Random], str], seed: int) -> None:
    token = generate(random.Random(seed))
    settings = Settings.model_validate({"cloudtalk": {"tokens": [token]}}, context=Path())
    assert "weak_token" not in [finding.code for finding in review(settings)]


@pytest.mark.parametrize(("size", "is_named"), [(1, True), (23, True), (24, False)])
def test_a_short_key_that_signs_requests_to_a_destination_is_named(
    load_text: LoadText, size: int, *, is_named: bool
) -> None:
    secret = "whsec_" + base64.b64encode(random.Random(1).randbytes(size)).decode()
    warnings = review(load_text(NOTEBOOK, RELAY__DESTINATIONS__A__KEY=secret))
    assert [(warning.name, warning.code) for warning in warnings] == [("a", "weak_secret")] * is_named
    assert all(secret not in f"{warning.problem}{warning.hint}" for warning in warnings)


WEAK_KEYS: Final = [
    *(b"\xff" * 24, b"\0\1" * 16, b"cloudtalk" * 3, b"acmecorp" * 4, bytes(range(100, 132)), b"a" * 64),
    *(
        b"change-me-before-production",
        b"\0" * 31 + b"\1",
        base64.b64decode("token/token/token/token/token/token/"),
    ),
]


@pytest.mark.parametrize("key", WEAK_KEYS)
def test_a_key_that_is_easy_to_guess_is_named_wherever_it_is(load_text: LoadText, key: bytes) -> None:
    weak, strong = (
        "whsec_" + base64.b64encode(raw).decode() for raw in (key, random.Random(1).randbytes(24))
    )
    settings = load_text(
        NOTEBOOK,
        RELAY__DESTINATIONS__A__KEY=weak,
        RELAY__CLOUDTALK__SIGNING_SECRETS=f'["{strong}", "{weak}"]',
    )
    warnings = review(settings)
    assert [(warning.name, warning.code) for warning in warnings] == [
        ("settings", "weak_secret"),
        ("a", "weak_secret"),
    ]
    assert str(warnings[0].problem).startswith("secret 2 in cloudtalk.signing_secrets ")
    assert all(weak[6:] not in f"{warning.problem}{warning.hint}" for warning in warnings)


@given(st.integers(24, 64), st.integers(0, 2**32))
def test_no_random_key_is_weak(size: int, seed: int) -> None:
    secret = "whsec_" + base64.b64encode(random.Random(seed).randbytes(size)).decode()
    settings = Settings.model_validate({"cloudtalk": {"signing_secrets": [secret]}}, context=Path())
    assert "weak_secret" not in [finding.code for finding in review(settings)]


@pytest.mark.parametrize("secret", ["whsec_?", "key", "whsec_", "YQ=="])
def test_a_secret_of_another_kind_is_no_short_key(load_text: LoadText, secret: str) -> None:
    assert review(load_text(NOTEBOOK, RELAY__DESTINATIONS__A__KEY=secret)) == []


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A folder with two secret files that only their owner can read."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name in ("tokens", "key"):
        (folder / name).write_text(STRONG)
        (folder / name).chmod(0o600)
    return folder


@pytest.mark.parametrize(
    ("mode", "is_named"), [(0o644, True), (0o604, True), (0o666, True), (0o640, False), (0o400, False)]
)
def test_a_secret_file_that_others_can_read_is_named(
    load_text: LoadText, secrets: Path, mode: int, is_named: bool
) -> None:
    text = f"cloudtalk.tokens_file = 'secrets/tokens'\n{NOTEBOOK}key_file = 'secrets/key'"
    for name in ("tokens", "key"):
        (secrets / name).chmod(mode)
        warnings = review(load_text(text))
        assert [warning.code for warning in warnings] == ["readable_secret"] * is_named
        assert all(f"chmod 600 {secrets / name}," in str(warning.hint) for warning in warnings)
        (secrets / name).chmod(0o600)


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize("mode", [0o602, 0o622, 0o646])
def test_a_file_that_others_can_write_is_named(load_text: LoadText, tmp_path: Path, mode: int) -> None:
    text = f"cloudtalk.tokens_file = 'secrets/tokens'\n{NOTEBOOK}"
    (tmp_path / "settings.local.toml").write_text("[log]\nlevel = 'error'")
    files = ("settings.toml", "settings.local.toml", "secrets/tokens")
    for name in files:
        load_text(text)
        for file in files:
            (tmp_path / file).chmod(mode if file == name else 0o600)
        (warning,) = review(load_text(text))
        is_read = mode & 0o004 and name == "secrets/tokens"
        assert warning.code == ("readable_secret" if is_read else "writable_path")
        assert f"{tmp_path / name}" in str(warning.problem)
        assert "write" in str(warning.problem)
        assert f"{tmp_path / name}, as" in str(warning.hint)


def test_a_file_that_the_group_of_its_owner_can_write_is_safe(load_text: LoadText, secrets: Path) -> None:
    (secrets / "tokens").chmod(0o620)
    assert review(load_text(f"cloudtalk.tokens_file = 'secrets/tokens'\n{NOTEBOOK}")) == []


def test_a_folder_in_which_others_can_replace_a_secret_file_is_named_once(
    load_text: LoadText, secrets: Path
) -> None:
    text = f"cloudtalk.tokens_file = 'secrets/tokens'\n{NOTEBOOK}key_file = 'secrets/key'"
    secrets.chmod(0o703)
    (warning,) = review(load_text(text))
    assert (warning.code, warning.hint) == ("writable_path", f"chmod go-w {secrets}, as its owner")
    secrets.chmod(0o1777)
    assert review(load_text(text)) == []


def test_a_settings_file_with_a_secret_is_a_secret_file(load_text: LoadText, tmp_path: Path) -> None:
    file, local = tmp_path / "settings.toml", tmp_path / "settings.local.toml"
    assert review(load_text(NOTEBOOK)) == []
    file.chmod(0o644)
    assert review(load_text(f"ledger.url = 'sqlite:///a.db'\n{NOTEBOOK}")) == []
    (warning,) = review(
        load_text(f"ledger.url = 'postgresql://me:0451@db/relay?sslmode=require'\n{NOTEBOOK}")
    )
    assert str(warning.problem).startswith(f"{file} contains a secret")
    local.write_text("[destinations.a]\nkey = 'sb_secret_1'")
    local.chmod(0o644)
    (warning,) = review(load_text(NOTEBOOK))
    assert str(warning.problem).startswith(f"{local} contains a secret")
    local.chmod(0o600)
    assert review(load_text(NOTEBOOK)) == []


def test_secrets_of_the_environment_are_in_no_file(load_text: LoadText, tmp_path: Path) -> None:
    settings = load_text(NOTEBOOK, RELAY__DESTINATIONS__A__KEY="sb_secret_1")
    (tmp_path / "settings.toml").chmod(0o644)
    assert review(settings) == []


# --- environment variables ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("RELAY_SERVER_PORT", "RELAY__SERVER__PORT"),
        ("RELAY_SERVER__PUBLIC_URL", "RELAY__SERVER__PUBLIC_URL"),
        ("relay_cloudtalk_tokens", "RELAY__CLOUDTALK__TOKENS"),
        ("RELAY_CLOUDTALK_TOKENS_FILE", "RELAY__CLOUDTALK__TOKENS_FILE"),
        ("RELAY_LEDGER_URL", "RELAY__LEDGER__URL"),
        ("RELAY_CLOUDTALK_TOKEN", "RELAY__CLOUDTALK__KEY"),
        ("RELAY_LOG", "RELAY__LOG__KEY"),
        ("RELAY_DESTINATIONS_A_URL", "RELAY__DESTINATIONS__A__URL"),
        ("RELAY_DESTINATIONS__A__KEY_FILE", "RELAY__DESTINATIONS__A__KEY_FILE"),
        ("RELAY_DESTINATIONS_A_WHEN_STATUSES", "RELAY__DESTINATIONS__A__WHEN__STATUSES"),
        ("RELAY_DESTINATIONS_MY_CRM_BATCH", "RELAY__DESTINATIONS__MY_CRM__BATCH"),
        ("RELAY_DESTINATIONS_OTHER_URL", "RELAY__DESTINATIONS__NAME__KEY"),
    ],
)
def test_a_variable_without_effect_is_named_with_the_right_name(
    load_text: LoadText, name: str, meant: str
) -> None:
    settings = load_text(NOTEBOOK + NOTEBOOK.replace(".a]", ".my-crm]"), **{name: "1"})
    (warning,) = review(settings)
    assert warning.code == "unknown_variable"
    assert f" {name} has no effect" in str(warning.problem)
    assert warning.hint == f"use {meant} instead"


def test_variables_that_are_no_settings_have_no_warning(load_text: LoadText) -> None:
    others = (
        "RELAY_SETTINGS",
        "RELAY_PORT",
        "RELAY_PORT_8080_TCP",
        "RELAY_SERVICE_HOST",
        "RELAY_",
        "_",
        "",
        "SERVER_PORT",
    )
    names = dict.fromkeys(others, "1") | {"RELAY__SERVER__PORT": "1", "RELAY__LOG": '{"level": "info"}'}
    assert review(load_text(NOTEBOOK, **names)) == []


# --- settings without effect ---------------------------------------------------------------------


def test_settings_without_effect_are_named_unless_they_have_their_default(load_text: LoadText) -> None:
    settings = load_text(
        "[cloudtalk.api]\nanalytics_url = 'https://analytics.example.com'\nai_url = 'https://ai.example.com'\n"
        f"[reconcile]\nevery_minutes = 15\n[enrich]\nsummary = true\n{NOTEBOOK}"
    )
    assert codes(settings) == [("settings", "missing_api_key")] * 2
    assert [str(finding.problem).partition(" ha")[0] for finding in review(settings)] == [
        "reconcile.every_minutes",
        "the switches of [enrich]",
    ]
    defaults = (
        "[cloudtalk.api]\nanalytics_url = 'https://analytics-api.cloudtalk.io/api'\n"
        "ai_url = 'https://api.cloudtalk.io/v1/ai'\n[reconcile]\nevery_minutes = 0\nlook_back_hours = 2\n"
    )
    assert codes(load_text(defaults + NOTEBOOK)) == []


def test_a_reconciler_with_an_api_key_has_an_effect(load_text: LoadText) -> None:
    key = "[cloudtalk.api]\nkey_id = 'id'\nkey_secret = 'secret'\n"
    found = codes(load_text(f"{key}[reconcile]\nevery_minutes = 15\n{NOTEBOOK}"))
    assert ("settings", "missing_api_key") not in found


def test_an_api_key_that_is_sent_unencrypted_is_named(load_text: LoadText) -> None:
    urls = "base_url = 'http://my.example.com/api'\nanalytics_url = 'http://127.0.0.1:9/api'\n"
    key = "key_id = 'id'\nkey_secret = 'secret'\n"
    assert codes(load_text(f"[cloudtalk.api]\n{urls}{NOTEBOOK}")) == []
    findings = review(load_text(f"[cloudtalk.api]\n{key}{urls}{NOTEBOOK}"))
    assert [finding.problem for finding in findings if finding.code == "insecure_url"] == [
        "cloudtalk.api.base_url begins with http://my.example.com: the API key is sent unencrypted"
    ]
