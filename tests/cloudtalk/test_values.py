"""Values of fields in the odd forms of real deliveries; any other value raises `InvalidValue`."""

from contextlib import suppress
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cloudtalk import statuses, times, values
from relay.cloudtalk.errors import InvalidValue, TooLong, UnrenderedTemplate
from relay.standards import phones

MADRID = ZoneInfo("Europe/Madrid")

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.parametrize(
    "missing",
    [
        *(None, "", "  ", "null", " NULL ", "undefined", "None", "[object Object]", "NaN", "0000-00-00"),
        *("0000-00-00 00:00:00", " " * 60, " " * 60 + "null"),
    ],
)
def test_sentinels_count_as_missing(missing: Any) -> None:
    assert values.parse_text(missing) is None
    assert values.parse_id(missing) is None
    assert values.parse_numeric_id(missing) is None
    assert values.parse_display_text(missing) is None
    assert values.parse_lines(missing) is None
    assert values.parse_list(missing) is None
    assert values.parse_web_address(missing) is None
    assert values.parse_flag(missing) is None
    assert values.is_missing(missing)
    assert values.parse_phone(missing, "ES") is None
    assert times.parse_instant(missing, MADRID) is None
    assert times.parse_seconds(missing) is None
    assert values.parse_direction(missing) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("abc-1", "abc-1"),
        (123, "123"),
        (123.0, "123"),
        (1.002402487e9, "1002402487"),
        (" 7 ", "7"),
        ("x" * 200, "x" * 200),
    ],
)
def test_ids_stay_verbatim(value: Any, expected: str) -> None:
    assert values.parse_id(value) == expected


@pytest.mark.parametrize("value", ["x" * 201, True, [], {}])
def test_a_value_that_is_no_id_is_invalid(value: Any) -> None:
    with pytest.raises(InvalidValue):
        values.parse_id(value)


@pytest.mark.parametrize(
    ("value", "variable"),
    [
        ("{{ contact.name }}", "{{ contact.name }}"),
        (" {{a}} {{b}} ", "{{a}}"),
        ("Sra. {{contact_name}}", "{{contact_name}}"),
        ("+{{external_number}}", "{{external_number}}"),
        ('"{{tags}}"', "{{tags}}"),
        ("&#x7b;&lcub;agent_name&#125;&rbrace;", "{{agent_name}}"),
        ("%7B%7bnotes%7D%7d", "{{notes}}"),
        ("}} {{x}}", "{{x}}"),
        ("{{x}} }}", "{{x}}"),
        ("&#x7B;{x}&#125;", "{{x}}"),
    ],
)
def test_a_text_with_an_unrendered_variable_is_invalid_and_the_variable_named(
    value: str, variable: str
) -> None:
    for parse in (values.parse_text, values.parse_display_text, values.parse_lines, values.parse_id):
        with pytest.raises(UnrenderedTemplate) as caught:
            parse(value)
        assert caught.value.variable == variable


@pytest.mark.parametrize("text", ["{a}", "{ {a} }", "}}{{", "{{", "f(x) = {x}", "100 %7B", "&amp;", "name"])
def test_braces_without_a_variable_are_text(text: str) -> None:
    assert values.parse_text(text) == text


@pytest.mark.parametrize(
    "name",
    [
        *("{call_uuid}", "${call_uuid}", "[[Call UUID]]", "%callUuid%", "<call_uuid>", "#{uuid}", "@call_id"),
        *("call_uuid", "Call UUID", "CALL_ID", "uuid", "id", "call.uuid", "$json.call_id", "(cdr_id)"),
        *(
            ":call_uuid",
            "=call_id",
            "*|my_var|*",
            "@@x@@",
            "##ticket##",
            "|x|",
            "=$json.ticket",
            "~ticket~",
            ":ticket",
            "=ticket",
        ),
        *("{ { call_uuid } }", "call-${call_uuid}", "{call_uuid}-x", "'call_uuid'", "\u201ccall_id\u201d"),
        *("&lt;call_uuid&gt;", "&#123;call_uuid&#125;", "{call_external_number}", "$json['call_uuid']"),
        *("contact.id", "agent_email", "{event_id}"),
        *(
            "{my_var}",
            "[[x]]",
            "<my call>",
            "${x}",
            "%x%",
            "{x}",
            "[step 2]",
            "(llamada)",
            "$my_var",
            "<<x>>",
        ),
        *("#{ticket}", "<%= ticket %>", "{% ticket %}", "{ticket|upper}", "{$ticket}", "[% ticket %]"),
        *(
            "&lt;ticket&gt;",
            "%7Bticket%7D",
            "call-{ticket}",
            "{ticket}/{line}",
            "$(ticket)",
            "{Anrufkennung}",
        ),
        *("{numéro_d_appel}", "{identificador de la llamada 1}", "@{ticket}", "{!ticket}", "{ticket[0]}"),
    ],
)
def test_the_name_of_a_variable_is_no_id(name: str) -> None:
    for parse in (values.parse_id, values.parse_numeric_id):
        with pytest.raises(UnrenderedTemplate) as caught:
            parse(name)
        assert caught.value.variable == name


