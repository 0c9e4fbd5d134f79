"""Redaction of texts: people, secrets, credentials."""

import re
from datetime import datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.logs.redaction import Redactor, hide, mask_text, remove_secrets, to_text

# --- people -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("+34612345678", "+34*****678"),
        ("call +34 612 345 678 back", "call +34*****678 back"),
        ("612-34-56-78", "*****678"),
        ("(91) 123.45.67", "*****567"),
        ("91.123.45.67", "*****567"),
        ("tel:+34612345678;x", "tel:+34*****678;x"),
        ("?phone=%2B34612345678&x=1", "?phone=+34*****678&x=1"),
        ("from=eq.34612345678", "from=eq.*****678"),
        ("+1234567", "*****567"),
        ("+123456789", "*****789"),
        ("+1234567890", "+12*****890"),
        ("34 612 345 678", "*****678"),
        ("ana.garcía@correo.example.es wrote", "***@*** wrote"),
        ("a 123456 b", "a 123456 b"),
        ("2024-11-28T10:30:00Z and 2024-11-28 10:30:00.123+01:00", None),
        ("at http://127.0.0.1:8080/x from 192.168.100.200", None),
        ("Key (id)=(cloudtalk-1002402487) already exists", None),
        ("44fe27cd-5268-4670-9931-012900112233", None),
        ("PGRST205: column 42703 of 34 in 120 ms", None),
    ],
)
def test_telephone_numbers_and_email_addresses_in_texts_are_masked(text: str, masked: str | None) -> None:
    assert mask_text(text) == (text if masked is None else masked)


NUMBERS = st.from_regex(r"\+?[2-9]([ .-]?[0-9]){6,14}", fullmatch=True)
DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")


@given(NUMBERS.filter(lambda number: not DATE.search(number)), st.text(alphabet="abcxyz ,:='\"()\n"))
def test_a_masked_number_keeps_its_country_and_three_digits_at_most(number: str, around: str) -> None:
    masked = mask_text(f"{around}{number}{around}")
    assert sum(character.isdigit() for character in masked) <= 5
    assert mask_text(masked) == masked


@pytest.mark.parametrize(
    ("text", "personal", "masked"),
    [
        ("Key (contact_name)=(Ana) already exists", ["Ana"], "Key (contact_name)=(***) already exists"),
        ("value ANA GARCÍA", ["Ana García"], "value ***"),
        ("firstname Begoña is bad", ["Begoña Íñiguez Sáez"], "firstname *** is bad"),
        ('{"name": "Mar\\u00eda"}', ["María"], '{"name": "***"}'),
        ("banana is no Ana", ["Ana"], "banana is no ***"),
        ("extension 101", ["101"], "extension ***"),
        ("Key (name)=(Bo)", ["Bo"], "Key (name)=(***)"),
        ("Key (name)=(Bo)", [" Bo\n"], "Key (name)=(***)"),
        ("Bo is not Bo Li", ["Bo Li"], "Bo is not ***"),
        ("Eva is Eva Li", ["Eva Li"], "*** is ***"),
        (
            "Ana Bea Eva Gil Luz Mar, Sol Paz Leo Max Ivo Noe",
            ["Ana Bea Eva Gil Luz Mar", "Sol Paz Leo Max Ivo Noe"],
            "***, ***",
        ),
        ("a (b) c", ["", " ", "a"], "a (b) c"),
        ("(x.y)", ["(x.y)"], "***"),
        (r'"María \"Mi\" Sol"', ['María "Mi" Sol'], '"***"'),
    ],
)
def test_personal_values_are_masked_in_texts(text: str, personal: list[str], masked: str) -> None:
    assert mask_text(text, personal) == masked


# --- secrets ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("GET /hook?token=abc&x=1", "GET /hook?token=[secret]&x=1"),
        ("/recordings/1.wav?signature=abc", "/recordings/1.wav?signature=[secret]"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [secret]"),
        ("{'authorization': 'Basic dXNlcg=='}", "{'authorization': 'Basic [secret]'}"),
        ("(b'Authorization', b'Bearer abc')", "(b'Authorization', b'Bearer [secret]')"),
        ("authorization=abc", "authorization=[secret]"),
        ("JWT bearer eyJ0.x1 expired", "JWT bearer [secret] expired"),
        ("AUThorization: abc", "AUThorization: [secret]"),
        ("aUTHORIZATION: abc", "aUTHORIZATION: [secret]"),
        ("AuThOrIzAtIoN, BASIC abc", "AuThOrIzAtIoN, BASIC [secret]"),
        ("JWT bEaReR eyJ0.x1 expired", "JWT bEaReR [secret] expired"),
        ("PassWord=abc", "PassWord=[secret]"),
        ('{"token": "abc"}', '{"token": "[secret]"}'),
        ("postgresql://relay:pa&ss@db/relay", "postgresql://relay:[secret]@db/relay"),
        ("no Authorization header, no token: neither a bearer token", None),
    ],
)
def test_credentials_are_removed_from_texts(text: str, redacted: str | None) -> None:
    assert mask_text(text) == (text if redacted is None else redacted)


