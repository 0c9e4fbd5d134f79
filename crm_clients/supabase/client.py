"""The client for Supabase: it selects a layout, and removes the key from every text it returns."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Protocol, TypeVar

import msgspec

from crm_clients.base import (
    Context,
    CrmClient,
    Delivered,
    Finding,
    Misconfigured,
    Outcome,
    Push,
    Rejected,
    Retraction,
    Stored,
)
from crm_clients.batch import merge_by_call
from crm_clients.http import VendorHttp
from crm_clients.settings import DestinationSettings
from crm_clients.supabase.batches import build_outcome
from crm_clients.supabase.check import check_table, format_findings
from crm_clients.supabase.errors import ApiFailure, is_too_large
from crm_clients.supabase.keys import key_headers, role_of
from crm_clients.supabase.layout_kv import KvLayout
from crm_clients.supabase.layout_table import TableLayout
from crm_clients.supabase.location import Location, SampleRows, sql_editor
from crm_clients.supabase.record import ID_PREFIX
from crm_clients.supabase.rest import Row, Table
from crm_clients.supabase.sample import Sample, build_full_sample, build_long_sample, build_samples
from crm_clients.supabase.settings import SupabaseSettings
from crm_clients.supabase.shorten import find_largest, leave_out
from relay.call import Call


class Layout(Protocol):
    """How calls are stored in the table. Writing methods return the outcome of every call by call id."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that `upsert` writes."""

    @property
    def merge_columns(self) -> tuple[str, ...]:
        """The columns that only `retract(mark=True)` writes."""

    def row_of(self, call: Call) -> Row:
        """Return the whole row of a call."""

    def sql(self, schema: str) -> str:
        """Return the SQL that creates the table."""

    async def upsert(self, pushes: Sequence[Push]) -> dict[str, Outcome]:
        """Write calls. No call appears twice."""

    async def retract(self, retractions: Sequence[Retraction], *, mark: bool) -> dict[str, Outcome]:
        """Mark the records with `merged_into`, or delete them."""

    async def forget(self, retractions: Sequence[Retraction]) -> dict[str, Outcome]:
        """Delete everything that was written about the calls."""

    async def read(self, pushes: Sequence[Push]) -> dict[str, list[Stored]] | ApiFailure:
        """Return the records of the calls and their doubles, by call id. No call appears twice."""


