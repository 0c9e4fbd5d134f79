"""Secrets are found in each spelling; all other text stays as it is."""

import base64
import html
import json
import tracemalloc
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from relay.standards.secret_spellings import SecretFinder

Speller = Callable[[str], str]


def escape_all(form: str) -> Speller:
    return lambda secret: "".join(form.format(ord(character)) for character in secret)


def percent_all(secret: str) -> str:
    return "".join(f"%{byte:02x}" for byte in secret.encode())


def as_json(secret: str) -> str:
    return json.dumps(secret)[1:-1]


SPELLERS: dict[str, Speller] = {
    "raw": str,
    "json": as_json,
    "php": lambda secret: as_json(secret).replace("/", "\\/"),
    "unescaped json": lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    "unicode escapes": escape_all("\\u{:04x}"),
    "capital unicode escapes": escape_all("\\u{:04X}"),
    "percent": lambda secret: quote(secret, safe=""),
    "percent of each byte": percent_all,
    "form": quote_plus,
    "html": html.escape,
    "decimal entities": escape_all("&#{};"),
    "entities without an end": escape_all("&#{}"),
    "hexadecimal entities": escape_all("&#x{:X};"),
}
TOKENS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=16, max_size=40)
PASSWORDS = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x24FF, categories=["L", "N", "P"]), min_size=8
)
AROUND = st.text("\n\t◆ ", max_size=20)


@pytest.mark.parametrize("speller", SPELLERS)
@settings(max_examples=25)
@given(secret=TOKENS | PASSWORDS, before=AROUND, after=AROUND)
@example(secret="with/slash+and=signs", before="", after="")
@example(secret="it's%41&amp;\\u0041\\/x", before="", after="")
@example(secret="contraseña-ñandú con espacios", before="", after="")
def test_a_secret_is_removed_in_each_spelling(speller: str, secret: str, before: str, after: str) -> None:
    text = before + SPELLERS[speller](secret) + after
    finder = SecretFinder([secret])
    assert finder.may_be_in(text.encode())
    assert finder.remove_from_text(text) == f"{before}[secret]{after}"


@pytest.mark.parametrize("outer", ["json", "php", "percent", "unicode escapes", "decimal entities"])
@pytest.mark.parametrize("inner", ["raw", "php", "percent", "unicode escapes", "html"])
@settings(max_examples=25)
@given(secret=TOKENS)
def test_a_secret_is_removed_in_one_spelling_inside_another(outer: str, inner: str, secret: str) -> None:
    text = SPELLERS[outer](SPELLERS[inner](secret))
    assert SecretFinder([secret]).remove_from_text(f"<{text}>") == "<[secret]>"


@given(
    secret=st.text("aZ09-_./", min_size=16, max_size=30),
    choices=st.lists(st.sampled_from(["raw", "unicode escapes", "percent of each byte", "decimal entities"])),
)
def test_each_character_may_have_a_spelling_of_its_own(secret: str, choices: list[str]) -> None:
    names = [*choices, *["raw"] * len(secret)]
    text = "".join(SPELLERS[name](character) for name, character in zip(names, secret, strict=False))
    assert SecretFinder([secret]).remove_from_text(f"({text})") == "([secret])"


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@settings(max_examples=25)
@given(secret=TOKENS | PASSWORDS, user=st.text("user:", max_size=5), after=st.text("xyz", max_size=4))
def test_no_part_of_a_secret_stays_in_base64(
    encode: Callable[[bytes], bytes], secret: str, user: str, after: str
) -> None:
    text = encode((user + secret + after).encode()).decode()
    finder = SecretFinder([secret])
    for spelled in (text, text.replace("/", "\\/"), quote(text, safe="")):
        left = finder.remove_from_text(spelled)
        assert left.count("[secret]") == 1
        # Base64 has four characters for three bytes: what is around the secret and not whole may stay.
        assert len(left) - len("[secret]") <= (len((user + after).encode()) * 4 // 3 + 4) * 3


@pytest.mark.parametrize("outer", ["raw", "json", "percent", "decimal entities"])
@pytest.mark.parametrize(("width", "line_break"), [(64, "\n"), (64, "\r\n"), (76, "\n"), (76, "\r\n")])
@settings(max_examples=25)
@given(secret=TOKENS, before=st.text("user:", max_size=80), after=st.text("xyz", max_size=80))
def test_no_part_of_a_secret_stays_in_base64_with_line_breaks(
    outer: str, width: int, line_break: str, secret: str, before: str, after: str
) -> None:
    def wrapped(raw: str) -> str:
        encoded = base64.b64encode(raw.encode()).decode()
        return line_break.join(encoded[start : start + width] for start in range(0, len(encoded), width))

    text = SPELLERS[outer](wrapped(before + secret + after))
    finder = SecretFinder([secret])
    assert finder.may_be_in(text.encode())
    first, _, last = finder.remove_from_text(text).partition("[secret]")
    assert len(first) <= len(SPELLERS[outer](wrapped(before))) + len("&#100;") * 4
    assert len(last) <= len(SPELLERS[outer](wrapped(after))) + len("&#100;") * 6


@pytest.mark.parametrize("length", [16, 17, 18, 40, 60, 100, 150])
def test_a_line_break_at_any_place_in_base64_hides_no_secret(length: int) -> None:
    secret = "".join(chr(ord("A") + 7 * n % 57) for n in range(length)).replace("\\", "~")
    finder = SecretFinder([secret])
    for before in range(66):
        encoded = base64.b64encode(("u" * before + secret + "~~").encode()).decode()
        text = "\n".join(encoded[start : start + 64] for start in range(0, len(encoded), 64))
        assert finder.may_be_in(text.encode()), before
        assert len(finder.remove_from_text(text)) < (before + 2) * 4 / 3 + len("[secret]") + 8, before


def test_a_line_break_outside_base64_stays() -> None:
    text = f"{'x' * 64}\nabcdefghijklmnop\n{'y' * 64}\n{'z' * 64}"
    assert SecretFinder(["abcdefghijklmnop"]).remove_from_text(text) == text.replace(
        "abcdefghijklmnop", "[secret]"
    )


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "latin-1", "utf-8"])
def test_a_secret_is_removed_in_each_encoding(encoding: str) -> None:
    finder = SecretFinder(["contraseña-ÿ-0123456789"])
    left = finder.remove(b"a" + "contraseña-ÿ-0123456789".encode(encoding) + b"b")
    assert left.replace(b"\0", b"") == b"a[secret]b"


