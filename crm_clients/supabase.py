"""Supabase: one row per call in a table of the project, through its REST API (PostgREST)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Final, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec
from pydantic import Field, SecretStr, field_validator

from crm_clients.base import (
    CrmClient,
    Delivered,
    DestinationSettings,
    Finding,
    Misconfigured,
    Outcome,
    Push,
    Rejected,
    Retraction,
    Retry,
    Split,
    Throttled,
    Unauthorised,
    Unknown,
)
from crm_clients.http import VendorHttp
from crm_clients.supabase_check import Place, findings, sql_editor, words
from crm_clients.supabase_errors import Fault, outcome_of
from crm_clients.supabase_rest import Table, Trouble, key_headers, role_of
from crm_clients.supabase_sql import table_sql
from relay.call import DELIVERED_FIELDS, FIELDS, Call

MAX_REQUEST_BYTES: Final = 1_000_000
"""Of one POST's body; a single larger row still goes, alone."""

_IDENTIFIER: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
_ATTRIBUTES: Final = tuple(
    (field, attribute)
    for field, attribute in zip(FIELDS, Call.__struct_fields__, strict=True)
    if field in DELIVERED_FIELDS
)


class SupabaseSettings(DestinationSettings):
    """A Supabase project, and the table in it."""

    url: str = Field(description="The project's address, https://….supabase.co.")
    key: SecretStr = Field(description="The project's secret key (sb_secret_…) or legacy service_role key.")
    table: str = Field(
        "calls", pattern=_IDENTIFIER, max_length=48, description="The table that the calls live in."
    )
    schema_name: str | None = Field(
        None,
        alias="schema",
        pattern=_IDENTIFIER,
        max_length=63,
        description="The table's schema, where it is not the first that the API exposes.",
    )
    layout: Literal["table"] = Field("table", description="How a call is kept: as a row with columns.")

    @field_validator("url")
    @classmethod
    def _api_address(cls, url: str) -> str:
        parts = urlsplit(url.strip())
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
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


class Row(msgspec.Struct, frozen=True):
    """One call as the table takes it: the columns it names, and itself as JSON."""

    id: str
    columns: tuple[str, ...]
    encoded: bytes


