"""docs/settings.md is generated from the settings."""

import re
from pathlib import Path

from pydantic import BaseModel

from crm_clients.settings import DeliveryFilter, DestinationSettings
from relay.settings import (
    Settings,
    load_client_class,
)
from relay.settings.docs import render_markdown
from relay.settings.field_types import fields_by_key
from relay.settings.recordings import S3, CloudTalkApi

ROOT = Path(__file__).parents[2]


def documented_models() -> list[type[BaseModel]]:
    sections = [field.annotation for field in Settings.model_fields.values()]
    return [
        DestinationSettings,
        *(s for s in sections if isinstance(s, type) and issubclass(s, BaseModel)),
        *(load_client_class(name).Settings for name in ("hubspot", "local", "supabase", "webhook")),
    ]


def test_the_documentation_is_up_to_date() -> None:
    written = (ROOT / "docs/settings.md").read_text("utf-8")
    assert written == render_markdown(), "run: python -m relay.settings > docs/settings.md"


def test_every_key_is_documented_and_no_other() -> None:
    fields = {key: field for model in documented_models() for key, field in fields_by_key(model).items()}
    tables: dict[str, type[BaseModel]] = {"when": DeliveryFilter, "api": CloudTalkApi, "s3": S3}
    for table, model in tables.items():
        del fields[table]
        fields |= {f"{table}.{key}": field for key, field in fields_by_key(model).items()}
    rows = re.findall(r"^\| `([\w.]+)` \|", (ROOT / "docs/settings.md").read_text("utf-8"), re.MULTILINE)
    assert set(rows) == set(fields)
    assert [key for key, field in fields.items() if not (field.description or "").endswith(".")] == []