@pytest.mark.parametrize("speller", SPELLERS)
@settings(max_examples=25)
@given(secret=TOKENS, data=st.data())
def test_no_start_of_a_secret_stays_where_a_text_is_cut_off(
    speller: str, secret: str, data: st.DataObject
) -> None:
    spelled = SPELLERS[speller](secret)
    length = data.draw(st.integers(0, len(spelled)))
    left = SecretFinder([secret]).remove_from_start(b"\t" + spelled[:length].encode())
    assert left.startswith(b"\t")
    assert left.endswith(b"[secret]") or length <= len(SPELLERS[speller](secret[:4])) + 8


def test_the_end_of_a_text_stays_where_no_secret_is_cut_off() -> None:
    finder = SecretFinder(["abcdefgh"])
    assert finder.remove_from_start(b"100 %") == b"100 %"
    assert finder.remove_from_start(b"a&b \\") == b"a&b \\"
    assert finder.remove_from_start(b"abcdefgh abc") == b"[secret] abc"
    assert finder.remove_from_start(b"abcdefgh abcd") == b"[secret] [secret]"
    assert finder.remove_from_start(b"abcdefg") == b"[secret]"
    assert finder.remove_from_start(b"abcdefgh and 100 %") == b"[secret] and 100 %"
    assert finder.remove_from_start(b"abcdefgh and abcd%6") == b"[secret] and [secret]"
    assert SecretFinder([]).remove_from_start(b"abc%") == b"abc%"


@pytest.mark.parametrize("digits", ["6162632d646566676869", "6162632D646566676869"])
def test_a_secret_is_removed_in_hex(digits: str) -> None:
    assert SecretFinder(["abc-defghi"]).remove_from_text(f"x{digits}y") == "x[secret]y"


@given(st.text(), TOKENS)
def test_a_text_without_the_secret_stays(text: str, secret: str) -> None:
    assert SecretFinder(["\ue000" + secret]).remove_from_text(text) == text


