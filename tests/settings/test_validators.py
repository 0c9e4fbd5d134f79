"""The validators of single values."""

import base64

import pytest
from pydantic import SecretStr

from relay.settings import SettingsError, validators
from tests.support.notebook import LoadError, LoadText


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("server.host", '"http://127.0.0.1"', "a host name or an IP address"),
        ("server.host", '"127.0.0.1:80"', "a host name or an IP address"),
        ("server.host", '""', "a host name or an IP address"),
        ("server.port", "65536", "a whole number, at least 0 and at most 65535, found 65536"),
        ("server.port", '"http"', 'a whole number, at least 0 and at most 65535, found "http"'),
        ("server.port", "1.5", "a whole number, at least 0 and at most 65535, found 1.5"),
        ("server.port", "[1]", "a whole number, at least 0 and at most 65535, found a list"),
        ("server.max_in_flight", "0", "a whole number, at least 1, found 0"),
        ("server.public_url", '"https://localhost/"', "without user, query or trailing slash"),
        ("server.public_url", '"localhost:80"', "an http:// or https:// URL"),
        ("server.public_url", '"http://"', "an http:// or https:// URL"),
        ("server.public_url", '"http://localhost:99999"', "an http:// or https:// URL"),
        ("server.public_url", '"http://[::1"', "an http:// or https:// URL"),
        ("server.public_url", '"http://localhost?a=1"', "an http:// or https:// URL"),
        ("cloudtalk.webhook_path", '"hook"', "a path that starts with /"),
        ("cloudtalk.webhook_path", '"/"', "a path that starts with /"),
        ("cloudtalk.webhook_path", '"/hook/"', "a path that starts with /"),
        ("cloudtalk.webhook_path", '"/a?b"', "a path that starts with /"),
        ("cloudtalk.webhook_path", '"/healthz"', "/healthz is served by the relay itself"),
        ("cloudtalk.webhook_path", '"/console/hook"', "/console is served by the relay itself"),
        ("cloudtalk.timezone", '"Europe/Madrit"', 'a time zone, like Europe/Madrid, found "Europe/Madrit"'),
        ("cloudtalk.timezone", '"../../etc/passwd"', "a time zone"),
        ("cloudtalk.timezone", '"Europe"', "a time zone"),
        ("cloudtalk.timezone", '""', "a time zone"),
        ("cloudtalk.default_region", '"Spain"', "two capital letters"),
        ("cloudtalk.default_region", '"es"', "two capital letters"),
        ("cloudtalk.forward_internal", '"perhaps"', 'true or false, found "perhaps"'),
        ("cloudtalk.max_body_bytes", "0", "a whole number, at least 1, found 0"),
        ("delivery.first_retry_seconds", "0", "a number, above 0, found 0"),
        ("delivery.longest_retry_seconds", "4", "at least delivery.first_retry_seconds, 5, found 4"),
        ("delivery.give_up_after_hours", "2024-01-01", "a number, above 0"),
        ("log.format", '"jsn"', 'one of auto, json, console, found "jsn"; did you mean json?'),
        ("log.level", '"loud"', 'one of debug, info, warning, error, found "loud"'),
        ("log.personal_data", "true", "one of masked, plain, found true"),
        ("server", "1", "a table, found a number"),
    ],
)
def test_a_wrong_value_is_reported_with_the_expected_one(
    load_error: LoadError, key: str, value: str, expected: str
) -> None:
    message = load_error(f"{key} = {value}")
    assert message.startswith(f"The settings have a problem:\n- settings.toml: {key}: expected ")
    assert expected in message


