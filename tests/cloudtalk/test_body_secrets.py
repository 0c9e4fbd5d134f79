"""Secrets in bodies and queries: found and removed."""

import time

import msgspec
import pytest

from relay.cloudtalk.body_secrets import BodySecrets

SECRETS = BodySecrets(["secret", "lhc_key"], ["a-token-of-the-settings"])


def test_secrets_are_removed_at_any_depth_and_in_any_case() -> None:
    body = {"action": "call_started", "LHC_Key ": "s1", "data": {"secret": 7, "x": [{"secret": "s2"}]}}
    clean, removed = SECRETS.remove(body)
    assert clean == {"action": "call_started", "data": {"x": [{}]}}
    assert removed == ["s1", "7", "s2"]


def test_only_texts_and_numbers_under_a_secret_key_may_be_tokens() -> None:
    body = {"secret": {"v": "s3cr3t"}, "lhc_key": ["s3cr3t"], "data": {"secret": "t1", "LHC-Key": 2}}
    assert SECRETS.remove(body) == ({"data": {}}, ["t1", "2"])


def test_a_secret_key_may_have_spaces_around_it_and_a_blank_one_is_none() -> None:
    secrets = BodySecrets([" Secret ", "", "  "], [])
    assert secrets.remove({"secret": "x", "": 1, " ": 2, "a": 3}) == ({"": 1, " ": 2, "a": 3}, ["x"])
    assert secrets.redact_raw(b'{"secret":"x", "a":"b", "":"c') == b'{"secret":"[secret]", "a":"b", "":"c'


def test_a_body_without_secrets_stays_as_it_is() -> None:
    body = {
        "secrets": "no such key",
        "secretX": "x",
        "Xsecret": "x",
        "a": [1, {"b": None}],
        "data": '{ "secre" : 1.0 }',
        "quoted": '"\\u0041 secret"',
        "surrogate": '{"b":"\ud800"}',
        "list": [
            {"name": "Ana", "value": "x"},
            {"name": 5, "value": "x"},
            {"key": "secret_santa", "value": 1},
        ],
    }
    clean, removed = SECRETS.remove(body)
    assert clean == body
    assert removed == []


@pytest.mark.parametrize(
    ("raw", "redacted"),
    [
        (b'{"secret": 12345678, "x":', b'{"secret": "[secret]", "x":'),
        (b'{"lhc_key" : "s1", "x":', b'{"lhc_key" : "[secret]", "x":'),
        (b"a=1&secret=s1&b=2", b"a=1&secret=[secret]&b=2"),
        (b"%% a-token-of-the-settings %%", b"%% [secret] %%"),
    ],
)
def test_a_body_that_cannot_be_parsed_is_redacted(raw: bytes, redacted: bytes) -> None:
    assert SECRETS.redact_raw(raw) == redacted


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ('{"secret":"s1","a":"\\ud800"}', '{"secret":"[secret]","a":"\\ud800"}'),
        ('{"secret":"s1","a":' + "1" * 5000 + "}", '{"secret":"[secret]","a":' + "1" * 5000 + "}"),
        (' {"a":[{"lhc_key":"s1"},]}', ' {"a":[{"lhc_key":"[secret]"},]}'),
        ('{"a":"é","secret":"s1', '{"a":"é","secret":"[secret]"'),
        ("[" * 2000 + '{"secret":"s1"}' + "]" * 2000, "[" * 2000 + '{"secret":"[secret]"}' + "]" * 2000),
        ("[Ana] The secret: call back", "[Ana] The secret: call back"),
        ("{note} secret: call back", "{note} secret: call back"),
    ],
)
def test_json_in_a_text_is_cleaned_also_if_it_cannot_be_decoded(text: str, clean: str) -> None:
    assert SECRETS.remove({"a": text})[0] == {"a": clean}


@pytest.mark.parametrize(
    ("raw", "has_secret"),
    [
        (b'{"id":1,"id":"a-token-of-the-settings"}', True),
        (b"a-token-of-the-settings", True),
        (b'{"id":1,"secret":"another-token"}', False),
        (b'{"id":"a-token-of-the-setting"}', False),
        (b"", False),
    ],
)
def test_a_token_of_the_settings_is_found_anywhere_in_a_body(raw: bytes, has_secret: bool) -> None:
    assert SECRETS.has_listed_secret(raw) is has_secret


