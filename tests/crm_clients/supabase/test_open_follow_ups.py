"""The view of open follow-ups in docs/supabase.md, on a real PostgreSQL."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from crm_clients.base import Delivered
from relay.call import Call, Status
from tests.support.supabase import Connect, Supabase
from tests.support.supabase_calls import call, push, types_of

DOCS = Path(__file__).parents[3] / "docs"


def view_in(page: str) -> str:
    (sql,) = re.findall(
        r"```sql\n(create or replace view open_follow_ups.*?)```", (DOCS / page).read_text(), re.DOTALL
    )
    return str(sql)


def missed(id_: str, hours_ago: int, number: str, **fields: Any) -> Call:
    started = datetime.now(UTC) - timedelta(hours=hours_ago)
    return call(id_, external_number=number, started_at=f"{started:%Y-%m-%dT%H:%M:%SZ}", **fields)


def test_both_languages_have_the_same_view() -> None:
    assert view_in("supabase.md") == view_in("es/supabase.md")


async def test_the_view_lists_who_waits_and_how_often_they_called(
    supabase: Supabase, connect: Connect
) -> None:
    supabase.execute("truncate calls")
    calls = [
        missed("a", 3, "+34600000001"),
        missed("b", 1, "+34600000001", contact_name=None),
        missed("c", 2, "+34600000002", status=Status.VOICEMAIL),
        missed("called back", 2, "+34600000003", follow_up=False),
        missed("old", 8 * 24, "+34600000004"),
    ]
    assert set(types_of(await connect().upsert([push(each) for each in calls]))) == {Delivered}
    supabase.execute(view_in("supabase.md"))
    try:
        with psycopg.connect(supabase.dsn) as connection:
            rows = connection.execute(
                "select external_number, contact_name is not null, missed_calls from open_follow_ups"
            ).fetchall()
    finally:
        supabase.execute("drop view open_follow_ups")
    assert rows == [("+34600000001", True, 2), ("+34600000002", True, 1)]
