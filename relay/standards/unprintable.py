"""Escapes of characters that a terminal executes, that change how a line is read, or that nobody sees.

A caller's name or the error text of a CRM may contain any character.
"""

import re
from typing import Final

UNPRINTABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters, C1 included: \x9b begins a command like ESC [
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # they reverse the text that follows
    "\u2028\u2029"  # separators of lines and paragraphs
    "\ud800-\udfff"  # surrogates, which UTF-8 cannot encode
    # Characters that nobody sees (default-ignorable or format characters of Unicode, and the empty pattern of
    # Braille): two ids that differ only in them look equal. Those that names and emoji need are not escaped:
    # U+200C and U+200D join or separate letters, variation selectors choose a shape. The signs of Arabic
    # numbers (U+0600 and following) are format characters, too, but they are seen.
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u2800\u3164"
    "\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a"
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)


def escape_unprintable(text: str, *, keep: str = "") -> str:
    """Return the text with unprintable characters as Python writes them, except for those in `keep`."""
    return UNPRINTABLE.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def _escape(character: str) -> str:
    # Not `repr`: it shows some of the characters that nobody sees, since Unicode counts them as letters.
    return character.encode("unicode_escape").decode("ascii")