@pytest.mark.parametrize(
    "id_",
    [
        *("call-id", "call-uuid-1", "uuid:5", "{0f8fad5b-d9cb-469f-a165-70867728950e}", "abc$1", "id7"),
        *("1700000000.123", "100%", "<42@pbx.example>", "agent.5", "[7]", "callid1", "x{7}"),
        *("{A1B2C3}", "[[0f8fad5b-d9cb-469f-a165-70867728950e]]", "<ab@pbx.example>", "${1700000000.123}"),
        *("*1234*", "#5", "##A1B2C3##", "a:b", "|1|2|", "100%1%", ":5", "&#1;"),
        *("%41%42", "a<b>", "ticket", "my_var", "(34)600111222", "{}", "$", "%%", "a(b)c", "ABC-{1234}"),
    ],
)
def test_an_id_with_signs_in_it_stays_an_id(id_: str) -> None:
    assert values.parse_id(id_) == values.parse_numeric_id(id_) == id_


def test_an_id_that_is_too_long_raises_an_error_of_its_own() -> None:
    with pytest.raises(TooLong):
        values.parse_id("x" * 201)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (123, "123"),
        ("123", "123"),
        (123.0, "123"),
        ("123.0", "123"),
        ("1.002402487e9", "1002402487"),
        ("1.002402487E+9", "1002402487"),
        ("007", "007"),
        ("1e5", "1e5"),
        ("12e4f", "12e4f"),
        ("1.5", "1.5"),
        ("1.50", "1.50"),
        (1.5, "1.5"),
        ("1.0e99", "1.0e99"),
        ("9007199254740991.0", "9007199254740991"),
        ("9007199254740992.0", "9007199254740992.0"),
        ("٣.٣", "٣.٣"),
    ],
)
def test_a_numeric_id_in_the_form_of_a_float_gets_its_digits_back(value: Any, expected: str) -> None:
    assert values.parse_numeric_id(value) == expected


@given(st.integers(0, 2**53 - 1))
def test_a_number_is_the_same_id_in_each_form(number: int) -> None:
    assert (
        values.parse_numeric_id(number)
        == values.parse_numeric_id(float(number))
        == values.parse_numeric_id(f"{number}.0")
        == str(number)
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Flor &amp; Hijos", "Flor & Hijos"),
        ("O&#39;Hara &#x27;", "O'Hara '"),
        ("AT&T", "AT&T"),
        ("?a=1&copy=2", "?a=1&copy=2"),
        ("&nosuch;", "&nosuch;"),
        ("&amp;&#x110000;", "&\ufffd"),
        ("&#0;", "\ufffd"),
        ("&#99999999999;", "&#99999999999;"),
        (5, "5"),
    ],
)
def test_html_entities_are_unescaped(value: Any, expected: str) -> None:
    assert values.parse_display_text(value) == expected


@given(st.text())
def test_no_text_becomes_one_that_a_database_cannot_hold(text: str) -> None:
    with suppress(InvalidValue):
        assert "\x00" in text or "\x00" not in (values.parse_display_text(text) or "")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a, b ,a", ["a", "b"]),
        (["a", " b "], ["a", "b"]),
        ([{"id": 1, "name": "a, b"}, {"label": "c"}], ["a, b", "c"]),
        ([None, "null", {"id": 1}], None),
        ({"name": "a, b"}, ["a, b"]),
        ([{"tag": "a"}, {"value": "b"}, {"text": "c"}], ["a", "b", "c"]),
        ([], None),
        (["", " a", "a "], ["a"]),
        (",", None),
        (7, ["7"]),
    ],
)
def test_tags_in_any_form_become_a_list(value: Any, expected: list[str] | None) -> None:
    assert values.parse_list(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("one", "one"),
        ([{"id": 1, "note": "one"}, {"note": None}, "two"], "one\ntwo"),
        ({"text": "one"}, "one"),
        ({" Content ": "one"}, "one"),
        ([{"name": "Ana", "text": "one"}, {"speaker": "Leo", "value": "two"}], "one\ntwo"),
        ({"language": "es", "segments": [{"text": "one"}, {"text": "two"}]}, "one\ntwo"),
        ({"text": None, "items": [{"content": {"text": "one"}}]}, "one"),
        ({"language": "es"}, None),
        ([], None),
        ({}, None),
    ],
)
def test_notes_in_any_form_become_lines(value: Any, expected: str | None) -> None:
    assert values.parse_lines(value) == expected