def test_without_secret_keys_nothing_is_removed() -> None:
    assert BodySecrets([], []).redact_raw(b'{"secret":"x"}') == b'{"secret":"x"}'
    assert msgspec.json.encode(BodySecrets([], []).remove({"secret": "x"})[0]) == b'{"secret":"x"}'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"secret": {"v": "s3cr3t"}, "a": 1}, {"a": 1}),
        ({"lhc_key": ["s3cr3t"]}, {}),
        ({"data": '{"secret":"s3cr3t","call_id":1}'}, {"data": '{"call_id":1}'}),
        ({"data": ' [{"secret":"s3cr3t","call_id":1}]'}, {"data": '[{"call_id":1}]'}),
        ({"data": '["a-token-of-the-settings"]'}, {"data": '["[secret]"]'}),
        ({"data.secret": "s3cr3t"}, {}),
        ({"data[secret]": "s3cr3t"}, {}),
        ({"note": "the token is a-token-of-the-settings"}, {"note": "the token is [secret]"}),
    ],
)
def test_no_secret_stays_in_any_place(body: dict[str, object], expected: dict[str, object]) -> None:
    assert SECRETS.remove(body)[0] == expected
    assert SECRETS.may_be_in(msgspec.json.encode(body))


def test_a_key_with_escaped_characters_is_suspicious() -> None:
    assert SECRETS.may_be_in(b'{"\\u0073ecret":"x"}')
    assert not SECRETS.may_be_in(b'{"note":"nothing here"}')


def test_a_token_is_removed_from_the_query() -> None:
    secrets = BodySecrets(["token", "secret"], [])
    assert secrets.clean_query("event=x&token=secret&a=") == "event=x&a="
    assert secrets.clean_query("event=x&b=%20") == "event=x&b=%20"


CANARY = "kanarie/vogel+7f3a9c0d2e"
CANARIES = BodySecrets(["secret", "lhc_key"], [CANARY])


@pytest.mark.parametrize(
    ("query", "clean"),
    [
        ("apikey=s3cr3t", ""),
        ("a=1;token=s3cr3t;b=2", "a=1;b=2"),
        ("token=s3cr3t;b=2&c=3", "b=2&c=3"),
        ("%61pi%5Fkey=s3cr3t&b=2", "b=2"),
        ("API-Key=s3cr3t&b=2", "b=2"),
        ("secret[]=s3cr3t&lhc_key.=s3cr3t&b=2", "b=2"),
        ("x[accessToken]=s3cr3t&b=2", "b=2"),
        ("token=s3cr3t&Xa=1", "Xa=1"),
        ("b=%7B%22secret%22%3A%22s3cr3t%22%2C%22c%22%3A1%7D", "b=%7B%22c%22%3A1%7D"),
        ("b=+%7B%22secret%22%3A%22s3cr3t%22%7D", "b=%7B%7D"),
        ("b=%5B%7B%22secret%22%3A%22s3cr3t%22%7D%5D", "b=%5B%7B%7D%5D"),
        ("b=kanarie%2Fvogel%2B7f3a9c0d2e&c", "b=[secret]&c"),
        ("kanarie/vogel+7f3a9c0d2e", "[secret]"),
        ("recording_url=https%3A%2F%2Fx%2Fy%3Ftoken%3Dz", "recording_url=https%3A%2F%2Fx%2Fy%3Ftoken%3Dz"),
        ("a=1;b;;&c=%20&", "a=1;b;;&c=%20&"),
        ("", ""),
    ],
)
def test_secrets_are_removed_from_a_query_and_the_rest_stays(query: str, clean: str) -> None:
    assert CANARIES.clean_query(query) == clean


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("/cloudtalk/webhook/call.ended", "/cloudtalk/webhook/call.ended"),
        ("/cloudtalk/webhook/secret/call.ended", "/cloudtalk/webhook/secret/call.ended"),
        (f"/cloudtalk/webhook/{CANARY}/call.ended", "/cloudtalk/webhook/[secret]/call.ended"),
        ("/webhook/kanarie%2Fvogel%2B7f3a9c0d2e", "/webhook/[secret]"),
        ("/webhook/token=s3cr3t/call.ended", "/webhook/token=s3cr3t/call.ended"),
        ("/webhook/lhc-key=s3cr3t/call.ended", "/webhook/lhc-key=[secret]/call.ended"),
        ("/webhook;password=s3cr3t;v=1/call.ended", "/webhook;password=[secret];v=1/call.ended"),
        ("/webhook/ñ\ud800", "/webhook/ñ\ud800"),
    ],
)
def test_secrets_are_removed_from_a_path(path: str, clean: str) -> None:
    assert CANARIES.clean_path(path) == clean


