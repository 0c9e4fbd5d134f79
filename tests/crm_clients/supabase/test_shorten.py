"""A record that is too large for the database is delivered without its largest texts."""

import random
import string
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.responses import JSONResponse, PlainTextResponse, Response

from crm_clients.base import Delivered, Outcome, Push, Rejected, Split
from crm_clients.supabase.shorten import LEFT_OUT, find_largest, leave_out
from tests.support.supabase import Connect, Supabase
from tests.support.supabase_calls import BASE, call, push, types_of

SPOKEN = " ".join("".join(random.Random(n).choices(string.ascii_lowercase, k=8)) for n in range(4_000))
"""A text that PostgreSQL cannot compress to a few bytes."""

FIELDS = ("cloudtalk_data", "transcript", "summary", "notes", "tags")


@pytest.fixture
def narrow(supabase: Supabase) -> Iterator[Supabase]:
    """A project with the table `narrow`; indexes limit the size of its values (54000)."""
    supabase.create_table("narrow_rows")
    yield supabase
    supabase.execute("drop table narrow_rows")


def limit(project: Supabase, *columns: str) -> None:
    for column in columns:
        project.execute(f"create index on narrow_rows (({column}::text))")


def texts(**values: Any) -> dict[str, Any]:
    return {"transcript": SPOKEN, "cloudtalk_data": {"text": SPOKEN * 2}} | values


@pytest.mark.parametrize("limited", [["transcript"], ["cloudtalk_data"], ["transcript", "cloudtalk_data"]])
async def test_a_large_record_is_delivered_without_its_largest_texts(
    narrow: Supabase, connect: Connect, limited: list[str]
) -> None:
    limit(narrow, *limited)
    [outcome] = await connect(table="narrow_rows").upsert([push(call(**texts()))])
    assert isinstance(outcome, Delivered)
    assert (outcome.remote_id, outcome.code) == ("cloudtalk-1", "shortened")
    [row] = narrow.rows("narrow_rows")
    assert (row["status"], row["notes"], row["summary"]) == ("Perdida", BASE.notes, None)
    for column in limited:
        assert column in (outcome.message or "")
        assert LEFT_OUT in str(row[column])


@pytest.mark.parametrize(
    ("field", "value"), [("notes", SPOKEN), ("summary", SPOKEN), ("tags", SPOKEN.split())]
)
async def test_any_long_text_can_be_left_out_of_a_changed_row_and_the_others_stay(
    narrow: Supabase, connect: Connect, field: str, value: Any
) -> None:
    client = connect(table="narrow_rows")
    before = call(**texts())
    assert [outcome.code for outcome in await client.upsert([push(before)])] == [None]
    limit(narrow, field)
    [outcome] = await client.upsert([push(call(**texts(**{field: value}), version=2), field)])
    assert (type(outcome), outcome.code) == (Delivered, "shortened")
    assert f"without {field}, " in (outcome.message or "")
    [row] = narrow.rows("narrow_rows")
    assert LEFT_OUT in str(row[field])
    assert (row["transcript"], row["version"]) == (SPOKEN, 2)


async def test_a_deleted_row_that_is_too_large_is_delivered_without_unchanged_texts(
    narrow: Supabase, connect: Connect
) -> None:
    limit(narrow, "transcript")
    [outcome] = await connect(table="narrow_rows").upsert([push(call(**texts()), "tags")])
    assert (type(outcome), outcome.code) == (Delivered, "shortened")
    [row] = narrow.rows("narrow_rows")
    assert (row["transcript"], row["tags"]) == (LEFT_OUT, BASE.tags)


async def test_a_batch_with_a_large_record_is_split(narrow: Supabase, connect: Connect) -> None:
    limit(narrow, "transcript")
    pushes = [push(call("cloudtalk-1", **texts())), push(call("cloudtalk-2"))]
    client = connect(table="narrow_rows")
    assert types_of(await client.upsert(pushes)) == [Split, Split]
    assert [o.code for p in pushes for o in await client.upsert([p])] == ["shortened", None]


