r"""Find secrets in texts and bytes in each spelling in which programs write them, and remove them.

A secret may be written raw, JSON-escaped (also `\/` and `\u0065`), percent-encoded, with HTML entities, in
base64 (alone or inside a longer text, such as Basic credentials, also with line breaks), as hex digits, or in
UTF-16; and several of these may be combined.

Nearly all texts have no secret, so one pass with an Aho-Corasick automaton decides first whether a text may
have one. It looks for a part of each secret that no usual encoding changes, and for escapes of letters and
digits, behind which a secret can hide. Only then the text is decoded and searched exactly.
"""

import base64
import html
import re
import string
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from ahocorasick_rs import AhoCorasick, BytesAhoCorasick, Implementation

from relay.standards.webhooks import KEY_PREFIX

REDACTED: Final = "[secret]"

_SHORT_SECRET: Final = 4
"""A shorter secret is removed only where it is a whole word: a token `t` would remove every t."""

_SHORTEST_ENCODED: Final = 6
"""A shorter secret is not searched in base64 or hex, where a few characters are found by chance."""

_SHORTEST_START: Final = 4
"""Where a text is cut off, fewer characters of a secret do not matter."""

_INCOMPLETE_ESCAPE: Final = re.compile(rb"(?:\\u?[0-9a-fA-F]{0,3}|%[0-9a-fA-F]?|&#?[0-9a-zA-Z]{0,7})\Z")

_SHORTEST_PIECE: Final = 6
_PIECE: Final = re.compile(rb"[a-z0-9]+")
"""In lower case. No usual encoding changes ASCII letters and digits."""

_HIDEABLE: Final = string.ascii_letters + string.digits + "_-" + "\\%&#"
"""Characters that have to be escaped to hide a secret: its own, and those of an escape in an escape. A URL
often has escapes of other characters."""

_OTHER_ESCAPES: Final = (b"&#", b"amp;#", b"\0")
"""The starts of HTML's escapes, and what UTF-16 has between two letters."""

_ESCAPE_SIGNS: Final = (b"\\", b"%", b"&")
_MAX_LEVELS: Final = 5
"""So many encodings inside each other are decoded."""

_SHORTEST_LINE: Final = 64
"""Of base64 that is wrapped: PEM has lines of 64 characters, MIME of 76."""

_SHORTEST_CHUNK: Final = 10
"""The length of the parts of base64 of which one is on a single line."""

_ESCAPE: Final = re.compile(
    r"(?P<quoted>(?:\\[\"'/\\]){1,1000}+)"
    r"|(?P<percent>(?:%[0-9a-fA-F]{2}){1,1000}+)"
    r"|\\u(?P<unicode>[0-9a-fA-F]{4})"
    r"|&(?P<entity>#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,8}(?=;));?"
    r"|\x00+"
    rf"|(?<=[\w+/-]{{{_SHORTEST_LINE}}})(?:\r?\n|(?:\\r)?\\n)(?=[\w+/-])"  # wrapped base64
)
"""Escapes of one width are decoded together, since a text may have no others. Their number is limited
because the regular expression needs memory for each.
"""

Search = Callable[[str], Iterable[tuple[int, int]]]
"""Yields places of secrets, each with its start and its end."""