@pytest.mark.parametrize(
    ("content_type", "clean"),
    [
        ("application/json", "application/json"),
        ('text/plain; Charset="ISO-8859-1"; token=s3cr3t', 'text/plain; Charset="ISO-8859-1"'),
        ("multipart/form-data; boundary=s3cr3t", "multipart/form-data"),
        (f"text/{CANARY}", "text/[secret]"),
        ("", ""),
    ],
)
def test_only_the_type_and_the_charset_are_stored(content_type: str, clean: str) -> None:
    assert CANARIES.clean_content_type(content_type) == clean


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"apiKey": "s3cr3t", "a": 1}, {"a": 1}),
        ({"data": {"X-Api-Key": "s3cr3t", "Authorization": ["Bearer s3cr3t"]}}, {"data": {}}),
        ({"note": "a;lhc_key=s3cr3t"}, {"note": "a;lhc_key=[secret]"}),
        ({"note": "a; Lhc-Key=s3cr3t;b=1&c"}, {"note": "a; Lhc-Key=[secret];b=1&c"}),
        (
            {"headers": [{"name": "Authorization", "value": "Bearer s3cr3t"}]},
            {"headers": [{"name": "Authorization"}]},
        ),
        ({"headers": [{"key": "lhc_key", "value": "s3cr3t"}]}, {"headers": [{"key": "lhc_key"}]}),
        ({"data": '[{"Client-Secret":{"value":"s3cr3t"}}]'}, {"data": "[{}]"}),
    ],
)
def test_credentials_of_any_api_are_removed_and_authenticate_nothing(
    body: dict[str, object], expected: dict[str, object]
) -> None:
    assert CANARIES.remove(body) == (expected, [])
    assert CANARIES.may_be_in(msgspec.json.encode(body))


def test_a_secret_that_is_a_number_is_removed_in_each_place() -> None:
    secrets = BodySecrets([], ["1234567890123456"])
    body = {"a": 1234567890123456, "b": 123456789012345, "1234567890123456": [True, 1234567890123456]}
    assert secrets.remove(body)[0] == {
        "a": "[secret]",
        "b": 123456789012345,
        "[secret]": [True, "[secret]"],
    }


@pytest.mark.parametrize(
    ("raw", "redacted"),
    [
        (b'{"secret":"a\\"b\\\\", "x', b'{"secret":"[secret]", "x'),
        (b'{"secret":{"v":"s1"}, "x', b'{"secret":"[secret]", "x'),
        (b'{"\\u0073ecret":"s1", "x', b'{"secret":"[secret]", "x'),
        (b"{'secret': 's1', 'x", b"{'secret': '[secret]', 'x"),
        (b'"{\\"secret\\":\\"s1\\",\\"x', b'"{\\"secret\\":"[secret]",\\"x'),
        (b"a=1;secret=s1;b=2&lhc_key=s2", b"a=1;secret=[secret];b=2&lhc_key=[secret]"),
        (b"a=1&lhc%5Fkey=s1&data[secret]=s2", b"a=1&lhc_key=[secret]&data[secret]=[secret]"),
        (
            b"<r><secret type='x'>s1</secret><a secret=\"s2\"/><pwd>s3</pwd><n:pwd>s4</n:pwd><secrets>x",
            (
                b"<r><secret type='x'>[secret]</secret><a secret=\"[secret]\"/><pwd>[secret]</pwd>"
                b"<n:pwd>[secret]</n:pwd><secrets>x"
            ),
        ),
        (
            b"Authorization: Bearer s1\r\nX-Api-Key: s2\r\nB: 1",
            b"Authorization: [secret]\r\nX-Api-Key: [secret]\r\nB: 1",
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="secret"\r\nContent-Type: a\r\n\r\ns1\r\n--b',
            b'--b\r\nContent-Disposition: form-data; name="secret"\r\nContent-Type: a\r\n\r\n[secret]\r\n--b',
        ),
        (b"secret: s1\npassword: 's2'\nb: 1", b"secret: [secret]\npassword: '[secret]'\nb: 1"),
        (b'"secret" => s1, "password" => "s2"', b'"secret" => [secret], "password" => "[secret]"'),
        (b'{"lhc_key":"s1","lhc-key":"s2", "x', b'{"lhc_key":"[secret]","lhc-key":"[secret]", "x'),
        (b'{"lhc key":"s1","LhcKey":"s2", "x', b'{"lhc key":"[secret]","LhcKey":"[secret]", "x'),
        (b"no_secrets=1&secretary=s", b"no_secrets=1&secretary=s"),
    ],
)
def test_secret_keys_are_found_in_each_format_of_a_body_that_cannot_be_parsed(
    raw: bytes, redacted: bytes
) -> None:
    assert CANARIES.redact_raw(raw) == redacted


