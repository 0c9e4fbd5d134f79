"""Supabase: the calls of a team in a table of its own project, through its REST API (PostgREST)."""

from collections.abc import Collection, Sequence
from typing import ClassVar, Final, Protocol, TypeVar

import msgspec

from crm_clients.base import Context, CrmClient, Finding, Misconfigured, Outcome, Push, Rejected, Retraction
from crm_clients.batch import merge_by_call
from crm_clients.http import VendorHttp
from crm_clients.settings import DestinationSettings
from crm_clients.supabase.batches import outcome
from crm_clients.supabase.check import Location, findings, sql_editor, words
from crm_clients.supabase.layout_kv import KvLayout
from crm_clients.supabase.layout_table import TableLayout
from crm_clients.supabase.rest import ApiFailure, Table, key_headers, role_of
from crm_clients.supabase.settings import SupabaseSettings
from relay.call import Call


class Layout(Protocol):
    """How calls are kept; each method answers for every call that it was given, by its id."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are written."""

    @property
    def columns_of_marks(self) -> tuple[str, ...]:
        """The columns that only a mark is written to."""

    def sql(self, schema: str) -> str:
        """What makes the table."""

    async def upsert(self, pushes: Sequence[Push]) -> dict[str, Outcome]:
        """Bring calls, each once."""

    async def retract(self, retractions: Sequence[Retraction], *, mark: bool) -> dict[str, Outcome]:
        """Mark or delete what was written of calls that are no records of their own."""

    async def forget(self, retractions: Sequence[Retraction]) -> dict[str, Outcome]:
        """Delete all that was written of calls."""

    async def present(self, calls: Sequence[Call]) -> set[str] | ApiFailure:
        """The ids of those calls that there is a record of."""


class SupabaseClient(CrmClient[SupabaseSettings]):
    """Brings calls to a project of Supabase's, in the layout of the settings."""

    Settings: ClassVar[type[DestinationSettings]] = SupabaseSettings

    def __init__(self, name: str, settings: SupabaseSettings, context: Context) -> None:
        super().__init__(name, settings, context)
        self._secret = settings.key.get_secret_value()
        self._http = VendorHttp(
            base_url=f"{settings.url}/rest/v1",
            headers=key_headers(self._secret),
            timeout_seconds=settings.timeout_seconds,
            rate=settings.rate,
            connections=settings.concurrency,
        )
        is_kv = settings.layout == "kv"
        key = "key" if is_kv else settings.places["id"]
        self._table = Table(self._http, table=settings.table, schema=settings.schema_name, key=key)
        self._layout: Layout = (
            KvLayout(settings, self._table, context) if is_kv else TableLayout(settings, self._table)
        )
        self._place = Location(
            name=name,
            url=settings.url,
            table=settings.table,
            schema=settings.schema_name,
            role=role_of(self._secret),
            key=key,
            columns=self._layout.columns,
            columns_of_marks=self._layout.columns_of_marks if settings.on_merge == "mark" else (),
            deletes=settings.on_merge == "delete",
        )

    async def check(self) -> list[Finding]:
        """Look by requests that read or write no row."""
        return [_without(finding, self._secret) for finding in await findings(self._table, self._place)]

    async def setup(self) -> list[str]:
        """Say what to run where: the REST API cannot create a table."""
        editor = sql_editor(self._place.url)
        return [
            "Supabase's REST API cannot create tables, so this step is yours:",
            f"run `relay setup {self.name} --print`, paste the SQL into {editor} and run it there.",
            *words(await self.check()),
        ]

    def setup_text(self) -> str:
        """The SQL that makes the table, its grants and, for rows, its guard."""
        return self._layout.sql(self._place.sql_schema)

    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        """Bring them in as few requests as the layout allows."""
        outcomes = await self._layout.upsert(list(merge_by_call(pushes).values())) if pushes else {}
        return [_without(outcomes[push.call.id], self._secret) for push in pushes]

    async def retract(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Delete or mark; a record whose call is none of the CRM's bears no mark, and goes."""
        marks = self.settings.on_merge == "mark"
        outcomes: dict[str, Outcome] = {}
        for mark in (True, False):
            these = [r for r in retractions if (marks and r.call.merged_into is not None) is mark]
            if these:
                outcomes |= await self._layout.retract(these, mark=mark)
        return [self._taken_back(outcomes[r.call.id]) for r in retractions]

    async def forget(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Delete what was written; of a customer the client remembers nothing over a restart."""
        outcomes = await self._layout.forget(retractions) if retractions else {}
        return [self._taken_back(outcomes[r.call.id]) for r in retractions]

    async def missing(self, pushes: Sequence[Push]) -> Collection[str] | Outcome:
        """Ask for the keys alone."""
        calls = [push.call for push in pushes]
        found = await self._layout.present(calls)
        if isinstance(found, set):
            return {call.id for call in calls} - found
        # As if for a single call: reading cannot fail for one and not for another.
        return _without(outcome(found, remote_id="", calls=1), self._secret)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def _taken_back(self, said: Outcome) -> Outcome:
        """A grant or a column that only a retraction needs is a dead letter, and stops no other call."""
        if isinstance(said, Misconfigured):
            said = Rejected(code=said.code, message=said.message)
        return _without(said, self._secret)


_Said = TypeVar("_Said", Outcome, Finding)
_TOLD: Final = ("code", "message", "problem", "hint")


def _without(said: _Said, secret: str) -> _Said:
    """Servers may repeat a request's headers in an error; the key is cut out of all that is told on."""
    told = {name: text.replace(secret, "…") for name in _TOLD if (text := getattr(said, name, None))}
    return msgspec.structs.replace(said, **told) if told else said