def test_secrets_are_removed_from_a_text_whose_personal_data_is_kept() -> None:
    hide("key-of-the-crm")
    text = "ana@example.test +34612345678 key-of-the-crm ?token=abc"
    assert remove_secrets(text) == "ana@example.test +34612345678 [secret] ?token=[secret]"


def test_a_secret_inside_a_credential_is_removed_as_a_whole() -> None:
    hide("ab&cd")
    assert (
        mask_text("/hook?token=ab&cd&x=1 {'password': 'ab&cd'}")
        == "/hook?token=[secret]&x=1 {'password': '[secret]'}"
    )


def test_a_secret_that_contains_another_is_removed_as_a_whole() -> None:
    hide("abc")
    hide("abcdef")
    assert mask_text("abcdef abc") == "[secret] [secret]"


@pytest.mark.parametrize("text", ["a hidden-secret", "a hidden-secret " + "x" * 200])
def test_a_secret_that_is_hidden_later_is_removed_from_a_text_that_was_logged_before(text: str) -> None:
    redactor = Redactor()
    assert redactor.redact_field("error", text) == text
    redactor.hide("hidden-secret")
    assert redactor.redact_field("error", text) == text.replace("hidden-secret", "[secret]")


def test_url_encoded_and_json_encoded_secrets_are_removed() -> None:
    hide('p"ñ/')
    assert mask_text(r'p"ñ/ p\"ñ/ p\"\u00f1/ p%22%C3%B1%2F') == "[secret] [secret] [secret] [secret]"


def test_a_short_secret_is_removed_only_as_a_whole_word() -> None:
    redactor = Redactor()
    redactor.hide("t")
    assert redactor.remove_secrets("the token t; ?token=t&x=1") == "the token [secret]; ?token=[secret]&x=1"


# --- fields -----------------------------------------------------------------------------------


PERSON_KEYS = [
    "contact_name",
    "agent_name",
    "agent_email",
    "contact",
    "agent",
    "email",
    "first_name",
    "last_name",
    "clienteNombre",
    "nombre",
    "agente",
    "notes",
    "notas",
    "transcript",
    "summary",
]
NUMBER_KEYS = [
    "from",
    "to",
    "external_number",
    "internal_number",
    "number",
    "phone",
    "phone_number",
    "telefono",
]
SECRET_KEYS = [
    "authorization",
    "apikey",
    "api_key",
    "cookie",
    "password",
    "secret",
    "token",
    "X-Webhook-Token",
    "Proxy-Authorization",
    "X-Api-Key",
    "client_secret",
    "Access Token",
]
READABLE_KEYS = [
    "timestamp",
    "level",
    "logger",
    "call",
    "calls",
    "call_id",
    "call_uuid",
    "event_seq",
    "quarantine_id",
    "remote_id",
    "client",
    "dialect",
    "kind",
    "destination",
    "lease",
    "owner",
    "outcome",
    "url",
    "until",
    "version",
    "dropped",
]


@pytest.mark.parametrize("key", PERSON_KEYS)
def test_a_field_about_a_person_is_masked_as_a_whole(key: str) -> None:
    redactor = Redactor()
    assert [redactor.redact_field(key, value) for value in ("Ana", ["Ana"], "", None)] == [
        "***",
        "***",
        "",
        None,
    ]
    redactor.mask_people = False
    assert redactor.redact_field(key, "Ana") == "Ana"


@pytest.mark.parametrize("key", NUMBER_KEYS)
def test_a_field_with_a_number_is_masked_unless_the_number_is_an_extension(key: str) -> None:
    redactor = Redactor()
    written = {
        34612345678: "*****678",
        "+34612345678": "+34*****678",
        "612 34 56": "*****456",
        "12345": "*****",
    }
    assert {value: redactor.redact_field(key, value) for value in written} == written
    assert [redactor.redact_field(key, value) for value in (1234, "1234", "")] == [1234, "1234", ""]
    assert redactor.redact_field(key, "ana@example.test") == "***@***"
    redactor.mask_people = False
    assert redactor.redact_field(key, "+34612345678") == "+34612345678"


