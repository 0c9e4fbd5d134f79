"""The reviewed list of mutants that behave like the original."""

import tomllib
from pathlib import Path
from typing import Final

from tests.mutants.mutations import Mutant

FILE: Final = Path(__file__).with_name("equivalents.toml")

Identity = tuple[str, str, str, str]


def load_equivalents(file: Path = FILE) -> dict[Identity, str]:
    """Load the list: the reason, by the identity of each mutant."""
    entries = tomllib.loads(file.read_text()).get("equivalent", [])
    return {(e["module"], e["function"], e["before"], e["after"]): e["reason"] for e in entries}


def format_equivalent(mutant: Mutant) -> str:
    """Format a mutant as an entry of the list, without its reason."""
    names = zip(("module", "function", "before", "after"), mutant.identity, strict=True)
    return "\n".join(
        ["[[equivalent]]", *(f"{name} = {_quote(value)}" for name, value in names), 'reason = ""']
    )


def _quote(text: str) -> str:
    return f"'{text}'" if "'" not in text else f"'''{text}'''"
