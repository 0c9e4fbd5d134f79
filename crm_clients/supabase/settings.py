"""What a destination in Supabase can be told."""

import re
from typing import Any, ClassVar, Final, Literal, Self
from urllib.parse import urlsplit

import httpx
from pydantic import Field, SecretStr, field_validator, model_validator

from crm_clients.settings import DestinationSettings, require_distinct_names
from crm_clients.supabase import customers, tasks
from crm_clients.supabase.record import FIXED, KEYS
from crm_clients.supabase.sql import COLUMNS, KEPT, MARK

KV_TABLE: Final = "kv_store_d03ded2a"
"""The mission's own."""

_IDENTIFIER: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
_TAKEN: Final = (tasks.PREFIX, customers.PREFIX)
_COLUMNS: Final = {column: column for column in COLUMNS}
_WORDS_OF_THE_API: Final = frozenset(
    {"select", "order", "limit", "offset", "columns", "on_conflict", "and", "or", "not"}
)
"""What an address of PostgREST's says besides columns: a row asked for by such a column would be any row."""

_UNMOVED_IN_KV: Final = frozenset({"id", "version"})
"""The CRM's pages look for `id`, and a version would be no part of the record that they know."""


class SupabaseSettings(DestinationSettings):
    """A Supabase project, and the table in it."""

    MAPPABLE: ClassVar[tuple[str, ...]] = (*DestinationSettings.MAPPABLE, "id", "version")
    REMOTE_FIELD: ClassVar[re.Pattern[str]] = re.compile(r"[^\W\d]\w{0,62}")

    url: str = Field(description="The project's address, https://….supabase.co.")
    key: SecretStr = Field(description="The project's secret key (sb_secret_…) or legacy service_role key.")
    layout: Literal["table", "kv"] = Field(
        "table",
        description="How a call is kept: `table`, as a row with columns; `kv`, as a JSON value under a key.",
    )
    table: str = Field(
        "calls",
        pattern=_IDENTIFIER,
        max_length=48,
        description=f"The table that the calls live in; in the layout `kv`, {KV_TABLE} unless said.",
    )
    schema_name: str | None = Field(
        None,
        alias="schema",
        pattern=_IDENTIFIER,
        max_length=63,
        description="The table's schema, where it is not the first that the API exposes.",
    )
    kv_prefix: str = Field(
        "llamada:", max_length=100, description="`kv`: what stands before a call's id in its key."
    )
    tasks: bool = Field(
        False, description="`kv`: write a `tarea:` record for each call that wants to be followed up."
    )
    match_clients: bool = Field(
        False, description="`kv`: link a call to the CRM's own `cliente:` record of its telephone number."
    )

    @model_validator(mode="before")
    @classmethod
    def _table_of_the_layout(cls, said: Any) -> Any:
        if isinstance(said, dict) and said.get("layout") == "kv":
            return {"table": KV_TABLE, **said}
        return said

    @field_validator("url")
    @classmethod
    def _api_address(cls, url: str) -> str:
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
    def _usable_key(cls, key: SecretStr) -> SecretStr:
        text = key.get_secret_value().strip()
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("must be the project's secret key: not empty, one word, as Supabase shows it")
        return SecretStr(text)

    @field_validator("kv_prefix")
    @classmethod
    def _prefix_of_calls_alone(cls, prefix: str) -> str:
        if prefix.startswith(_TAKEN):
            raise ValueError("is that of the CRM's other records; calls need one of their own")
        return prefix

    @model_validator(mode="after")
    def _each_field_its_own_place(self) -> Self:
        if self.layout == "kv" and (moved := sorted(_UNMOVED_IN_KV & self.fields.keys())):
            raise ValueError(f'fields: "{moved[0]}" has no other place in the layout kv')
        if self.fields.get("id") == "":
            raise ValueError('fields: "id" must go somewhere, since calls are told apart by it')
        if self.fields.get("id") in _WORDS_OF_THE_API:
            raise ValueError(f'fields: "id" cannot go to "{self.fields["id"]}", a word of Supabase\'s API')
        kept = (*FIXED, MARK) if self.layout == "kv" else KEPT
        require_distinct_names([*kept, *self.places.values(), *self.constants])
        return self

    @property
    def places(self) -> dict[str, str]:
        """Where each field goes: to its column, or in the layout `kv` to its key of the value."""
        return self.remote_names(KEYS if self.layout == "kv" else _COLUMNS)
