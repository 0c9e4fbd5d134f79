"""One audit: CloudTalk's history against the ledger, then the ledger against each CRM.

It goes through the calls of the ledger page by page, so its memory does not grow with the range. What it
repairs is pending at once: an audit that is interrupted is made again, and does not repair it twice.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from crm_clients.base import CrmClient
from relay.audit.cloudtalk_side import CloudTalkAudit
from relay.audit.crm_side import CrmAudit
from relay.audit.report import Outcome, Result, encode
from relay.history.api import HistoryApi
from relay.history.folding import wait_until_folded
from relay.history.windows import Range
from relay.ingest.parsers import build_parser
from relay.instants import Instant, duration
from relay.ledger import Ledger, audited_calls, audits
from relay.ledger.audited_calls import AuditedCall
from relay.ledger.audits import MOST_FINDINGS, Finding, FindingKind
from relay.ledger.replays import PageCursor
from relay.settings import Settings

_PAGE: Final = 500

_YOUNG: Final = duration(300)
"""So long after its start a call is not compared."""

_LAG: Final = duration(3_600)
"""How long a call may be absent from the history. It is usually there within a minute of its end."""

_OPEN: Final = duration(4 * 3_600)
"""The longest call. One that began earlier and is not over lacks its end."""

_EDGE: Final = duration(300)
"""How much the start of a call may differ between the history and the ledger."""

_FOLD_SECONDS: Final = 600.0
"""How long to wait until imported calls are in the ledger, before they are compared without."""

_NOT_OVER: Final = frozenset({"in_progress", "answered"})
OnProgress = Callable[[str, int, int], None]
"""Called with what is read, how much is done, and how much there is."""


class Audit:
    """One audit of the calls of a range. `clients`: of the destinations to read. `api`: None without a key.

    `repairs`: import and repair what was found. `stores`: the result. `who`: see `ActionRow`.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        clients: Mapping[str, CrmClient[Any]],
        api: HistoryApi | None,
        wanted: Range,
        *,
        repairs: bool,
        who: str,
        stores: bool = True,
        on_progress: OnProgress = lambda _what, _done, _total: None,
    ) -> None:
        self.result = Result(wanted.since, wanted.until, repairs)
        self._settings = settings
        self._ledger = ledger
        self._api = api
        self._wanted = wanted
        self._who = who
        self._stores = stores
        self._on_progress = on_progress
        self._findings: list[Finding] = []
        self._forgotten: list[str] = []
        self._crms = {
            name: CrmAudit(
                ledger,
                client,
                settings.destinations[name],
                forward_internal=settings.cloudtalk.forward_internal,
                repairs=repairs,
                who=who,
            )
            for name, client in clients.items()
        }

    async def run(self) -> Outcome:
        """Compare, repair and store. Raises `LedgerError`."""
        began_at = self._ledger.now()
        if self._api is not None:
            await self._compare_cloudtalk(self._api)
        for merged in (False, True):
            await self._compare_crms(merged=merged)
        for crm in self._crms.values():
            await crm.erase_forgotten(self._forgotten)
        self.result.crms = {name: crm.side for name, crm in self._crms.items()}
        findings = [*self._findings, *(each for crm in self._crms.values() for each in crm.findings)]
        if self._stores:
            await self._store(findings, began_at)
        return Outcome(self.result, findings)

    async def _compare_cloudtalk(self, api: HistoryApi) -> None:
        source = CloudTalkAudit(
            self._ledger, api, build_parser(self._settings.cloudtalk), repairs=self.result.repairs
        )
        await source.compare(self._wanted, partial(self._on_progress, "CloudTalk"))
        try:
            async with asyncio.timeout(_FOLD_SECONDS):
                await wait_until_folded(self._ledger, source.last_seq)
        except TimeoutError:
            pass  # they are compared by the next audit
        self._findings += await source.list_findings()
        self._forgotten = await source.list_forgotten()
        self.result.cloudtalk = source.side
        if source.side.problem is None and self.result.repairs:
            self.result.only_here = 0

    async def _compare_crms(self, *, merged: bool) -> None:
        since, until = self._wanted.since, self._wanted.until
        total = await self._ledger.read(partial(audited_calls.count, since=since, until=until))
        cursor: PageCursor | None = PageCursor()
        done = 0
        while cursor is not None:
            page, cursor = await self._ledger.read(
                partial(
                    audited_calls.list_page,
                    after=cursor,
                    since=since,
                    until=until,
                    limit=_PAGE,
                    merged=merged,
                )
            )
            now = self._ledger.now()
            settled = [call for call in page if not _is_young(call, now)]
            if not merged:
                self._count(page, settled)
            for crm in self._crms.values():
                await crm.compare([call.record.id for call in settled])
            done += len(page)
            if not merged:
                self._on_progress("calls", done, max(total, done))

    def _count(self, page: list[AuditedCall], settled: list[AuditedCall]) -> None:
        self.result.calls += len(page)
        self.result.young += len(page) - len(settled)
        if self.result.only_here is not None:
            now = self._ledger.now()
            only_here = [call.record.id for call in settled if self._is_only_here(call, now)]
            self.result.only_here += len(only_here)
            room = max(MOST_FINDINGS - len(self._findings), 0)
            self._findings += (Finding("", id_, FindingKind.ONLY_HERE) for id_ in only_here[:room])

    def _is_only_here(self, call: AuditedCall, now: Instant) -> bool:
        """Whether the history, which was just read, does not have the call. Of internal calls it need not."""
        end = min(self._wanted.until - _EDGE, now - _LAG)
        is_inside = self._wanted.since + _EDGE <= call.began_at < end
        return is_inside and not call.from_history and call.record.direction != "internal"

    async def _store(self, findings: list[Finding], began_at: Instant) -> None:
        result, finished_at = encode(self.result).decode(), self._ledger.now()
        await self._ledger.write(
            partial(
                audits.add,
                findings=findings,
                began_at=began_at,
                finished_at=finished_at,
                who=self._who,
                result=result,
            )
        )


def _is_young(call: AuditedCall, now: Instant) -> bool:
    """Whether the call may still change by itself."""
    age = now - call.began_at
    return age < (_OPEN if call.record.status in _NOT_OVER else _YOUNG)