class SupabaseClient(CrmClient[SupabaseSettings]):
    """Writes calls to a table of a Supabase project, in the layout of the settings."""

    Settings: ClassVar[type[DestinationSettings]] = SupabaseSettings
    forget_fields: ClassVar[frozenset[str]] = frozenset(
        {"answered_at", "ended_at", "external_number", "started_at"}
    )

    def __init__(self, name: str, settings: SupabaseSettings, context: Context) -> None:
        super().__init__(name, settings, context)
        self._key = settings.key.get_secret_value()
        self._http = VendorHttp(
            base_url=f"{settings.url}/rest/v1",
            headers=key_headers(self._key),
            timeout_seconds=settings.timeout_seconds,
            rate=settings.rate,
            connections=settings.concurrency,
        )
        is_kv = settings.layout == "kv"
        key_column = "key" if is_kv else settings.mapping["id"]
        self._table = Table(
            self._http,
            table=settings.table,
            schema=settings.schema_name,
            key=key_column,
            version=None if is_kv else settings.mapping.get("version"),
        )
        self._layout: Layout = (
            KvLayout(settings, self._table, context) if is_kv else TableLayout(settings, self._table)
        )
        self._location = Location(
            destination=name,
            url=settings.url,
            table=settings.table,
            schema=settings.schema_name,
            role=role_of(self._key),
            key=key_column,
            columns=self._layout.columns,
            full=self._sample_rows(build_full_sample(settings.when)).rows,
            long=self._sample_rows(build_long_sample(settings.when)).rows,
            samples=[self._sample_rows(sample) for sample in build_samples(settings.when)],
            key_prefix=f"{settings.kv_prefix if is_kv else ''}{ID_PREFIX}",
            settings={} if is_kv else settings.settings_by_column,
            merge_columns=self._layout.merge_columns if settings.on_merge == "mark" else (),
            json_column="value" if is_kv else None,
            deletes=settings.on_merge == "delete",
        )

    def _sample_rows(self, sample: Sample) -> SampleRows:
        return SampleRows(
            (self._layout.row_of(sample.call), self._layout.row_of(sample.twin)),
            sample.status,
            self.settings.label(sample.status) if sample.status else None,
            sample.direction,
        )

    async def check(self) -> list[Finding]:
        """Probe the table by requests that read and write no row."""
        findings = await check_table(self._table, self._location)
        return [_redact(finding, self._key) for finding in findings]

    async def setup(self) -> list[str]:
        """Say which SQL to run where: the REST API cannot create a table."""
        editor = sql_editor(self._location.url)
        return [
            "Supabase's REST API cannot create tables, so this step is yours:",
            f"run `relay setup {self.name} --print`, paste the SQL into {editor} and run it there.",
            *format_findings(await self.check()),
        ]

    def setup_text(self) -> str:
        """Return the SQL for the table, its grants and its triggers."""
        return self._layout.sql(self._location.sql_schema)

    async def upsert(self, pushes: Sequence[Push]) -> list[Outcome]:
        """Write the calls in as few requests as the layout allows."""
        newest = merge_by_call(pushes)
        outcomes = await self._layout.upsert(list(newest.values())) if pushes else {}
        for id_, outcome in outcomes.items():
            if is_too_large(outcome):
                outcomes[id_] = await self._upsert_shortened(newest[id_], outcome)
        return [_redact(outcomes[push.call.id], self._key) for push in pushes]

    async def retract(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Mark the records of merged calls if `on_merge` is "mark"; delete all others."""
        marks = self.settings.on_merge == "mark"
        outcomes: dict[str, Outcome] = {}
        for mark in (True, False):
            selected = [r for r in retractions if (marks and r.call.merged_into is not None) is mark]
            if selected:
                outcomes |= await self._layout.retract(selected, mark=mark)
        return [self._retraction_outcome(outcomes[r.call.id]) for r in retractions]

    async def forget(self, retractions: Sequence[Retraction]) -> list[Outcome]:
        """Delete everything that was written about these calls, also what the client remembers of tasks."""
        outcomes = await self._layout.forget(retractions) if retractions else {}
        return [self._retraction_outcome(outcomes[r.call.id]) for r in retractions]

    async def read(self, pushes: Sequence[Push]) -> Mapping[str, Sequence[Stored]] | Outcome:
        """Read the records in requests of bounded size. Records of the layout `kv` have no version."""
        records = await self._layout.read(pushes) if pushes else {}
        if isinstance(records, dict):
            return records
        # calls=1: a read fails for all calls alike, so the outcome must not be Split.
        return _redact(build_outcome(records, remote_id="", calls=1), self._key)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _upsert_shortened(self, push: Push, outcome: Outcome) -> Outcome:
        """Write one call without its largest texts, and leave out one more while the record is too large."""
        limit, left_out = outcome.message, list[str]()
        mapped = self.settings.mapping.keys()
        # An existing row receives only changed fields; a row that a person deleted receives the others too.
        while is_too_large(outcome) and (
            field := find_largest(push.call, mapped & push.changed) or find_largest(push.call, mapped)
        ):
            left_out.append(field)
            push = msgspec.structs.replace(push, call=leave_out(push.call, field))
            outcome = (await self._layout.upsert([push]))[push.call.id]
        if not isinstance(outcome, Delivered):
            return outcome
        message = f"Delivered without {', '.join(left_out)}, because the record was too large: {limit}"
        return msgspec.structs.replace(outcome, code="shortened", message=message)

    def _retraction_outcome(self, outcome: Outcome) -> Outcome:
        """If only retractions lack a grant or a column, reject this one and do not pause the destination."""
        if isinstance(outcome, Misconfigured):
            outcome = Rejected(code=outcome.code, message=outcome.message)
        return _redact(outcome, self._key)


_Redacted = TypeVar("_Redacted", Outcome, Finding)
_TEXT_FIELDS: Final = ("code", "message", "problem", "hint")


def _redact(result: _Redacted, secret: str) -> _Redacted:
    """Remove the key from all texts: servers may repeat a request's headers in an error."""
    texts = {
        name: text.replace(secret, "…") for name in _TEXT_FIELDS if (text := getattr(result, name, None))
    }
    return msgspec.structs.replace(result, **texts) if texts else result