class SupabaseClient(CrmClient):
    """Brings calls to a table of Supabase by upserts that name the changed columns only."""

    Settings: ClassVar[type[DestinationSettings]] = SupabaseSettings

    def __init__(self, name: str, settings: DestinationSettings) -> None:
        if not isinstance(settings, SupabaseSettings):
            raise TypeError(f"SupabaseClient takes SupabaseSettings, not {type(settings).__name__}")
        self._settings = settings
        self._key = settings.key.get_secret_value()
        self._place = Place(
            name,
            settings.url,
            settings.table,
            settings.schema_name,
            role_of(self._key),
            marks=settings.on_merge == "mark",
        )
        self._http = VendorHttp(
            base_url=f"{settings.url}/rest/v1",
            headers=key_headers(self._key),
            timeout_seconds=settings.timeout_seconds,
            rate=settings.rate,
            connections=settings.concurrency,
        )
        self._table = Table(self._http, table=settings.table, schema=settings.schema_name)

    async def check(self) -> list[Finding]:
        """Look by requests that read or write no row."""
        return [_without(finding, self._key) for finding in await findings(self._table, self._place)]

    async def setup(self) -> list[str]:
        """Say what to run where: the REST API cannot create a table."""
        editor = sql_editor(self._place.url)
        return [
            "Supabase's REST API cannot create tables, so this step is yours:",
            f"run `relay setup {self._place.name} --print`, paste the SQL into {editor} and run it there.",
            *words(await self.check()),
        ]

    def setup_text(self) -> str:
        """The SQL that makes the table, its grants and its guard."""
        return table_sql(self._settings.table, self._settings.schema_name or "public")

    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        """Bring them in as few requests as their columns allow."""
        rows = [_row(push, self._settings) for push in _newest(pushes)]
        outcomes = await self._send(_requests(rows))
        return [_without(outcomes[push.call.id], self._key) for push in pushes]

    async def retract(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Delete these rows in one request, or mark each."""
        if self._settings.on_merge == "delete":
            trouble = await self._table.delete([r.call_id for r in retractions])
            outcomes = [_taken_back(_outcome(trouble, r.call_id, len(retractions))) for r in retractions]
        else:
            outcomes = [_taken_back(await self._mark(retraction)) for retraction in retractions]
        return [_without(outcome, self._key) for outcome in outcomes]

    async def _mark(self, retraction: Retraction) -> Outcome:
        values = {"merged_into": retraction.merged_into, "version": retraction.version}
        return _outcome(await self._table.mark(retraction.call_id, values), retraction.call_id, 1)

    async def _send(self, requests: Iterable[Sequence[Row]]) -> dict[str, Outcome]:
        """One after the other. What would meet every request alike is not tried on the rest."""
        outcomes: dict[str, Outcome] = {}
        halted: Outcome | None = None
        for rows in requests:
            if halted is None:
                trouble = await self._table.upsert(_body(rows))
                outcomes |= {row.id: _outcome(trouble, row.id, len(rows)) for row in rows}
                halted = _halt(outcomes[rows[0].id])
            else:
                outcomes |= {row.id: halted for row in rows}
        return outcomes

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


# --- calls to rows ----------------------------------------------------------------------------


def _newest(pushes: Sequence[Push]) -> Iterator[Push]:
    """One push per call: its newest version, with all that changed. PostgREST refuses an id twice (21000)."""
    by_id: dict[str, Push] = {}
    for push in pushes:
        other = by_id.get(push.call.id)
        by_id[push.call.id] = push if other is None else _joined(other, push)
    yield from by_id.values()


def _joined(one: Push, other: Push) -> Push:
    newest = max(one, other, key=lambda push: push.call.version)
    return msgspec.structs.replace(newest, changed=one.changed | other.changed)


def _row(push: Push, settings: SupabaseSettings) -> Row:
    columns = _columns(push, settings)
    return Row(push.call.id, tuple(columns), _encode(columns))


def _columns(push: Push, settings: SupabaseSettings) -> dict[str, Any]:
    """What the row says; `status` is the label that people read, `state` the word for machines."""
    call, changed = push.call, push.changed
    row: dict[str, Any] = {"id": call.id, "version": call.version}
    row |= {field: getattr(call, attribute) for field, attribute in _ATTRIBUTES if field in changed}
    if "status" in row:
        row |= {"status": settings.label(call.status), "state": call.status}
    return row


def _encode(row: dict[str, Any]) -> bytes:
    """As JSON. PostgreSQL's text holds no NUL (22P05) and no half of a surrogate pair: both are cut out."""
    try:
        encoded = msgspec.json.encode(row)
    except UnicodeEncodeError:
        return msgspec.json.encode(_cleaned(row))
    return msgspec.json.encode(_cleaned(row)) if b"\\u0000" in encoded else encoded


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "ignore").decode()
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(item) for key, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, list) else value


# --- rows to requests -------------------------------------------------------------------------


def _requests(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows of equal columns share a request (PGRST102), as many as its bytes allow."""
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.columns].append(row)
    for group in groups.values():
        yield from _bounded(group)


def _bounded(rows: Sequence[Row]) -> Iterator[list[Row]]:
    taken: list[Row] = []
    size = 0
    for row in rows:
        if taken and size + len(row.encoded) > MAX_REQUEST_BYTES:
            yield taken
            taken, size = [], 0
        taken.append(row)
        size += len(row.encoded) + len(",")
    yield taken


def _body(rows: Sequence[Row]) -> bytes:
    return b"[" + b",".join(row.encoded for row in rows) + b"]"


# --- answers to outcomes ----------------------------------------------------------------------


def _outcome(trouble: Trouble | None, id_: str, rows: int) -> Outcome:
    if trouble is None:
        return Delivered(remote_id=id_)
    return outcome_of(trouble, rows=rows) if isinstance(trouble, Fault) else trouble


def _taken_back(outcome: Outcome) -> Outcome:
    """A grant or a column that only a retraction needs is a dead letter, and stops no other call."""
    if isinstance(outcome, Misconfigured | Split):
        return Rejected(code=outcome.code, message=outcome.message)
    return outcome


def _halt(outcome: Outcome) -> Outcome | None:
    """What the requests not yet sent come back as, where the next would meet the same."""
    match outcome:
        case Retry() | Throttled() | Unauthorised():
            return outcome
        case Unknown():
            return Retry(code=outcome.code, message="Not sent, since the request before was not answered.")
        case _:
            return None


_Said = TypeVar("_Said", Outcome, Finding)
_TOLD: Final = ("code", "message", "problem", "hint")


def _without(said: _Said, key: str) -> _Said:
    """Servers may repeat a request's headers in an error; the key is cut out of all that is told on."""
    told = {name: text.replace(key, "…") for name in _TOLD if (text := getattr(said, name, None))}
    return msgspec.structs.replace(said, **told) if told else said
