"""Policies of row level security that hide some rows from updates."""

from collections.abc import Iterator

import pytest

from crm_clients.base import Delivered, Misconfigured, Outcome, Rejected, Split
from crm_clients.supabase import SupabaseClient
from crm_clients.supabase.errors import ApiError, to_outcome
from relay.call import Status
from tests.support.supabase import Connect, Supabase
from tests.support.supabase_calls import call, push, types_of

HIDING = {
    "finished calls": "for update using (state = 'in_progress') with check (true)",
    "every call": "for update using (false) with check (true)",
    "rows of others": "for update using (agent_name = current_user) with check (true)",
    "one row": "for update using (id <> 'cloudtalk-1') with check (true)",
}
ONLY_SOME = ["finished calls", "one row"]


@pytest.fixture
def locked(supabase: Supabase) -> Iterator[Supabase]:
    """A project with the table `locked`, where the publishable key may read and insert every row."""
    supabase.execute("drop table if exists locked")
    supabase.create_table("locked")
    supabase.execute("""
        grant all on locked to anon;
        create policy read on locked for select using (true);
        create policy new on locked for insert with check (true);
    """)
    yield supabase
    supabase.execute("drop table locked")


def connect_as_browser(project: Supabase, connect: Connect) -> SupabaseClient:
    return connect(key=project.publishable_key, table="locked")


def types_and_codes(outcomes: list[Outcome]) -> list[tuple[type[Outcome], str | None]]:
    return [(type(outcome), outcome.code) for outcome in outcomes]


@pytest.mark.parametrize("policy", HIDING)
@pytest.mark.parametrize("changed", [("notes",), ()], ids=["changed columns", "whole row"])
async def test_a_call_whose_row_an_update_policy_hides_is_rejected(
    locked: Supabase, connect: Connect, policy: str, changed: tuple[str, ...]
) -> None:
    locked.execute(f"create policy change on locked {HIDING[policy]}")
    client = connect_as_browser(locked, connect)
    assert types_of(await client.upsert([push(call(notes="old"))])) == [Delivered]
    outcomes = await client.upsert([push(call(version=2, notes="new"), *changed)])
    assert types_and_codes(outcomes) == [(Rejected, "row_level_security")]
    assert "USING expression" in (outcomes[0].message or "")
    assert [row["notes"] for row in locked.rows("locked")] == ["old"]


@pytest.mark.parametrize("policy", ONLY_SOME)
async def test_the_other_calls_are_delivered(locked: Supabase, connect: Connect, policy: str) -> None:
    locked.execute(f"create policy change on locked {HIDING[policy]}")
    client = connect_as_browser(locked, connect)
    first = [call(), call("cloudtalk-2", status=Status.IN_PROGRESS)]
    assert types_of(await client.upsert([push(each) for each in first])) == [Delivered, Delivered]
    late = [push(call(version=2), "notes"), push(call("cloudtalk-2", version=2, notes="new"), "notes")]
    together = await client.upsert(late)
    assert types_and_codes(together) == [(Split, "row_level_security")] * 2
    alone = [outcome for each in late for outcome in await client.upsert([each])]
    assert types_and_codes(alone) == [(Rejected, "row_level_security"), (Delivered, None)]


@pytest.mark.parametrize(
    "sql",
    [
        "drop policy new on locked",
        "revoke insert on locked from anon",
        "drop policy read on locked; create policy read on locked for select using (false)",
    ],
    ids=["no policy for new rows", "no grant", "rows cannot be read"],
)
async def test_what_refuses_every_call_pauses_the_destination(
    locked: Supabase, connect: Connect, sql: str
) -> None:
    locked.execute(sql)
    outcomes = await connect_as_browser(locked, connect).upsert([push(call())])
    assert types_and_codes(outcomes) == [(Misconfigured, "42501")]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ('new row violates row-level security policy (USING expression) for table "calls"', Rejected),
        ('new row violates row-level security policy "mine" (USING expression) for table "x"', Rejected),
        ('new row violates row-level security policy for table "calls"', Misconfigured),
        ('new row violates row-level security policy "mine" for table "calls"', Misconfigured),
        ("permission denied for table calls", Misconfigured),
    ],
)
def test_only_a_hidden_row_concerns_one_call(message: str, expected: type[Outcome]) -> None:
    assert type(to_outcome(ApiError(403, "42501", message), rows=1)) is expected
