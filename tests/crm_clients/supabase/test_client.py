"""Against a real PostgREST on a real PostgreSQL."""

from datetime import UTC, datetime

import msgspec
import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from crm_clients.base import (
    Delivered,
    Misconfigured,
    Outcome,
    Rejected,
    Retry,
    Split,
    Throttled,
    Unauthorised,
    Unknown,
)
from crm_clients.supabase.batches import MAX_REQUEST_BYTES
from crm_clients.supabase.sql import DEFAULT_MAPPING
from relay.call import Status
from tests.support.clients import make_retraction
from tests.support.supabase import Connect, Supabase
from tests.support.supabase_calls import BASE, call, push, types_of

# --- rows in the table -------------------------------------------------------------------


async def test_a_new_call_is_written_as_a_row_with_every_column(supabase: Supabase, connect: Connect) -> None:
    outcomes = await connect().upsert([push(call())])
    assert outcomes == [Delivered(remote_id="cloudtalk-1")]
    [row] = supabase.rows()
    assert datetime.now(UTC) >= row.pop("updated_at")
    assert row == {
        **{f: v for f, v in msgspec.to_builtins(BASE).items() if f in DEFAULT_MAPPING},
        "status": "Perdida",
        "state": "missed",
        "started_at": datetime(2024, 1, 15, 10, tzinfo=UTC),
        "ended_at": datetime(2024, 1, 15, 10, 1, 1, 250_000, tzinfo=UTC),
        "merged_into": None,
    }


@pytest.mark.parametrize("odd", ["cloudtalk-1", 'a,b"(c)\\ñ', "x" * 200])
async def test_a_retracted_call_is_deleted_and_no_other(
    supabase: Supabase, connect: Connect, odd: str
) -> None:
    client = connect()
    await client.upsert([push(call(odd)), push(call("cloudtalk-stays"))])
    retractions = [
        make_retraction(odd, "cloudtalk-stays", 2),
        make_retraction("cloudtalk-never-was", "cloudtalk-stays", 2),
    ]
    assert [outcome.name for outcome in await client.retract(retractions)] == ["delivered", "delivered"]
    assert [row["id"] for row in supabase.rows()] == ["cloudtalk-stays"]


async def test_a_retracted_call_is_marked_if_on_merge_is_mark(supabase: Supabase, connect: Connect) -> None:
    client = connect(on_merge="mark")
    await client.upsert([push(call(version=1))])
    outcomes = await client.retract([make_retraction("cloudtalk-1", "cloudtalk-2", 2)])
    assert [outcome.name for outcome in outcomes] == ["delivered"]
    [row] = supabase.rows()
    assert (row["merged_into"], row["version"], row["state"]) == ("cloudtalk-2", 2, "missed")


async def test_a_missing_grant_that_only_a_retraction_needs_does_not_pause_the_destination(
    supabase: Supabase, connect: Connect
) -> None:
    supabase.execute("revoke delete on calls from service_role")
    try:
        (outcome,) = await connect().retract([make_retraction("cloudtalk-1", "cloudtalk-2", 2)])
    finally:
        supabase.execute("grant delete on calls to service_role")
    assert (outcome.name, outcome.code) == ("rejected", "42501")


async def test_check_finds_a_missing_grant_that_only_a_retraction_needs(
    supabase: Supabase, connect: Connect
) -> None:
    supabase.execute("revoke delete on calls from service_role")
    try:
        (finding,) = await connect().check()
        (marking,) = await connect(on_merge="mark").check()
    finally:
        supabase.execute("grant delete on calls to service_role")
    assert (finding.ok, finding.code) == (False, "missing_grant")
    assert "DELETE" in (finding.problem or "")
    assert "delete" in (finding.hint or "")
    assert marking.ok


async def test_the_status_column_has_the_label_of_the_settings(supabase: Supabase, connect: Connect) -> None:
    await connect(labels={"missed": "Llamar"}).upsert([push(call())])
    assert supabase.rows()[0]["status"] == "Llamar"