def test_the_part_of_a_signing_secret_after_its_prefix_is_secret() -> None:
    finder = SecretFinder(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    assert finder.remove_from_text("key MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") == "key [secret]"
    assert finder.remove_from_text("key whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") == "key [secret]"


def test_a_secret_is_removed_in_any_case() -> None:
    assert SecretFinder(["Kanarie/20C9"]).remove_from_text("text/kanarie/20c9") == "text/[secret]"


def test_a_short_secret_is_removed_where_it_is_a_whole_word() -> None:
    finder = SecretFinder(["t", ""])
    assert finder.remove_from_text("the token t; ?token=t&x") == "the token [secret]; ?token=[secret]&x"
    assert finder.remove_from_text("t at ta t_a a_t t") == "[secret] at ta t_a a_t [secret]"
    assert finder.remove_from_text("at ta") == "at ta"


def test_a_short_secret_is_removed_as_it_is_written() -> None:
    assert SecretFinder(["ñ b"]).remove_from_text("(ñ b)") == "([secret])"
    assert SecretFinder(["ñ b"]).remove_from_text("(%C3%B1+b)") == "([secret])"


@pytest.mark.parametrize(
    "secret", ["0123456789", "ABCDEFGHIJKLMNO", "PQRSTUVWXYZ", "abcdefghijklmno", "pqrstuvwxyz"]
)
@pytest.mark.parametrize("speller", [name for name in SPELLERS if "escapes" in name or "each byte" in name])
def test_bytes_with_escaped_letters_or_digits_are_suspicious(secret: str, speller: str) -> None:
    assert SecretFinder([secret]).may_be_in(SPELLERS[speller](secret).encode())


@pytest.mark.parametrize(
    "escape",
    [
        *("\\u0030", "\\u0041", "\\U005A", "\\u0061", "\\u007a"),
        *("%30", "%41", "%5a", "%61", "%7A", "%2541", "%2530"),
        *("&#65;", "&#x41;", "&amp;#65;", "&AMP;#65;", "\0"),
        *("\\u005f", "\\u002D", "%5F", "%2d", "\\u005cu0041", "%5cu0041", "\\u002541"),
    ],
)
def test_each_escape_that_may_hide_a_secret_or_a_key_is_suspicious(escape: str) -> None:
    assert SecretFinder(["abcdefgh"]).may_be_in(b"(" + escape.encode() + b")")


@pytest.mark.parametrize(
    "text",
    [
        *("%2F", "%C3%A9", "\\u00e9", "\\u2028", "\\/", "&amp;", "&eacute;", "%%", "u0041"),
        *("%3D%3D.wav", "\\u003d", "%40", "%3B", "%5B", "%60", "\\u007b"),
    ],
)
def test_an_escape_of_another_character_is_not_suspicious(text: str) -> None:
    assert not SecretFinder(["abcdefgh"]).may_be_in(text.encode())


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("a b", "a b"),
        ("a b", "a+b"),
        ("A B", "A B"),
        ("A B", "A+B"),
        ("A/B", "a%2fb"),
        ("a b", "a%20b"),
        ("a/b", "a%2Fb"),
        ('a"b', 'a\\"b'),
        ("a&b", "a&amp;b"),
        ("ñandú", "ñandú"),
        ("ñandú", "%C3%B1and%C3%BA"),
        ("ñññ", "\\u00f1\\u00f1\\u00f1"),
        ("abcde", "abcd&#101;"),
    ],
)
def test_a_secret_without_a_long_word_is_found_in_each_spelling(secret: str, text: str) -> None:
    finder = SecretFinder([secret])
    assert finder.may_be_in(f"({text})".encode())
    assert finder.remove_from_text(f"({text})") == "([secret])"
    assert not finder.may_be_in(b"(A text of another content.)")


def test_only_a_secret_without_a_long_word_makes_each_escape_suspicious() -> None:
    for sign in (b"\\", b"%", b"&"):
        assert not SecretFinder(["abcdef/zz"]).may_be_in(sign)
        assert SecretFinder(["abcde/zz"]).may_be_in(sign)


def test_four_characters_are_a_secret_in_any_place_and_three_only_as_a_word() -> None:
    finder = SecretFinder(["abcd", "efg", "h-i", "_j_"])
    assert finder.remove_from_text("xabcdx xefgx xh-ix x_j_x") == "x[secret]x xefgx x[secret]x x[secret]x"
    assert finder.remove_from_text("efg") == "[secret]"


def test_six_bytes_are_found_in_hex_and_in_base64_and_five_are_not() -> None:
    finder = SecretFinder(["a-b-c!", "d-e-f"])
    assert finder.remove_from_text("x612d622d6321y") == "x[secret]y"
    assert finder.remove_from_text("(YS1iLWMh)") == "([secret])"
    assert finder.remove_from_text("x642d652d66y (ZC1lLWY=)") == "x642d652d66y (ZC1lLWY=)"


@pytest.mark.parametrize(
    ("secret", "text", "left"),
    [
        ("a%41bcde", "(%61%41bcde)", "([secret])"),
        ("a%2541bcde", "(%61%2541bcde)", "([secret])"),
        ("a%41bcd", "(%61%41bcd)", "(%61%41bcd)"),
        ("a%41bcd", "(a%41bcd)", "([secret])"),
    ],
)
def test_a_secret_that_looks_like_an_escape_is_decoded_with_the_text_around_it(
    secret: str, text: str, left: str
) -> None:
    assert SecretFinder([secret]).remove_from_text(text) == left