KEYS_OF_CREDENTIALS = (
    *("authorization", "proxy_authorization", "api_key", "x_api_key", "password", "passwd", "pwd"),
    *("access_token", "refresh_token", "id_token", "auth_token", "bearer_token", "session_token"),
    *("x_webhook_token", "x_auth_token", "client_secret", "webhook_secret", "secret_key", "private_key"),
    *("secret", "lhc_key"),  # of `CANARIES`
)


@pytest.mark.parametrize("sign", ["_", "-", "", " "])
@pytest.mark.parametrize("key", KEYS_OF_CREDENTIALS)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<{}>", "</a>"),
        ("<n:{} type='x'>", "<"),
        ('; name="{}"\r\n\r\n', "\r\n--b"),
        ("x, {}=", "&b=1"),
        ("a=1;{}: ", "\r\n"),
    ],
)
def test_each_key_of_a_credential_is_found_in_each_format(
    key: str, sign: str, before: str, after: str
) -> None:
    start = before.format(key.replace("_", sign))
    raw = f"{start}s1{after}"
    assert CANARIES.redact_raw(raw.encode()).decode() == f"{start}[secret]{after}"


@pytest.mark.parametrize("sign", ["_", "-", "", " "])
@pytest.mark.parametrize("key", KEYS_OF_CREDENTIALS)
def test_each_key_of_a_credential_is_found_behind_a_semicolon(key: str, sign: str) -> None:
    spelled = key.replace("_", sign)
    clean, _ = CANARIES.remove({"note": f"a;{spelled}=s1;b=2"})
    assert clean == {"note": f"a;{spelled}=[secret];b=2"}


@pytest.mark.parametrize(
    "piece",
    [b'name="secret"\n', b"<secret ", b"secret ", b'secret\\"', b'secret="', b"secret=[", b'secret:\\"\\'],
)
def test_the_work_on_a_body_that_cannot_be_parsed_grows_with_its_length_alone(piece: bytes) -> None:
    assert CANARIES.redact_raw(piece * (200_000 // len(piece))) is not None


def test_a_long_run_of_backslashes_is_redacted_in_linear_time() -> None:
    before = time.perf_counter()
    assert SECRETS.redact_raw(b"secret" + b"\\" * 262_144).startswith(b"secret")
    assert time.perf_counter() - before < 20  # about one second; a search from each of them took 50


@pytest.mark.parametrize(
    "key",
    [
        *("authorization", "proxy_authorization", "api_key", "x_api_key", "password", "passwd", "pwd"),
        *("access_token", "refresh_token", "id_token", "auth_token", "bearer_token", "session_token"),
        *("x_webhook_token", "x_auth_token", "client_secret", "webhook_secret", "secret_key", "private_key"),
    ],
)
def test_the_key_of_a_credential_is_known_in_each_form(key: str) -> None:
    for form in (key, key.upper(), key.replace("_", "-"), f" {key} "):
        assert SECRETS.remove({form: "s3cr3t", "call_id": 1}) == ({"call_id": 1}, [])