async def test_the_next_version_keeps_a_note_that_a_person_wrote(
    supabase: Supabase, connect: Connect
) -> None:
    client = connect()
    await client.upsert([push(call(version=1))])
    supabase.execute("update calls set notes = 'a person''s'")
    await client.upsert([push(call(version=2, status=Status.COMPLETED), "status")])
    [row] = supabase.rows()
    assert (row["notes"], row["status"], row["state"]) == ("a person's", "Completada", "completed")
    assert supabase.log[-1].records == [
        {"id": "cloudtalk-1", "version": 2, "status": "Completada", "state": "completed"}
    ]


async def test_a_push_takes_one_write_per_set_of_changed_columns(
    supabase: Supabase, connect: Connect
) -> None:
    client = connect()
    await client.upsert([push(call(f"cloudtalk-{n}")) for n in range(4)])
    supabase.log.clear()
    changed = [
        push(call("cloudtalk-0", version=2, notes="new"), "notes"),
        push(call("cloudtalk-1", version=2, tags=[]), "tags"),
        push(call("cloudtalk-2", version=2, notes="newer"), "notes"),
        push(call("cloudtalk-4")),
    ]
    outcomes = await client.upsert(changed)
    assert outcomes == [Delivered(remote_id=p.call.id) for p in changed]
    assert [(seen.method, seen.rows) for seen in supabase.log] == [
        ("GET", 0),
        ("POST", 2),
        ("PATCH", 1),
        ("POST", 1),
    ]
    assert [(row["notes"] == BASE.notes, row["tags"]) for row in supabase.rows()] == [
        (False, BASE.tags),
        (True, []),
        (False, BASE.tags),
        (True, BASE.tags),
        (True, BASE.tags),
    ]


async def test_a_call_that_is_twice_in_a_batch_is_sent_once_in_its_newest_version_with_all_changes(
    supabase: Supabase, connect: Connect
) -> None:
    client = connect()
    await client.upsert([push(call(version=1))])
    newest = push(call(version=3, notes="third", tags=["third"]), "notes")
    older = push(call(version=2, notes="second", tags=["third"]), "tags")
    assert types_of(await client.upsert([newest, older])) == [Delivered, Delivered]
    [row] = supabase.rows()
    assert (row["version"], row["notes"], row["tags"]) == (3, "third", ["third"])
    assert supabase.log[-1].rows == 1


async def test_an_older_version_that_arrives_late_changes_nothing(
    supabase: Supabase, connect: Connect
) -> None:
    client = connect()
    await client.upsert([push(call(version=5, notes="new"))])
    assert types_of(await client.upsert([push(call(version=4, notes="old"))])) == [Delivered]
    assert [(row["version"], row["notes"]) for row in supabase.rows()] == [(5, "new")]


async def test_updated_at_is_the_time_of_the_last_change_by_the_relay_or_a_person(
    supabase: Supabase, connect: Connect
) -> None:
    await connect().upsert([push(call())])
    before = supabase.rows()[0]["updated_at"]
    supabase.execute("update calls set notes = 'typed'")
    assert supabase.rows()[0]["updated_at"] > before


async def test_nul_characters_and_lone_surrogates_are_removed_and_their_escaped_spelling_stays(
    supabase: Supabase, connect: Connect
) -> None:
    data = {"a\0b": ["\0x", {"deep": "\ud800y"}]}
    outcomes = await connect().upsert(
        [
            push(call("cloudtalk-1", notes="a\0b", cloudtalk_data=data)),
            push(call("cloudtalk-2", contact_name="\0", notes="\\u0000")),
        ]
    )
    assert types_of(outcomes) == [Delivered, Delivered]
    one, two = supabase.rows()
    assert (one["notes"], one["cloudtalk_data"]) == ("ab", {"ab": ["x", {"deep": "y"}]})
    assert (two["contact_name"], two["notes"]) == ("", "\\u0000")


async def test_a_request_is_limited_in_bytes(supabase: Supabase, connect: Connect) -> None:
    long = "ñ" * 200_000
    outcomes = await connect().upsert([push(call(f"cloudtalk-{n}", transcript=long)) for n in range(5)])
    assert types_of(outcomes) == [Delivered] * 5
    assert [seen.rows for seen in supabase.log] == [2, 2, 1]
    assert all(len(seen.body) <= MAX_REQUEST_BYTES + 2 for seen in supabase.log)


