"""Settings of a destination in Supabase."""

import re
from typing import Any, ClassVar, Final, Literal, Self
from urllib.parse import urlsplit

import httpx
from pydantic import Field, SecretStr, field_validator, model_validator

from crm_clients.settings import DestinationSettings, require_distinct_names
from crm_clients.supabase import customers, task_values
from crm_clients.supabase.record import FIXED_KEYS, KEYS
from crm_clients.supabase.sql import DEFAULT_MAPPING, MERGED_INTO, RESERVED_COLUMNS

KV_TABLE: Final = "kv_store_d03ded2a"
"""The table of the mission's CRM."""

_BATCH: Final = 200
"""If the table refuses a batch, each call needs a request of its own, all within `timeout_seconds`."""

_IDENTIFIER: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
_PREFIXES_OF_THE_CRM: Final = (task_values.PREFIX, customers.PREFIX)
_QUERY_PARAMETERS: Final = frozenset(
    {"select", "order", "limit", "offset", "columns", "on_conflict", "and", "or", "not"}
)
"""Query parameters of PostgREST with a meaning of their own. If the key column had such a name, a filter by
it would be ignored and match every row."""

_NOT_MAPPABLE_IN_KV: Final = frozenset({"id", "version"})
"""The CRM's pages need the key `id`, and its record has no version."""


class SupabaseSettings(DestinationSettings):
    """A Supabase project and a table in it."""

    MAPPABLE: ClassVar[tuple[str, ...]] = (*DestinationSettings.MAPPABLE, "id", "version")
    REMOTE_FIELD: ClassVar[re.Pattern[str]] = re.compile(r"[^\W\d]\w{0,62}")

    url: str = Field(description="The project's address, https://….supabase.co.")
    key: SecretStr = Field(description="The project's secret key (sb_secret_…) or legacy service_role key.")
    layout: Literal["table", "kv"] = Field(
        "table",
        description="How a call is stored: `table`: a row with columns; `kv`: a JSON value under a key.",
    )
    table: str = Field(
        "calls",
        pattern=_IDENTIFIER,
        max_length=48,
        description=f"The table that stores the calls. Default in the layout `kv`: {KV_TABLE}.",
    )
    schema_name: str | None = Field(
        None,
        alias="schema",
        pattern=_IDENTIFIER,
        max_length=63,
        description="The table's schema. Default: the first that the API exposes.",
    )
    kv_prefix: str = Field(
        "llamada:", max_length=100, description="`kv`: the part of a key before the call's id."
    )
    tasks: bool = Field(
        False, description="`kv`: write a `tarea:` record for each call that needs a follow-up."
    )
    match_clients: bool = Field(
        False, description="`kv`: link a call to the `cliente:` record that has the customer's phone number."
    )
    batch: int = Field(_BATCH, ge=1, le=1000, description="Maximum number of calls in one push.")

    @model_validator(mode="before")
    @classmethod
    def _set_default_table(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("layout") == "kv":
            return {"table": KV_TABLE, **data}
        return data

    @field_validator("url")
    @classmethod
    def _validate_url(cls, url: str) -> str:
        try:
            parts, _ = urlsplit(url.strip()), httpx.URL(url.strip()).host
            usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except (ValueError, httpx.InvalidURL):
            usable = False
        if not usable or "@" in parts.netloc or parts.query:
            raise ValueError("must be the project's address, like https://abcdefgh.supabase.co")
        if parts.hostname in {"supabase.com", "app.supabase.com"}:
            raise ValueError("is the dashboard's address; the project's is https://<project>.supabase.co")
        return url.strip().rstrip("/").removesuffix("/rest/v1")

    @field_validator("key")
    @classmethod
    def _validate_key(cls, key: SecretStr) -> SecretStr:
        text = key.get_secret_value().strip()
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("must be the project's secret key: not empty, one word, as Supabase shows it")
        return SecretStr(text)

    @field_validator("kv_prefix")
    @classmethod
    def _validate_prefix(cls, prefix: str) -> str:
        if prefix.startswith(_PREFIXES_OF_THE_CRM):
            raise ValueError("is the prefix of other records of the CRM; calls need a prefix of their own")
        return prefix

    @model_validator(mode="after")
    def _validate_mapping(self) -> Self:
        if self.layout == "kv" and (renamed := sorted(_NOT_MAPPABLE_IN_KV & self.fields.keys())):
            raise ValueError(f'fields: "{renamed[0]}" cannot be renamed in the layout kv')
        if self.fields.get("id") == "":
            raise ValueError('fields: "id" needs a column, since it identifies the call')
        if self.fields.get("id") in _QUERY_PARAMETERS:
            raise ValueError(
                f'fields: "id" cannot be "{self.fields["id"]}", a query parameter of Supabase\'s API'
            )
        reserved = (*FIXED_KEYS, MERGED_INTO) if self.layout == "kv" else RESERVED_COLUMNS
        require_distinct_names([*reserved, *self.mapping.values(), *self.constants])
        return self

    @property
    def mapping(self) -> dict[str, str]:
        """The column of each field, or in the layout `kv` its key in the record."""
        return self.remote_names(KEYS if self.layout == "kv" else DEFAULT_MAPPING)

    @property
    def settings_by_column(self) -> dict[str, str]:
        """The setting that names each column of the layout `table`."""
        fields = {column: f"fields.{field}" for field, column in self.mapping.items()}
        return fields | {column: f"constants.{column}" for column in self.constants}
