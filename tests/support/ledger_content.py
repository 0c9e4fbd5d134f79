"""All that a ledger has, as text: to prove that something is nowhere in it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from relay.ledger.compression import decompress
from relay.ledger.engine import open_engine, transaction
from relay.ledger.tables import metadata

_FRAME: Final = b"\x28\xb5\x2f\xfd"
"""The first bytes of a compressed body."""


def read_all_rows(url: str) -> dict[str, str]:
    """Return every row of every table as text, by the name of its table; compressed bodies as they were."""
    engine = open_engine(url)
    try:
        with transaction(engine, read_only=True) as connection:
            return {
                table.name: "\n".join(
                    " | ".join(map(_text, row)) for row in connection.execute(select(table))
                )
                for table in metadata.sorted_tables
            }
    finally:
        engine.dispose()


def _text(value: Any) -> str:
    if not isinstance(value, bytes | memoryview):
        return str(value)
    raw = bytes(value)
    return (decompress(raw) if raw.startswith(_FRAME) else raw).decode(errors="replace")


def read_files(*places: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield each file, and each file below a folder, with its bytes."""
    for place in places:
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if file.is_file():
                yield file, file.read_bytes()