def test_without_a_time_zone_database_the_error_says_what_to_install(
    load_error: LoadError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.settings.validators.available_timezones", set)
    assert "install one (on Debian: apt-get install tzdata)" in load_error(
        "cloudtalk.timezone = 'Mars/Olympus'"
    )


@pytest.mark.parametrize("path", ["/hook", "/cloudtalk/webhook", "/healthzz", "/a-b/c.d~e_f"])
def test_a_webhook_path_is_accepted(load_text: LoadText, path: str) -> None:
    assert load_text(f"cloudtalk.webhook_path = '{path}'").cloudtalk.webhook_path == path


@pytest.mark.parametrize("token", ["", " ", "a b", "a\\n", "ñ"])
def test_a_token_that_cannot_be_sent_in_a_header_is_rejected_and_not_shown(
    load_error: LoadError, token: str
) -> None:
    assert load_error(f'cloudtalk.tokens = ["f3b1c0de9a74425e", "{token}"]').endswith(
        "cloudtalk.tokens[1]: expected a token of ASCII letters, digits and signs, without spaces, found text"
    )


@pytest.mark.parametrize("token", ["x", "a-short-token", "f3b1c0de9a74425"])
def test_a_token_of_fewer_than_16_characters_is_rejected_and_not_shown(
    load_error: LoadError, token: str
) -> None:
    message = load_error(f"cloudtalk.tokens = ['f3b1c0de9a74425e', '{token}']")
    assert "cloudtalk.tokens[1]: expected at least 16 characters" in message
    assert "openssl rand -hex 32 creates one" in message
    assert f"'{token}'" not in message


def test_a_token_of_16_characters_is_accepted(load_text: LoadText) -> None:
    settings = load_text("cloudtalk.tokens = ['f3b1c0de9a74425e']")
    assert settings.cloudtalk.tokens == (SecretStr("f3b1c0de9a74425e"),)


@pytest.mark.parametrize("size", [1, 16, 23])
def test_a_signing_secret_of_fewer_than_24_bytes_is_rejected_and_not_shown(
    load_error: LoadError, size: int
) -> None:
    encoded = base64.b64encode(bytes(range(100, 100 + size))).decode()
    message = load_error(f"cloudtalk.signing_secrets = ['whsec_{encoded}']")
    assert "cloudtalk.signing_secrets[0]: expected whsec_ and base64 of at least 24 bytes" in message
    assert "copy it whole from CloudTalk" in message
    assert f"whsec_{encoded}" not in message


@pytest.mark.parametrize("size", [24, 64])
def test_a_signing_secret_of_24_bytes_is_accepted(load_text: LoadText, size: int) -> None:
    secret = "whsec_" + base64.b64encode(bytes(range(size))).decode()
    settings = load_text(f"cloudtalk.signing_secrets = ['{secret}']")
    assert settings.cloudtalk.signing_secrets == (SecretStr(secret),)


@pytest.mark.parametrize("written", ["12345", " 12345 ", "12345\\n", "\\t12345"])
def test_a_company_id_is_trimmed(load_text: LoadText, written: str) -> None:
    settings = load_text(f'cloudtalk.company_ids = ["{written}", "6 "]')
    assert settings.cloudtalk.company_ids == ("12345", "6")


@pytest.mark.parametrize("written", ["", " ", "\\n"])
def test_an_empty_company_id_is_rejected(load_error: LoadError, written: str) -> None:
    message = load_error(f'cloudtalk.company_ids = ["6", "{written}"]')
    assert "cloudtalk.company_ids[1]: expected the company_id of a CloudTalk account" in message


def test_a_path_for_an_unknown_event_is_rejected(load_text: LoadText) -> None:
    with pytest.raises(SettingsError, match=r"cloudtalk\.paths.*did you mean call\.ended\?"):
        load_text('[cloudtalk.paths]\n"/cloudtalk/webhook/fin" = "call.endd"')


# --- the ledger's URL --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["mysql://u:pw@h/d", "sqlite://", "sqlite:///", "sqlite:///:memory:", "relay.db"]
)
def test_an_unknown_database_is_rejected_with_the_known_ones(load_error: LoadError, url: str) -> None:
    message = load_error(f"ledger.url = '{url}'")
    assert "ledger.url: expected sqlite:///PATH" in message
    assert "postgresql://USER:PASSWORD@HOST/DATABASE" in message
    assert "pw" not in message


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://relay:pw@db.example.com:5432/relay",
        "postgres://relay:p%40w@db/relay?sslmode=require",
        "postgresql://relay:pw@one:5432,two:5432/relay",
        "postgresql://relay@[::1]/relay",
        "postgresql:///relay?host=/run/postgresql",
    ],
)
def test_a_postgresql_url_is_accepted(load_text: LoadText, url: str) -> None:
    settings = load_text(f"ledger.url = '{url}'\n[destinations.a]\nclient = 'notebook'\nurl = 'x://'")
    assert settings.ledger.url.get_secret_value() == url
    assert settings.ledger.path is None
    assert "pw" not in repr(settings)


@pytest.mark.parametrize("sign", ["@", "/", ":", "?@"])
def test_a_password_that_is_not_percent_encoded_is_rejected_and_not_shown(
    load_error: LoadError, sign: str
) -> None:
    message = load_error(f"ledger.url = 'postgresql://relay:hush{sign}word@db/relay'")
    assert "@ as %40" in message
    assert "word" not in message.replace("PASSWORD", "").replace("password", "")


@pytest.mark.parametrize(
    ("written", "minutes"),
    [
        ("09:00-18:00", (540, 1080)),
        ("00:00-24:00", (0, 1440)),
        ("22:00-06:00", (1320, 1800)),
        ("18:00-00:00", (1080, 1440)),
    ],
)
def test_office_hours_are_minutes_of_the_day_on_which_they_begin(
    written: str, minutes: tuple[int, int]
) -> None:
    assert validators.parse_hours(written) == minutes


@pytest.mark.parametrize("written", ["9-18", "09:00-09:00", "24:00-06:00", "09:00-24:01", "25:00-26:00", ""])
def test_other_spans_are_no_office_hours(written: str) -> None:
    with pytest.raises(ValueError, match="of a night, like 22:00-06:00"):
        validators.parse_hours(written)


def test_office_hours_do_not_overlap_also_over_midnight() -> None:
    for written in (("22:00-06:00", "06:00-14:00"), ("16:00-19:00", "09:00-14:00"), ("22:00-06:00",), ()):
        assert validators.office_hours(written) == written
    for written in (("22:00-06:00", "05:00-14:00"), ("09:00-14:00", "13:00-19:00"), ("22:00-06:00",) * 2):
        with pytest.raises(ValueError, match="do not overlap"):
            validators.office_hours(written)
