"""The keys of each fact, and their priority. `identity` and `values` test the names of variables."""

from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

from relay.cloudtalk.fields import FieldParser
from relay.cloudtalk.flatten import flatten
from relay.cloudtalk.keys import names_variable

KEYS: Final = {
    "call_id": "call_id cdr_id call_cdr_id",
    "call_uuid": "call_uuid uuid call_call_uuid",
    "direction": "direction call_direction",
    "status": "call_status status answered call_answered",
    "external_number": "external_number public_external contact_number contact_phone caller_number "
    "customer_number phone phone_number contact.phone contact.phone_number contact.number contacts.phone "
    "external_phone external_phone_number contact_phone_number customer_phone customer_phone_number "
    "client_phone client_number client_phone_number customer.phone customer.phone_number client.phone",
    "internal_number": "internal_number public_internal CallNumber.caller_id_e164 internal_phone "
    "internal_phone_number own_number company_number",
    "from": "from from_number phone_number_from phone_from number_from from_phone from_phone_number caller "
    "calling_number",
    "to": "to to_number phone_number_to phone_to number_to to_phone to_phone_number callee called_number "
    "dialed_number",
    "contact_id": "contact_id contact.id contacts.id customer_id client_id customer.id client.id",
    "contact_name": "contact_name contact.name contacts.name customer_name client_name caller_name "
    "customer.name client.name",
    "agent_id": "agent_id user_id agent.id user.id",
    "agent_email": "agent_email user_email agent.email user.email",
    "agent_name": "agent_name user_name agent.name agent.full_name user.name agent agent_full_name "
    "user_full_name",
    "recording_url": "recording_url recording_link recording.url recording.link record_url recording",
    "tags": "tags call_tags tag",
    "notes": "notes note call_notes",
    "transcript": "transcript transcription",
    "summary": "summary call_summary ai_summary",
    "started_at": "started_at start_time call_start date start_date start",
    "answered_at": "answered_at answer_time call_answer answered_time",
    "ended_at": "ended_at end_time call_end end_date end",
    "duration": "duration call_duration billsec duration_seconds total_time",
    "talking": "talking_time talk_time talking_seconds",
    "waiting": "waiting_time wait_time waiting_seconds",
    "wrapup": "wrapup_time wrapup_seconds call_wrapup_time",
    "voicemail": "is_voicemail voicemail",
    "occurred_at": "occurred_at",
}
"""The keys in the order of their priority. A few with `call_` before them are at the end."""

NUMBERS: Final = (("+34600111222", "+34600111222"), ("+34600111333", "+34600111333"))
TEXTS: Final = (("Ana", "Ana"), ("Eva", "Eva"))
IDS: Final = ((7, "7"), (8, "8"))
TIMES: Final = ((60, 60_000_000), (120, 120_000_000))
SECONDS: Final = ((5, 5), (6, 6))
SAMPLES: Final[dict[str, tuple[tuple[Any, Any], tuple[Any, Any]]]] = {
    **dict.fromkeys(("external_number", "internal_number", "from", "to"), NUMBERS),
    **dict.fromkeys(("contact_name", "agent_name", "notes", "transcript", "summary"), TEXTS),
    **dict.fromkeys(("call_id", "call_uuid", "contact_id", "agent_id"), IDS),
    **dict.fromkeys(("started_at", "answered_at", "ended_at", "occurred_at"), TIMES),
    **dict.fromkeys(("duration", "talking", "waiting", "wrapup"), SECONDS),
    "direction": (("incoming", "inbound"), ("outgoing", "outbound")),
    "status": (("answered", "answered"), ("missed", "missed")),
    "agent_email": (("ana@x.test", "ana@x.test"), ("eva@x.test", "eva@x.test")),
    "recording_url": (("https://x.test/1", "https://x.test/1"), ("https://x.test/2", "https://x.test/2")),
    "tags": (("a", ["a"]), ("b", ["b"])),
    "voicemail": ((True, True), ("yes", True)),
}
"""Two values of each fact, as they are sent and as they are parsed."""

PARSER: Final = FieldParser(ZoneInfo("Europe/Madrid"), "ES")


def parse_facts(body: dict[str, Any]) -> dict[str, Any]:
    return PARSER.parse_stated(flatten(body).fields, [])


@pytest.mark.parametrize(
    ("fact", "key"), [(fact, key) for fact, keys in KEYS.items() for key in keys.split()]
)
def test_each_key_has_its_fact(fact: str, key: str) -> None:
    sent, parsed = SAMPLES[fact][0]
    assert parse_facts({key: sent}) == {fact: parsed}
    assert parse_facts({key.upper().replace("_", " "): sent}) == {fact: parsed}


@pytest.mark.parametrize("fact", KEYS)
def test_of_two_keys_the_one_that_is_listed_first_counts(fact: str) -> None:
    keys = KEYS[fact].split()
    (sent, parsed), (other, _) = SAMPLES[fact]
    for first, second in pairwise(keys):
        assert parse_facts({second: other, first: sent}) == {fact: parsed}


@pytest.mark.parametrize(
    "key",
    [
        *("agent_first_name", "agent.first_name", "user.first_name"),
        *("agent_last_name", "agent.last_name", "user.last_name"),
    ],
)
def test_the_first_and_the_last_name_of_an_agent_may_have_keys_of_their_own(key: str) -> None:
    assert parse_facts({key: "Ana"}) == {"agent_name": "Ana"}


def test_only_a_key_without_steps_counts_with_call_before_it() -> None:
    assert parse_facts({"call_contact.name": "Ana", "call_customer": {"id": 7}}) == {}


# --- names of variables -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        *("call_uuid", "uuid", "Call UUID", "contact.name", "id", "event_id", "call_id", "call_started_at"),
        *("{call_uuid}", "${call_uuid}", "[call_uuid]", "<call_uuid>", "(call_uuid)", "%call_uuid%"),
        *("@call_uuid", "#call_uuid#", "|call_uuid|", '"call_uuid"', "'call_uuid'", "`call_uuid`"),
        *("\u00b4call_uuid\u00b4", "\u2018call_uuid\u2019", "\u201ccall_uuid\u201d", "\u00abcall_uuid\u00bb"),
        *("\\call_uuid", ":call_uuid", "=call_uuid", "*call_uuid", "~call_uuid", ":=call_uuid"),
        *("{my_var}", "x{my_var}y", "[my_var]", "<my_var>", "(my_var)", "%my_var%", "@my_var@", "#my_var#"),
        *("|my_var|", "~my_var~", "*my_var*", "$my_var", ":my_var", "=my_var", "{var12}", "{a12}"),
        "{abcdefghi123}",
    ],
)
def test_a_text_that_names_a_variable_is_no_id(text: str) -> None:
    assert names_variable(text) is True


@pytest.mark.parametrize(
    "text",
    [
        *(
            "call-uuid",
            "Xuuid",
            "my_var",
            "a:my_var",
            "1002402487",
            "{1002402487}",
            "{a1b2c3}",
            "{a123}",
            "[]",
            "{}",
        ),
        *("sip:5", "ana@x.test", "<ana@x.test>", "{abcdefgh123}", "$5", "x[my_var]", "(my_var)x", "{12}"),
    ],
)
def test_other_texts_may_be_ids(text: str) -> None:
    assert names_variable(text) is False


@pytest.mark.parametrize("missing", [None, "", "null"])
def test_inside_an_object_the_first_key_with_a_value_counts(missing: str | None) -> None:
    body = {"external_number": {"phone": missing, "phone_number": "+34600111222", "text": "+34600111333"}}
    assert parse_facts(body)["external_number"] == "+34600111222"
