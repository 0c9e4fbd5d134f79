"""Generates `docs/settings.md` from the descriptions of the fields."""

import json
from collections.abc import Iterator
from importlib.metadata import entry_points
from inspect import getdoc
from typing import Final

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from crm_clients.settings import DestinationSettings
from relay.settings.field_types import field_type, fields_by_key
from relay.settings.models import Settings
from relay.settings.plugins import ENTRY_POINT_GROUP, load_client_class
from relay.settings.section import Section

DISTRIBUTION: Final = "cloudtalk-relay"

_INTRODUCTION: Final = """\
# Settings

<!-- Generated: edit the descriptions in the code, then run `python -m relay.settings > docs/settings.md`. -->

The relay reads one TOML file. The option `--settings PATH` names it. Without this option the environment
variable `RELAY_SETTINGS` names it. Without both the file is `settings.toml` in the current folder. Relative
paths in the file are resolved against the folder of the file. The `settings.toml` that comes with the relay
works unchanged.

**Your own settings** are best kept in `settings.local.toml`, beside `settings.toml`. Each key in it overrides
the same key of `settings.toml`. Git ignores the file, so an upgrade of a checkout does not touch it. If a
destination in it has another `client`, it replaces the whole destination in `settings.toml`. If `--settings`
names another file, such as `relay.toml`, your own settings are in `relay.local.toml` beside that file.

**Environment variables** named `RELAY__SECTION__KEY`, with two underscores before each part, override the
files: `RELAY__SERVER__PORT=9000`, `RELAY__DESTINATIONS__CRM__BATCH=50`. Lists and tables are written as JSON:
`RELAY__CLOUDTALK__TOKENS='["…"]'`. Upper and lower case make no difference. A `_` in a variable also matches
a `-` in the name of a destination. Variables can add a destination that is not in the files.

**Secrets** can be kept in files of their own. For each key that takes a secret there is a second key with the
ending `_file`, which names this file (`tokens_file = "secrets/tokens"`, `RELAY__CLOUDTALK__TOKENS_FILE`). The
line break at the end of the file is ignored. A list has one item per line. A checkout has a folder `secrets`;
Git ignores the files in it.

If the settings have a problem, the relay does not start. It reports all problems at once, each with the
file or environment variable, the key, the expected value and the value found. A wrong secret is reported with
its secret file and line. Secrets are never shown. Valid settings that are unsafe or probably a mistake are
shown as warnings by `relay check` and logged at the start (`settings.warning`).
"""
_DESTINATIONS: Final = """\
## [destinations.NAME]

A CRM to which calls are delivered. There can be several. A name consists of lower-case letters and
digits, with single `-` or `_` between.

**Field names.** `[destinations.NAME.fields]` gives a field of the call another name in the CRM:
`external_number = "phone"`. A field with an empty name is not sent. In addition to the fields of the call
there is `state`. It contains the status as a fixed English word; `status` contains the label.
`[destinations.NAME.constants]` adds fixed values to every record: `source = "CloudTalk"`.

**Filter.** `[destinations.NAME.when]` selects calls. The filter is applied to the newest version of a call
each time the call changes. For example, with `statuses = ["missed", "voicemail"]` a call is delivered as soon
as it is missed. After its first delivery a call is always kept up to date, even if it no longer matches the
filter. After you change a filter, run `relay replay --destination NAME` to apply it to past calls.
"""


def render_markdown() -> str:
    """Return the whole text of `docs/settings.md`."""
    destinations = [_DESTINATIONS, _render_table(DestinationSettings), *_client_chapters()]
    return "\n".join([_INTRODUCTION, *_section_chapters(), *destinations])


def _section_chapters() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            yield f"## [{name}]\n\n{getdoc(section)}\n"
            yield _render_table(section)


def _client_chapters() -> Iterator[str]:
    """Yield the keys that each built-in client adds or changes. Plug-ins have their own documentation."""
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name):
        if entry.dist and entry.dist.name == DISTRIBUTION:
            yield f'### client = "{entry.name}"\n'
            yield _render_table(load_client_class(entry.name).Settings, base=DestinationSettings)


def _render_table(model: type[BaseModel], base: type[BaseModel] | None = None) -> str:
    """Render one row per key. With `base` only the keys whose rows differ from those of `base`."""
    rows_of_base = {key: _render_rows(base, key) for key in fields_by_key(base)} if base else {}
    rows = [
        row
        for key in fields_by_key(model)
        if (rows_of_key := _render_rows(model, key)) != rows_of_base.get(key)
        for row in rows_of_key
    ]
    return "\n".join(["| key | takes | default | meaning |", "|---|---|---|---|", *rows, ""])


def _render_rows(model: type[BaseModel], key: str) -> list[str]:
    """Render one row; for a table whose keys are known, one row for each of them."""
    inner = field_type(model, key).type
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        return [_render_row(inner, name, field, f"{key}.") for name, field in fields_by_key(inner).items()]
    return [_render_row(model, key, fields_by_key(model)[key], "")]


def _render_row(model: type[BaseModel], key: str, field: FieldInfo, prefix: str) -> str:
    takes = (field_type(model, key).describe() or "text").replace("|", r"\|")
    return f"| `{prefix}{key}` | {takes} | {_format_default(field)} | {field.description or ''} |"


def _format_default(field: FieldInfo) -> str:
    """Return the default as JSON. A computed default is explained by the field's description."""
    if field.is_required():
        return "required"
    if field.default_factory is not None and field.annotation is str:
        return "computed"
    default = field.get_default(call_default_factory=True)
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    return "none" if default is None else f"`{json.dumps(default, default=str)}`"