def test_a_secret_is_found_inside_four_encodings_and_not_inside_five() -> None:
    text = "/abcd/efgh/"
    for _ in range(4):
        text = percent_all(text)
    assert SecretFinder(["/abcd/efgh/"]).remove_from_text(f"<{text}>") == "<[secret]>"
    deeper = percent_all(text)
    assert SecretFinder(["/abcd/efgh/"]).remove_from_text(deeper) == deeper


@pytest.mark.parametrize(
    "text",
    [
        r"x\u003ay",
        "x%3Ay",
        "x%3ay",
        r"my\u0040key",
        "my%40key",
        r"contrase\u00f1a",
        r"CONTRASE\u00D1A",
        "contrase%C3%B1a",
    ],
)
def test_any_sign_of_a_key_may_be_escaped(text: str) -> None:
    finder = SecretFinder([], ["x:y", "my@key", "contraseña"])
    assert finder.may_be_in(f'{{"{text}": "hunter2"}}'.encode())
    assert not finder.may_be_in(b'{"url": "https://host/p%2Fq%3Fr"}')


@pytest.mark.parametrize("sign", [r"\u0026#97;", "%26#97;", r"&\u0023x61;", "&amp;#97;", "&amp;amp;#x61;"])
def test_an_escape_in_the_sign_of_an_entity_is_a_hint(sign: str) -> None:
    secret = "abcdefghij0123456789"
    text = f'{{"x": "{sign}bcdefghij0123456789"}}'.replace(
        "ghij", f"gh{sign.replace('97', '105').replace('x61', 'x69')}j"
    )
    assert SecretFinder([secret]).may_be_in(text.encode())


def test_a_character_that_utf_8_cannot_encode_may_be_in_a_secret_and_around_it() -> None:
    finder = SecretFinder(["abc\udcffdef", "\ud800-\udfff!"])
    assert finder.remove_from_text("\udcff abc\udcffdef \ud800") == "\udcff [secret] \ud800"
    assert finder.remove_from_text("(\ud800-\udfff!)") == "([secret])"
    assert SecretFinder(["abc\udcffdef", "zzzz-other"]).remove_from_text("(zzzz-other)") == "([secret])"


def test_secrets_inside_each_other_are_removed_together() -> None:
    finder = SecretFinder(["abcdefgh", "abcdefgh-longer", "longer-still"])
    assert finder.remove_from_text("abcdefgh-longer-still, abcdefgh") == "[secret], [secret]"


def test_words_make_bytes_suspicious_and_are_not_removed() -> None:
    finder = SecretFinder(["abcdefgh"], ["lhc_key"])
    assert finder.may_be_in(b'{"LHC_Key":1}')
    assert finder.remove(b'{"LHC_Key":1}') == b'{"LHC_Key":1}'
    assert not finder.may_be_in(b'{"lhc":"caf\\u00e9 https:\\/\\/x?a=1"}')


@pytest.mark.parametrize("piece", [b"\\", b"%41", b"\\u0041", b"&#65;", b"\0a", b"&amp;", b"%"])
def test_the_work_grows_with_the_length_alone(piece: bytes) -> None:
    raw = piece * (100_000 // len(piece))
    assert SecretFinder(["abcdefgh", "ab/cd%ef"]).remove(raw) == raw


@pytest.mark.parametrize("escape", ["\\\\", "\\/", '\\"', "%2F"])
def test_a_text_of_escapes_alone_needs_little_memory(escape: str) -> None:
    """It is the number of objects that counts: one for each escape took seconds."""
    finder = SecretFinder(["abcdefgh"])
    text = b"\\u0041" + escape.encode() * 20_000
    tracemalloc.start()
    assert finder.remove(text) == text
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * len(text)


@pytest.mark.parametrize("sign", ["\\/", "%2F", "%2f%C3%A9"])
def test_only_the_secret_of_many_escapes_is_removed(sign: str) -> None:
    finder = SecretFinder(["/ab/cd/"])
    secret = "\\/ab%2Fcd\\/" if sign.startswith("\\") else "%2Fab%2Fcd%2f"
    assert finder.remove_from_text(sign * 3 + secret + sign * 2) == sign * 3 + "[secret]" + sign * 2


@pytest.mark.parametrize(
    ("secrets", "raw"),
    [
        (["abcdefgh"], b"lhc_key" + b"\\" * 10),
        ([], b"lhc_key %41 &#65;"),
        ([""], b"lhc_key %41 &#65;"),
    ],
)
def test_no_text_is_decoded_without_a_reason(
    monkeypatch: pytest.MonkeyPatch, secrets: list[str], raw: bytes
) -> None:
    """A word is no reason, and without secrets an escape is none."""
    finder = SecretFinder(secrets, ["lhc_key"])
    monkeypatch.setattr(finder, "_find", None)
    assert finder.remove(raw) == raw
    assert finder.remove_from_text(raw.decode()) == raw.decode()