@pytest.mark.parametrize("key", SECRET_KEYS)
@pytest.mark.parametrize("mask_people", [True, False])
def test_a_field_with_a_secret_is_removed_as_a_whole(key: str, mask_people: bool) -> None:
    redactor = Redactor()
    redactor.mask_people = mask_people
    assert redactor.redact_field(key, "abc") == "[secret]"
    assert redactor.redact_field("headers", {key: "abc"}) == {key: "[secret]"}


@pytest.mark.parametrize("key", READABLE_KEYS)
def test_digits_of_an_id_are_kept_unless_they_are_written_like_a_number(key: str) -> None:
    redactor = Redactor()
    redactor.hide("hidden-secret")
    written = {
        "34612345678": "34612345678",
        "2024-11-28T10:30:00+01:00": "2024-11-28T10:30:00+01:00",
        "cloudtalk-+34612345678": "cloudtalk-+34*****678",
        "cloudtalk-612 345 678": "cloudtalk-*****678",
        "34 612 345 678": "*****678",
        "+34 612 345 6 7 8": "+34*****678",
        "the call 34612345678": "the call 34612345678",
        "%2B34612345678": "+34*****678",
        "/a/hidden-secret": "/a/[secret]",
    }
    assert {value: redactor.redact_field(key, value) for value in written} == written
    redactor.mask_people = False
    assert redactor.redact_field(key, "cloudtalk-+34612345678") == "cloudtalk-+34612345678"


def test_any_other_field_is_redacted_like_a_text() -> None:
    redactor = Redactor()
    assert redactor.redact_field("error", "Ana: 34612345678, ?token=abc") == "Ana: *****678, ?token=[secret]"
    unchanged = [34612345678, 1.5, True, None]
    assert [redactor.redact_field("error", value) for value in unchanged] == [34612345678, 1.5, True, None]
    assert redactor.redact_field("error", unchanged) == [34612345678, 1.5, True, None]


@pytest.mark.parametrize("key", NUMBER_KEYS)
def test_no_number_is_nothing_to_mask(key: str) -> None:
    assert [Redactor().redact_field(key, value) for value in (None, True, 1.5)] == [None, True, 1.5]


def test_fields_inside_of_fields_are_redacted_by_their_own_key() -> None:
    nested = {
        "Email": "a@b.example",
        "34612345678": [{"from": "34612345678", "token": "x"}],
        "call": ("7", "+34 612 345 678"),
    }
    assert Redactor().redact_field("body", nested) == {
        "Email": "***",
        "*****678": [{"from": "*****678", "token": "[secret]"}],
        "call": ["7", "+34*****678"],
    }


class Row(msgspec.Struct):
    email: str
    error: object


def test_a_struct_is_redacted_by_its_fields_whatever_they_contain() -> None:
    row = Row("a@b.example", ValueError("no 34612345678"))
    assert Redactor().redact_field("row", row) == {"email": "***", "error": "ValueError: no *****678"}


def test_values_nested_too_deep_are_redacted_as_one_text() -> None:
    nested = {"a": {"a": {"a": {"a": {"a": "34612345678"}}}}}
    assert Redactor().redact_field("a", nested) == {"a": {"a": {"a": {"a": "{'a': '*****678'}"}}}}


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    text = Redactor().redact_field("error", "a" * 5_000 + "b" * 5_000)
    assert text == "a" * 4_096 + " [1808 more] " + "b" * 4_096
    assert Redactor().redact_field("error", "a" * 8_192) == "a" * 8_192


def test_people_are_shown_if_the_settings_allow_it_but_credentials_are_not() -> None:
    redactor = Redactor()
    redactor.mask_people = False
    text = "Ana a@b.example +34612345678 ?token=abc"
    assert redactor.redact_text(text, ["Ana"]) == "Ana a@b.example +34612345678 ?token=[secret]"


class Unprintable:
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"a\xff", r"a\xff"),
        (datetime(2024, 11, 28, 10, 30, tzinfo=timezone(timedelta(hours=1))), "2024-11-28T09:30:00.000Z"),
        (ValueError("wrong"), "ValueError: wrong"),
        (Unprintable(), "<Unprintable that cannot be shown>"),
    ],
)
def test_a_value_of_any_class_has_a_text(value: object, text: str) -> None:
    assert to_text(value) == text