async def test_a_record_whose_other_columns_are_too_large_is_rejected(
    narrow: Supabase, connect: Connect
) -> None:
    limit(narrow, "contact_name")
    [outcome] = await connect(table="narrow_rows").upsert([push(call(contact_name=SPOKEN, **texts()))])
    assert (type(outcome), outcome.code) == (Rejected, "54000")
    assert narrow.rows("narrow_rows") == []


async def test_in_the_layout_kv_the_data_of_a_large_record_is_left_out(
    supabase: Supabase, connect: Connect
) -> None:
    supabase.create_kv("narrow_values")
    supabase.execute("create index on narrow_values ((value::text))")
    [outcome] = await connect(layout="kv", table="narrow_values").upsert([push(call(**texts()))])
    assert (type(outcome), outcome.code) == (Delivered, "shortened")
    [record] = supabase.values("narrow_values").values()
    assert LEFT_OUT in str(record["cloudtalkData"])
    assert record["estado"] == "Perdida"
    supabase.execute("drop table narrow_values")


REFUSALS = [
    JSONResponse({"code": "54000", "message": "index row size 3000 exceeds maximum 2704"}, 500),
    JSONResponse({"code": "54000", "message": "string is too long for tsvector"}, 413),
    JSONResponse({"code": "54001", "message": "stack depth limit exceeded"}, 500),
    PlainTextResponse("<html>413 Request Entity Too Large</html>", 413),
]


@pytest.mark.parametrize("layout", ["table", "kv"])
@pytest.mark.parametrize("refusal", REFUSALS, ids=["newer", "12", "depth", "gateway"])
async def test_every_refusal_for_the_size_shortens_the_record(
    supabase: Supabase, connect: Connect, refusal: Response, layout: str
) -> None:
    supabase.execute("truncate kv_store_d03ded2a")
    reads = 1 if layout == "kv" else 0
    with supabase.gateway.answering(refusal, after=reads, times=1):
        [outcome] = await connect(layout=layout).upsert([push(call(**texts()))])
    assert (type(outcome), outcome.code) == (Delivered, "shortened")
    assert "without cloudtalk_data, because" in (outcome.message or "")


async def test_a_record_without_long_texts_is_rejected_at_once(supabase: Supabase, connect: Connect) -> None:
    with supabase.gateway.answering(REFUSALS[0]):
        [outcome] = await connect().upsert([push(call())])
    assert (type(outcome), outcome.code) == (Rejected, "54000")
    assert len(supabase.log) == 1


async def test_a_record_is_rejected_if_it_is_too_large_without_all_its_texts(
    supabase: Supabase, connect: Connect
) -> None:
    large: dict[str, Any] = {field: SPOKEN for field in FIELDS if field not in {"tags", "cloudtalk_data"}}
    this: Push = push(call(**large, tags=[SPOKEN], cloudtalk_data={"a": SPOKEN}))
    with supabase.gateway.answering(REFUSALS[0]):
        outcomes: list[Outcome] = await connect().upsert([this])
    assert (types_of(outcomes), outcomes[0].code) == ([Rejected], "54000")
    assert len(supabase.log) == 1 + len(FIELDS)


# --- which text is left out -----------------------------------------------------------------------

lengths = st.fixed_dictionaries(
    {field: st.integers(0, 3_000) for field in ("transcript", "summary", "notes")}
)


@given(lengths)
@example({"transcript": 0, "summary": 499, "notes": 500})
@example({"transcript": 600, "summary": 602, "notes": 604})
def test_the_largest_text_is_left_out_first_and_small_ones_never(lengths: dict[str, int]) -> None:
    this = call(**{field: "x" * length for field, length in lengths.items()})
    removed = []
    while field := find_largest(this, FIELDS):
        removed.append(lengths[field])
        this = leave_out(this, field)
    assert removed == sorted(removed, reverse=True)
    kept = [length for field, length in lengths.items() if getattr(this, field) != LEFT_OUT]
    assert all(length < 500 for length in kept)
    assert all(length > 450 for length in removed)


def test_only_the_named_fields_are_left_out() -> None:
    this = call(**texts())
    assert find_largest(this, {"transcript", "status"}) == "transcript"
    assert find_largest(this, {"contact_name"}) is None
    assert find_largest(this, set()) is None
