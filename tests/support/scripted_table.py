"""A table of Supabase without a server, whose answers a test states."""

from collections.abc import Callable, Iterable, Sequence

from crm_clients.supabase.errors import ApiFailure
from crm_clients.supabase.rest import Row, Table


class ScriptedTable(Table):
    """`stored`: the rows, or why none can be read. `refuse`: why a dry run of these rows fails, if it does.

    `tried` and `read` have the rows of each dry run, and the keys, columns and filters of each query.
    """

    def __init__(
        self,
        *,
        stored: Sequence[Row] | ApiFailure = (),
        refuse: Callable[[Sequence[Row]], ApiFailure | None] = lambda _: None,
        version: str | None = "version",
    ) -> None:
        self.key = "id"
        self.version = version
        self.tried: list[list[Row]] = []
        self.read: list[tuple[list[str], list[str], dict[str, str]]] = []
        self._stored = stored
        self._refuse = refuse

    async def select(
        self, keys: Iterable[str], columns: Sequence[str], **where: str
    ) -> list[Row] | ApiFailure:
        wanted = list(keys)
        self.read.append((wanted, list(columns), where))
        if not isinstance(self._stored, Sequence):
            return self._stored
        return [{name: row[name] for name in columns} for row in self._stored if row[self.key] in wanted]

    async def dry_run(self, rows: Sequence[Row]) -> ApiFailure | None:
        self.tried.append(list(rows))
        return self._refuse(rows)

    async def dry_run_update(self, row: Row) -> ApiFailure | None:
        return await self.dry_run([row])
