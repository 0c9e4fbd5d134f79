"""What the benchmarks of one run share: the bare endpoint and a PostgreSQL, started when first needed."""

from contextlib import ExitStack
from functools import cached_property
from typing import Final
from urllib.parse import urlsplit

import msgspec

from bench.crms import PostgrestCrm
from bench.fill import BASE_CALLS, base_ledger
from bench.gateway import Gateway, running_gateway
from bench.ledgers import BenchLedger, LedgerEngine, PostgresEngine, SqliteEngine
from bench.load import build_requests, for_seconds, generate_calls_now, run, send
from bench.machine import machine_facts, postgres_facts
from bench.server import SCRATCH, Server, scratch_folder, serve_bare
from tests.support.postgres import running_postgres
from tests.support.supabase import Supabase, running_supabase

_BARE_SECONDS: Final = 0.6
_BARE_CALLS: Final = 5_000


class Baseline(msgspec.Struct, frozen=True):
    """The bare endpoint's requests per second and CPU time per request."""

    rate: float
    cpu_seconds: float


class Environment:
    """The shared servers. `quick`: measure as little as possible, to try a benchmark out. `full`: measure
    what takes long, too. `only`: measure the cases whose names contain this text.

    `facts`: what the figures depend on, the durability of PostgreSQL included once it was started.
    """

    def __init__(self, stack: ExitStack, *, quick: bool = False, full: bool = False, only: str = "") -> None:
        self.quick, self.full, self._only = quick, full, only
        SCRATCH.mkdir(exist_ok=True)
        self.facts = machine_facts(SCRATCH)
        self._stack = stack

    def includes(self, case: str) -> bool:
        """Return whether this case was chosen."""
        return self._only in case

    def engine(self, name: str) -> LedgerEngine:
        """Return the engine of this name, `SQLite` or `PostgreSQL`."""
        return self._postgres if name == PostgresEngine.name else self.sqlite

    @cached_property
    def sqlite(self) -> LedgerEngine:
        return SqliteEngine()

    @cached_property
    def _postgres(self) -> LedgerEngine:
        """A real PostgreSQL for ledgers, with its default durability: `fsync` is on."""
        server = self._stack.enter_context(running_postgres())
        self.facts |= postgres_facts(server.dsn)
        return PostgresEngine(server.dsn, server.pid)

    def postgrest_crm(self) -> PostgrestCrm:
        """Return a real PostgREST whose table is empty. There is one: only one relay may use it at a time."""
        return PostgrestCrm(*self._project)

    @cached_property
    def _project(self) -> tuple[Supabase, Gateway]:
        project = self._stack.enter_context(running_supabase())
        port = urlsplit(project.gateway.upstream).port or 0
        return project, self._stack.enter_context(running_gateway(port))

    @cached_property
    def base_ledger(self) -> BenchLedger:
        """A small ledger, for `filled_ledger`."""
        return self._stack.enter_context(base_ledger(BASE_CALLS // 10 if self.quick else BASE_CALLS))

    @cached_property
    def _bare(self) -> Server:
        folder = self._stack.enter_context(scratch_folder())
        server = self._stack.enter_context(serve_bare(folder))
        run(send([server], for_seconds(_BARE_SECONDS, self._bare_requests), connections=64))
        return server

    @cached_property
    def _bare_requests(self) -> list[list[bytes]]:
        return build_requests(generate_calls_now(_BARE_CALLS))

    def measure_bare(self, connections: int) -> Baseline:
        """Measure the bare endpoint now, with the load generator and the events of the relay's benchmarks.

        It is measured again beside each case, because the speed of a shared machine changes.
        """
        seconds = _BARE_SECONDS / 6 if self.quick else _BARE_SECONDS
        before = self._bare.cpu_seconds()
        sent = run(send([self._bare], for_seconds(seconds, self._bare_requests), connections=connections))
        return Baseline(sent.rate, (self._bare.cpu_seconds() - before) / sent.requests)
