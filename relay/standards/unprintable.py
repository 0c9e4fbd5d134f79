"""Characters that a terminal executes or that change how a line is read, and their escapes.

A caller's name or the error text of a CRM may contain any character.
"""

import re
from typing import Final

UNPRINTABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters, C1 included: \x9b begins a command like ESC [
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # they reverse the text that follows
    "\u2028\u2029"  # separators of lines and paragraphs
    "\ud800-\udfff]"  # surrogates, which UTF-8 cannot encode
)


def escape_unprintable(text: str, *, keep: str = "") -> str:
    """Return the text with unprintable characters as Python writes them, except for those in `keep`."""
    return UNPRINTABLE.sub(lambda found: found[0] if found[0] in keep else repr(found[0])[1:-1], text)
