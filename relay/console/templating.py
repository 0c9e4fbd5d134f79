"""Templates of the pages, with the rules that hold for all of them."""

import hashlib
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from relay.standards.unprintable import escape_unprintable

STATIC: Final = files("relay.console") / "static"


def _finalize(value: Any) -> Any:
    """Escape what nobody sees, or what reverses the text after it, in texts from outside."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return escape_unprintable(value, keep="\n\t")
    return "" if value is None else value


@cache
def environment() -> Environment:
    """Build the environment: everything is escaped, and an unknown name is an error."""
    return Environment(
        loader=PackageLoader("relay.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )


@lru_cache(maxsize=16)
def static_version(name: str) -> str:
    """Return the digest of a static file, which is a part of its URL: browsers keep the file for long."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:16]