TEXT_KEYS = (
    *("note", "summary", "transcript", "transcription", "text", "content", "value"),
    *("message", "sentence", "title", "label", "name"),
)
LABEL_KEYS = ("name", "label", "tag", "title", "text", "content", "value")


def test_the_text_of_an_object_is_under_the_first_of_these_keys() -> None:
    for place, key in enumerate(TEXT_KEYS):
        assert values.parse_lines({later: later for later in reversed(TEXT_KEYS[place:])}) == key
        assert values.parse_lines([{"id": 1, key.upper(): "one"}, {key: None}]) == "one"


def test_the_name_of_an_object_is_under_the_first_of_these_keys() -> None:
    for place, key in enumerate(LABEL_KEYS):
        assert values.parse_list([{later: later for later in reversed(LABEL_KEYS[place:])}]) == [key]
        assert values.parse_list({"id": 1, key: "a,b"}) == ["a,b"]
    assert values.parse_list([{"note": "a"}]) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("612345678", "+34612345678"),
        (612345678, "+34612345678"),
        ("tel:+34612345678", "+34612345678"),
        (39351340000, "+39351340000"),
        (34600111222, "+34600111222"),
        (4915112345678, "+4915112345678"),
        ("Private number", None),
        (0, None),
        (266696687, None),
        ("anonymous", None),
        ("withheld", None),
        ("Unknown", None),
        ("ext 12", "ext 12"),
        ("TEL: 612345678", "+34612345678"),
        ("tel:", None),
        ({"number_e164": "+34612345678", "number": "1"}, "+34612345678"),
        ({"number_e164": None, "number": 612345678}, "+34612345678"),
        ({}, None),
        ("9" * 65, "9" * 65),
    ],
)
def test_a_phone_number_is_e164_if_it_is_valid(value: Any, expected: str | None) -> None:
    assert values.parse_phone(value, "ES") == expected


@given(st.text(max_size=80))
def test_any_text_is_accepted_as_a_phone_number(written: str) -> None:
    phone = values.parse_phone("x" + written, "ES")
    assert phone is None or phone


def test_a_text_too_long_for_a_phone_number_is_not_cached() -> None:
    before = phones._find_phones.cache_info().currsize
    assert values.parse_phone("1" * 1_000, "ES") is None
    assert phones._find_phones.cache_info().currsize == before


@pytest.mark.parametrize("value", [True, [], ["+34612345678"], {"number": [1]}, {"value": "+34612345678"}])
def test_a_value_that_is_no_text_is_an_invalid_phone_number(value: Any) -> None:
    with pytest.raises(InvalidValue):
        values.parse_phone(value, "ES")


def test_only_http_links_are_web_addresses() -> None:
    assert values.parse_web_address(" HTTPS://x.test/a ") == "HTTPS://x.test/a"
    assert values.parse_web_address("http://x.test/a") == "http://x.test/a"
    assert values.parse_web_address(False) is None
    with pytest.raises(InvalidValue):
        values.parse_web_address("javascript:alert(1)")


def test_a_plus_that_became_a_space_is_restored_in_addresses() -> None:
    assert values.parse_email(" ana crm@example.test ") == "ana+crm@example.test"
    assert values.parse_web_address("https://x.test/r/a b c.wav?d e") == "https://x.test/r/a+b+c.wav?d+e"


def test_yes_is_true_in_any_form_and_no_counts_as_missing() -> None:
    assert [values.parse_flag(yes) for yes in (True, "true", "TRUE", 1, "1", "yes")] == [True] * 6
    assert [values.parse_flag(no) for no in (False, None, "false", 0, "0", "no", "")] == [None] * 7
    with pytest.raises(InvalidValue):
        values.parse_flag("perhaps")


def test_directions_are_parsed_in_any_form() -> None:
    assert [values.parse_direction(word) for word in ("Incoming", " INBOUND ")] == ["inbound"] * 2
    assert [values.parse_direction(word) for word in ("outgoing", "Outbound")] == ["outbound"] * 2
    assert values.parse_direction("internal") == "internal"
    assert values.parse_direction("") is None


def test_an_unknown_direction_is_invalid() -> None:
    with pytest.raises(InvalidValue):
        values.parse_direction("sideways")


@given(_json)
def test_no_value_raises_another_error(value: Any) -> None:
    for parse in (
        values.parse_text,
        values.parse_id,
        values.parse_numeric_id,
        values.parse_display_text,
        values.parse_lines,
        values.parse_list,
        values.parse_web_address,
        values.parse_flag,
        times.parse_seconds,
        values.parse_direction,
        statuses.parse_call_status,
        lambda v: times.parse_instant(v, MADRID),
        lambda v: values.parse_phone(v, "ES"),
    ):
        with suppress(InvalidValue):
            parse(value)