async def test_a_row_larger_than_the_limit_is_sent_alone(supabase: Supabase, connect: Connect) -> None:
    huge = "x" * (MAX_REQUEST_BYTES + 1)
    outcomes = await connect().upsert([push(call("cloudtalk-1", transcript=huge)), push(call("cloudtalk-2"))])
    assert types_of(outcomes) == [Delivered, Delivered]
    assert [seen.rows for seen in supabase.log] == [1, 1]


async def test_an_empty_batch_makes_no_request(supabase: Supabase, connect: Connect) -> None:
    assert await connect().upsert([]) == []
    assert supabase.log == []


async def test_a_request_has_the_key_the_user_agent_and_the_preference(
    supabase: Supabase, connect: Connect
) -> None:
    await connect().upsert([push(call())])
    [seen] = supabase.log
    query = {"on_conflict": "id", "select": "id,version"}
    assert (seen.method, seen.path, seen.query) == ("POST", "/rest/v1/calls", query)
    assert seen.headers["user-agent"].startswith("cloudtalk-relay/")
    assert seen.headers["prefer"] == "resolution=merge-duplicates,return=representation"
    assert seen.headers["apikey"] == supabase.key
    assert "authorization" not in seen.headers


async def test_a_legacy_key_is_sent_in_both_headers(supabase: Supabase, connect: Connect) -> None:
    assert types_of(await connect(key=supabase.legacy_key).upsert([push(call())])) == [Delivered]
    assert supabase.log[0].headers["authorization"] == f"Bearer {supabase.legacy_key}"


async def test_calls_are_written_to_the_schema_of_the_settings(supabase: Supabase, connect: Connect) -> None:
    supabase.create_table("calls", "crm")
    client = connect(schema="crm")
    assert [finding.ok for finding in await client.check()] == [True]
    assert types_of(await client.upsert([push(call())])) == [Delivered]
    assert len(supabase.rows("crm.calls")) == 1
    assert supabase.rows("public.calls") == []


# --- failures --------------------------------------------------------------------------


async def test_a_row_that_the_table_refuses_splits_a_batch_and_is_rejected_by_itself(
    supabase: Supabase, connect: Connect
) -> None:
    supabase.create_table("strict")
    supabase.execute("alter table strict add constraint no_robots check (agent_name <> 'Robot')")
    client = connect(table="strict")
    good, bad = push(call("cloudtalk-1")), push(call("cloudtalk-2", agent_name="Robot"))
    assert types_of(await client.upsert([good, bad])) == [Split, Split]
    assert supabase.rows("strict") == []
    [outcome] = await client.upsert([bad])
    assert isinstance(outcome, Rejected)
    assert outcome.code == "23514"
    assert "no_robots" in (outcome.message or "")
    assert "+34600000001" not in (outcome.message or "")
    assert types_of(await client.upsert([good])) == [Delivered]


async def test_a_null_in_a_column_that_is_not_null_is_rejected(supabase: Supabase, connect: Connect) -> None:
    supabase.create_table("demanding")
    supabase.execute("alter table demanding alter agent_name set not null")
    [outcome] = await connect(table="demanding").upsert([push(call())])
    assert isinstance(outcome, Rejected)
    assert outcome.code == "23502"
    assert "agent_name" in (outcome.message or "")


async def test_a_refused_request_does_not_affect_the_other_requests_of_the_batch(
    supabase: Supabase, connect: Connect
) -> None:
    supabase.create_table("picky")
    client = connect(table="picky")
    await client.upsert([push(call("cloudtalk-1")), push(call("cloudtalk-2"))])
    supabase.execute("alter table picky add constraint short check (length(notes) < 100)")
    outcomes = await client.upsert(
        [
            push(call("cloudtalk-1", version=2, notes="n" * 100), "notes"),
            push(call("cloudtalk-2", version=2, tags=["a"]), "tags"),
        ]
    )
    assert types_of(outcomes) == [Rejected, Delivered]


