"""The documentation of the settings, made of the fields' own descriptions."""

import json
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Final

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from crm_clients.settings import DestinationSettings
from relay.settings.field_types import field_type, keys_of
from relay.settings.models import Section, Settings
from relay.settings.plugins import GROUP, load_client_class

DISTRIBUTION: Final = "cloudtalk-relay"

_INTRODUCTION: Final = """\
# Settings

<!-- Made by `python -m relay.settings > docs/settings.md`; edit the descriptions in the code. -->

The relay reads one TOML file: the one that `--settings PATH` names, else the environment variable
`RELAY_SETTINGS`, else `settings.toml` in the current folder. Relative paths in it are read from the
folder that it lies in. The file that comes with the relay runs as it is.

**Environment.** `RELAY__SECTION__KEY` speaks over the file: `RELAY__SERVER__PORT=9000`,
`RELAY__DESTINATIONS__CRM__BATCH=50`. Lists and tables are written as JSON:
`RELAY__CLOUDTALK__TOKENS='["…"]'`. Upper and lower case are alike, and `_` stands for a `-` in a
destination's name. A destination that the file does not have is added.

**Secrets** can lie in files of their own: for each key that takes a secret there is one that ends in
`_file` and names the file (`tokens_file = "secrets/tokens"`, `RELAY__CLOUDTALK__TOKENS_FILE`). The end
of its last line does not count; a list has one item a line.

A mistake keeps the relay from starting. All of them are told at once, each with its file or
variable, its key, what was expected and what was found; a secret is never shown.
"""
_DESTINATIONS: Final = """\
## [destinations.NAME]

A CRM that calls are brought to. There may be several; a name is made of lower-case letters and
digits, with single `-` or `_` between.

**Where fields go.** `[destinations.NAME.fields]` names the CRM's own field for each field of the record
that should not go where it goes by itself: `external_number = "phone"`. An empty name sends it nowhere.
Besides the record's fields there is `state`, the canonical word behind the label in `status`.
`[destinations.NAME.constants]` says what every record bears besides: `source = "CloudTalk"`.

**Which calls are brought.** `[destinations.NAME.when]` looks at the newest version of a call each time
that something is said about it: with `statuses = ["missed", "voicemail"]` a call comes once it was
missed. A call that was brought once is kept up to date whatever it becomes. After a change of the filter,
`relay replay --destination NAME` looks at the calls of the past again.
"""


def markdown() -> str:
    """The whole of `docs/settings.md`."""
    return "\n".join([_INTRODUCTION, *_sections(), _DESTINATIONS, _table(DestinationSettings), *_clients()])


def _sections() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            yield f"## [{name}]\n\n{section.__doc__}\n"
            yield _table(section)


def _clients() -> Iterator[str]:
    """What the built-in clients add; a plug-in documents itself."""
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        if entry.dist and entry.dist.name == DISTRIBUTION:
            yield f'### client = "{entry.name}"\n'
            yield _table(load_client_class(entry.name).Settings, besides=DestinationSettings)


def _table(model: type[BaseModel], besides: type[BaseModel] | None = None) -> str:
    known = {key: _told(besides, key) for key in keys_of(besides)} if besides else {}
    rows = [row for key in keys_of(model) if (told := _told(model, key)) != known.get(key) for row in told]
    return "\n".join(["| key | takes | default | meaning |", "|---|---|---|---|", *rows, ""])


def _told(model: type[BaseModel], key: str) -> list[str]:
    """What is said of a key: a client may have a default or a bound of its own for a common one."""
    return list(_rows(model, key, keys_of(model)[key]))


def _rows(model: type[BaseModel], key: str, field: FieldInfo) -> Iterator[str]:
    """One row, or for a table whose keys are known one for each of them."""
    inner = field_type(model, key).type
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        for name, below in keys_of(inner).items():
            yield _row(inner, name, below, prefix=f"{key}.")
    else:
        yield _row(model, key, field)


def _row(model: type[BaseModel], key: str, field: FieldInfo, *, prefix: str = "") -> str:
    takes = (field_type(model, key).words() or "text").replace("|", r"\|")
    return f"| `{prefix}{key}` | {takes} | {_default(field)} | {field.description or ''} |"


def _default(field: FieldInfo) -> str:
    """As it would be written in the file. What a default is computed from, its description says."""
    if field.is_required():
        return "needed"
    if field.default_factory is not None and field.annotation is str:
        return "computed"
    default = field.get_default(call_default_factory=True)
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    return "none" if default is None else f"`{json.dumps(default, default=str)}`"
