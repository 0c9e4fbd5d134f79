"""A later release: a copy of this one with one more migration, which runs in processes of its own."""

import os
import shutil
from pathlib import Path
from typing import Final

from relay.ledger import HEAD
from tests.support.documents import ROOT
from tests.support.relay import RelayProcess

NEXT: Final = f"{int(HEAD) + 1:04}"

_MIGRATION: Final = """
import sqlalchemy as sa
from alembic import op
revision = "{NEXT}"
down_revision = "{HEAD}"
def upgrade():
    op.create_table("remarks", sa.Column("call", sa.Text, primary_key=True), sa.Column("text", sa.Text))
    op.add_column("calls", sa.Column("importance", sa.Integer, nullable=False, server_default="0"))
    op.add_column("deliveries", sa.Column("hint", sa.Text))
    op.add_column("events", sa.Column("origin", sa.Text))
    op.create_index("calls_importance", "calls", ["importance"])
"""


def make_next_release(folder: Path, *, compatible_from: str = HEAD) -> Path:
    """Write the later release to a folder. `compatible_from`: the oldest schema whose relays work with it."""
    for package in ("relay", "crm_clients"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    ledger = folder / "relay/ledger"
    _replace(ledger / "engine.py", f'HEAD: Final = "{HEAD}"', f'HEAD: Final = "{NEXT}"')
    _replace(
        ledger / "compatibility.py",
        'COMPATIBLE_FROM: Final = "',
        f'COMPATIBLE_FROM: Final = "{compatible_from}" # "',
    )
    migration = ledger / f"migrations/versions/{NEXT}_artificial.py"
    migration.write_text(_MIGRATION.format(NEXT=NEXT, HEAD=HEAD))
    return folder


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, f"{file} has not {old!r}"
    file.write_text(text.replace(old, new))


def process_of_release(release: Path, folder: Path, settings: str, workers: int = 1) -> RelayProcess:
    """Return a relay of a release that is in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join(filter(None, (str(release), os.environ.get("PYTHONPATH"))))
    return RelayProcess(folder, settings, workers, PYTHONPATH=path, PYTHONSAFEPATH="1")