async def test_an_unknown_table_is_misconfigured(connect: Connect) -> None:
    [outcome] = await connect(table="absent").upsert([push(call())])
    assert isinstance(outcome, Misconfigured)
    assert "no such table" in (outcome.message or "")


async def test_a_missing_column_is_misconfigured(supabase: Supabase, connect: Connect) -> None:
    supabase.create_table("narrow")
    supabase.execute("alter table narrow drop column summary; notify pgrst, 'reload schema'")
    [outcome] = await connect(table="narrow").upsert([push(call())])
    assert isinstance(outcome, Misconfigured)
    assert "summary" in (outcome.message or "")


async def test_a_missing_grant_is_misconfigured(supabase: Supabase, connect: Connect) -> None:
    supabase.create_table("closed")
    supabase.execute("revoke update on closed from service_role")
    [outcome] = await connect(table="closed").upsert([push(call())])
    assert isinstance(outcome, Misconfigured)
    assert outcome.code == "42501"


async def test_a_wrong_key_is_unauthorised_and_is_removed_from_messages(
    supabase: Supabase, connect: Connect
) -> None:
    client = connect(key="sb_secret_wrong")
    echo = JSONResponse({"message": "Invalid API key sb_secret_wrong"}, 401)
    with supabase.gateway.answering(echo):
        [outcome] = await client.upsert([push(call())])
        [finding] = await client.check()
    assert isinstance(outcome, Unauthorised)
    assert "Invalid API key" in (outcome.message or "")
    assert "sb_secret_wrong" not in repr((outcome, finding))
    assert types_of(await client.upsert([push(call())])) == [Unauthorised]


async def test_during_an_outage_one_request_is_sent_and_afterwards_the_calls_are_delivered(
    supabase: Supabase, connect: Connect
) -> None:
    client = connect()
    pushes = [push(call("cloudtalk-1")), push(call("cloudtalk-2"), "notes")]
    with supabase.gateway.down():
        outcomes = await client.upsert(pushes)
    assert types_of(outcomes) == [Retry, Retry]
    assert outcomes[0].code == "unreachable"
    assert types_of(await client.upsert(pushes)) == [Delivered, Delivered]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (JSONResponse({}, 429, {"Retry-After": "7"}), Throttled),
        (PlainTextResponse("<html>", 503, {"Retry-After": "7"}), Retry),
        (JSONResponse({"message": "no"}, 401), Unauthorised),
    ],
)
async def test_a_failure_that_all_requests_would_share_ends_the_batch(
    supabase: Supabase, connect: Connect, answer: Response, outcome: type[Outcome]
) -> None:
    with supabase.gateway.answering(answer):
        outcomes = await connect().upsert([push(call("cloudtalk-1")), push(call("cloudtalk-2"), "notes")])
    assert types_of(outcomes) == [outcome, outcome]
    assert len(supabase.log) == 1
    if isinstance(outcomes[0], Retry | Throttled):
        assert outcomes[0].after == 7


async def test_a_response_that_does_not_confirm_the_upsert_is_misconfigured(
    supabase: Supabase, connect: Connect
) -> None:
    with supabase.gateway.answering(JSONResponse([], 201)):
        [outcome] = await connect().upsert([push(call())])
    assert isinstance(outcome, Misconfigured)
    assert outcome.code == "not_merged"


async def test_a_request_without_a_response_is_unknown_and_the_next_is_not_sent(
    supabase: Supabase, connect: Connect
) -> None:
    client = connect(timeout_seconds=0.3)
    supabase.execute(
        "create or replace function slow() returns trigger language plpgsql as "
        "$$begin perform pg_sleep(1); return new; end$$;"
        "create trigger slow before insert on calls for each row execute function slow()"
    )
    try:
        outcomes = await client.upsert([push(call("cloudtalk-1")), push(call("cloudtalk-2"), "notes")])
    finally:
        supabase.execute("drop trigger slow on calls")
    assert types_of(outcomes) == [Unknown, Retry]