class SecretFinder:
    """Finds these secrets. `words`, in lower case, are only for `may_be_in`; they are not removed."""

    def __init__(self, secrets: Iterable[str], words: Iterable[str] = ()) -> None:
        listed = {part for secret in secrets for part in (secret, secret.removeprefix(KEY_PREFIX)) if part}
        self._shortest = min(map(len, listed), default=0)
        self._needles = sorted({needle.lower() for secret in listed for needle in _needles(secret)})
        self._automaton = AhoCorasick(self._needles)
        hints = {hint for secret in listed for hint in _hints(secret)}
        hints |= {*_OTHER_ESCAPES, *_spell_escapes(_HIDEABLE)}
        self._hints = _search_any(hints)
        keys = list(words)
        self._hints_and_words = _search_any(
            {*hints, *_spell_escapes("".join(keys)), *(key.encode() for key in keys)}
        )

    def may_be_in(self, raw: bytes) -> bool:
        """Whether a secret, in any spelling, or a word may be in these bytes. It is cheap."""
        return bool(self._hints_and_words.find_matches_as_indexes(raw.lower()))

    def remove(self, raw: bytes) -> bytes:
        """Return the bytes, UTF-8 or another form of ASCII, without the secrets."""
        if not self._shortest or not self._hints.find_matches_as_indexes(raw.lower()):
            return raw
        return _replace(raw, self._find(raw))

    def remove_from_start(self, raw: bytes) -> bytes:
        """Return the start of a text without the secrets: the last one may be incomplete."""
        if not self._shortest:
            return raw
        spans = self._find(raw, self._find_incomplete)
        whole = _INCOMPLETE_ESCAPE.sub(b"", raw)
        if len(whole) < len(raw):
            cut = (start for start, end in self._find(whole, self._find_incomplete) if end == len(whole))
            spans += [(start, len(raw)) for start in cut]
        return _replace(raw, spans)

    def remove_from_text(self, text: str) -> str:
        """Return the text without the secrets."""
        if len(text) < self._shortest:
            return text
        raw = text.encode("utf-8", "surrogatepass")
        clean = self.remove(raw)
        return text if clean is raw else clean.decode("utf-8", "surrogatepass")

    def _find(self, raw: bytes, *searches: Search) -> list[tuple[int, int]]:
        """Return the places of secrets: in the bytes as they are, and as they are after each decoding."""
        text, levels, spans = raw.decode("latin-1"), list[_Level](), list[tuple[int, int]]()
        for _ in range(_MAX_LEVELS):
            lower = text.lower()  # error messages quote some headers in lower case
            for search in (self._find_exactly, *searches):
                spans += [_trace_back(levels, start, end) for start, end in search(lower)]
            text, level = _decode(text)
            if not level:
                break
            levels.append(level)
        return spans

    def _find_exactly(self, text: str) -> Iterator[tuple[int, int]]:
        for index, start, end in self._automaton.find_matches_as_indexes(text, overlapping=True):
            if not _is_short(self._needles[index]) or _is_word(text, start, end):
                yield start, end

    def _find_incomplete(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the place of a secret whose end is cut off."""
        for needle in self._needles:
            for length in range(min(len(needle), len(text)), _SHORTEST_START - 1, -1):
                if text.endswith(needle[:length]):
                    yield len(text) - length, len(text)
                    break


def _spell_escapes(characters: str) -> Iterator[bytes]:
    """Yield the escapes of these characters in JSON and in forms, in lower case."""
    for character in {*characters, *characters.upper()}:
        yield rb"\u%04x" % ord(character)
        yield from (b"%%%02x" % byte for byte in character.encode())


def _search_any(patterns: Collection[bytes]) -> BytesAhoCorasick:
    """Build a search that shows whether a text has any of these patterns.

    A pattern that contains another one is left out: its text has the other one, too. The automaton is a third
    as large then, and stays in the cache of the CPU.
    """
    shortest = {p for p in patterns if not any(other in p for other in patterns if other != p)}
    return BytesAhoCorasick(sorted(shortest), implementation=Implementation.DFA)


class _Escape(NamedTuple):
    """One escape, or several of the same width: where its characters start and end in the decoded text, where
    it was before, and how many characters each decoded one had there; 0 if only all together have a place.
    """

    start: int
    end: int
    original_start: int
    original_end: int
    width: int


_Level = list[_Escape]
"""All escapes that were decoded together, in order."""


def _decode(text: str) -> tuple[str, _Level]:
    """Decode the outermost escapes of a text that has one character for each byte."""
    pieces: list[str] = []
    level: _Level = []
    length = position = 0
    for found in _ESCAPE.finditer(text):
        between = text[position : found.start()]
        characters, width = _unescape(found)
        pieces += (between, characters)
        start = length + len(between)
        length = start + len(characters)
        level.append(_Escape(start, length, *found.span(), width))
        position = found.end()
    return "".join((*pieces, text[position:])), level


def _trace_back(levels: Sequence[_Level], start: int, end: int) -> tuple[int, int]:
    """Return the place before the decoding of all levels."""
    for level in reversed(levels):
        start, end = _place_before(level, start)[0], _place_before(level, end - 1)[1]
    return start, end


def _place_before(level: _Level, index: int) -> tuple[int, int]:
    """Return the place of one character before the decoding of this level."""
    following = bisect_right(level, index, key=lambda escape: escape.start)
    if following == 0:
        return index, index + 1
    escape = level[following - 1]
    if index >= escape.end:
        original = escape.original_end + index - escape.end
        return original, original + 1
    if not escape.width:
        return escape.original_start, escape.original_end
    original = escape.original_start + (index - escape.start) * escape.width
    return original, original + escape.width


def _unescape(escape: re.Match[str]) -> tuple[str, int]:
    """Return the decoded characters, and the width of each as in `_Escape`."""
    match escape.lastgroup:
        case "unicode":
            return _as_bytes(chr(int(escape["unicode"], 16))), 0
        case "percent":
            return bytes.fromhex(escape["percent"].replace("%", "")).decode("latin-1"), len("%41")
        case "entity":
            return _as_bytes(html.unescape(f"&{escape['entity']};")), 0
        case "quoted":
            return escape["quoted"][1::2], len(r"\/")
        case _:
            return "", 0  # a NUL of UTF-16, or a line break


def _as_bytes(text: str) -> str:
    """Return the UTF-8 form with one character for each byte."""
    return text if text.isascii() else text.encode("utf-8", "surrogatepass").decode("latin-1")


def _needles(secret: str) -> Iterator[str]:
    """Yield what is searched exactly once escapes are decoded."""
    if max(secret) <= "\xff":  # in a charset with one byte for each character
        yield secret
    yield _as_bytes(secret.replace(" ", "+"))  # in a form
    text = _as_bytes(secret)
    yield text
    for encoded in _encode_binary(secret):
        yield encoded.decode()
    # If the secret itself looks like an escape, it is decoded together with the text around it.
    for _ in range(_MAX_LEVELS):
        text, _level = _decode(text)
        if len(text) >= _SHORTEST_ENCODED:
            yield text


def _hints(secret: str) -> Iterator[bytes]:
    """Yield what is in a text that has the secret, in lower case and if no letter or digit is escaped."""
    yield from _unchanged_parts(secret.encode("utf-8", "surrogatepass"))
    for encoded in _encode_binary(secret):
        for chunk in _chunks_of_lines(encoded):
            yield from _unchanged_parts(chunk)


def _chunks_of_lines(encoded: bytes) -> Iterator[bytes]:
    """Yield parts of which at least one has no line break inside, however the text is wrapped."""
    breaks = len(encoded) // _SHORTEST_LINE + 1
    size = max(len(encoded) // (breaks + 1), _SHORTEST_CHUNK)
    for start in range(0, len(encoded) - size + 1, size) or [0]:
        yield encoded[start : start + size]


def _unchanged_parts(spelled: bytes) -> Iterator[bytes]:
    """Yield the longest part that no encoding changes; without a long one, all that may begin a spelling."""
    piece = max(_PIECE.findall(spelled.lower()), key=len, default=b"")
    if len(piece) >= _SHORTEST_PIECE:
        yield piece
    else:
        yield from (spelled.lower(), spelled.lower().replace(b" ", b"+"), *_ESCAPE_SIGNS)


def _encode_binary(secret: str) -> Iterator[bytes]:
    """Yield the secret in hex and in base64, at each of the three places that it may have in its triplets."""
    raw = secret.encode("utf-8", "surrogatepass")
    if len(raw) < _SHORTEST_ENCODED:
        return
    yield raw.hex().encode()
    for before in range(3):
        # Only characters whose six bits all belong to the secret are the same in each context.
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        encoded = base64.b64encode(bytes(before) + raw)[first:last]
        yield from {encoded, encoded.translate(bytes.maketrans(b"+/", b"-_"))}


def _is_short(needle: str) -> bool:
    return len(needle) < _SHORT_SECRET and needle.isalnum()


def _is_word(text: str, start: int, end: int) -> bool:
    around = text[max(start - 1, 0) : start] + text[end : end + 1]
    return not any(character.isalnum() or character == "_" for character in around)


def _replace(raw: bytes, spans: list[tuple[int, int]]) -> bytes:
    """Replace each place, and places that overlap together."""
    pieces: list[bytes] = []
    position = 0
    for start, end in sorted(spans):
        if start >= position:
            pieces += (raw[position:start], REDACTED.encode())
        position = max(position, end)
    return b"".join((*pieces, raw[position:])) if pieces else raw
