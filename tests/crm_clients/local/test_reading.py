"""`read` of the embedded CRM: what is missing, doubled or different."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crm_clients.base import Misconfigured, Push, Retraction, Retry, Stored
from crm_clients.local import LocalClient, LocalSettings
from relay.call import DELIVERED_FIELDS, Call, Status
from tests.support.clients import make_context, make_retraction
from tests.support.samples import ODD_IDS, make_call

ALL = frozenset(DELIVERED_FIELDS)


@pytest.fixture
def crm(tmp_path: Path) -> Path:
    return tmp_path / "crm.db"


@pytest.fixture
async def client(crm: Path) -> AsyncIterator[LocalClient]:
    opened = client_of(crm)
    yield opened
    await opened.aclose()


def client_of(path: Path, **settings: Any) -> LocalClient:
    return LocalClient("crm", LocalSettings(client="local", path=path, **settings), make_context())


def push(call: Call) -> Push:
    return Push(call, ALL)


def edit(crm: Path, sql: str) -> None:
    with closing(sqlite3.connect(crm)) as connection:
        connection.executescript(sql)


async def test_a_written_row_is_as_it_was_written(client: LocalClient) -> None:
    call = make_call(
        notes="a\x00b", tags=["vip"], follow_up=True, cloudtalk_data={"b": 1, "a": [2]}, status=Status.MISSED
    )
    await client.upsert([push(call)])
    assert await client.read([push(call)]) == {call.id: [Stored(call.id, 1)]}


async def test_absent_rows_are_absent_and_the_file_is_not_created(client: LocalClient, crm: Path) -> None:
    pushes = [push(make_call(id=id_, call_uuid=None)) for id_ in ("a", "b", *ODD_IDS)]
    assert await client.read(pushes) == {}
    assert not list(crm.parent.iterdir())
    await client.upsert(pushes)
    edit(crm, "DELETE FROM calls WHERE id = 'b'")
    assert await client.read(pushes) == {id_: [Stored(id_, 1)] for id_ in ("a", *ODD_IDS)}


async def test_what_people_changed_and_an_older_version_are_reported(client: LocalClient, crm: Path) -> None:
    await client.upsert([push(make_call(3, notes="ours", tags=["a"]))])
    edit(crm, """UPDATE calls SET notes = 'theirs', tags = '["b"]', version = 2, updated_at = ''""")
    found = await client.read([push(make_call(3, notes="ours", tags=["a"]))])
    assert found == {"cloudtalk-1": [Stored("cloudtalk-1", 2, frozenset({"notes", "tags"}))]}


async def test_only_the_asked_fields_are_compared(client: LocalClient, crm: Path) -> None:
    await client.upsert([push(make_call(call_uuid="u"))])
    edit(
        crm,
        "UPDATE calls SET notes = 'theirs', contact_name = 'theirs';"
        "INSERT INTO calls (id, call_uuid) VALUES ('copy', 'u')",
    )
    notes, nothing = Push(make_call(call_uuid="u"), frozenset({"notes"})), Push(make_call(), frozenset())
    assert await client.read([notes]) == {
        "cloudtalk-1": [Stored("cloudtalk-1", 1, frozenset({"notes"})), Stored("copy", 0)]
    }
    assert await client.read([nothing]) == {"cloudtalk-1": [Stored("cloudtalk-1", 1)]}


async def test_both_columns_of_the_status_are_the_status(crm: Path) -> None:
    client = client_of(crm, fields={"state": "state"}, constants={"source": "relay"})
    await client.upsert([push(make_call())])
    edit(crm, "UPDATE calls SET state = 'theirs', source = 'Ana'")
    [stored] = _records(await client.read([push(make_call())]))
    assert stored.different == {"status"}
    await client.aclose()


async def test_copied_rows_are_doubles_and_rows_of_other_calls_are_not(
    client: LocalClient, crm: Path
) -> None:
    first = make_call(call_id="7", call_uuid="u")
    other = make_call(id="cloudtalk-2", call_id="8", call_uuid="u")
    await client.upsert([push(first), push(other)])
    edit(
        crm,
        "INSERT INTO calls (id, call_id, version) VALUES ('copy', '7', 4);"
        "INSERT INTO calls (id, call_id, call_uuid) VALUES ('both', '7', 'u'), ('stranger', '9', 'v')",
    )
    found = await client.read([push(first), push(other)])
    assert isinstance(found, dict)
    assert {s.remote_id for s in found[first.id][1:]} | {s.remote_id for s in found[other.id][1:]} == {
        "copy",
        "both",
    }
    assert Stored("copy", 4) in found[first.id]


async def test_a_marked_row_is_no_double(crm: Path) -> None:
    client = client_of(crm, on_merge="mark")
    merged, call = make_call(id="merged", call_uuid="u"), make_call(call_uuid="u")
    await client.upsert([push(merged), push(call)])
    mark = make_retraction("merged", call.id, 2)
    await client.retract([Retraction(msgspec.structs.replace(mark.call, call_uuid="u"))])
    assert await client.read([push(call)]) == {call.id: [Stored(call.id, 1)]}
    await client.aclose()


async def test_a_file_that_cannot_be_read_is_an_outcome(crm: Path, client: LocalClient) -> None:
    (crm.parent / "file").write_text("")
    below = client_of(crm.parent / "file" / "crm.db")
    assert isinstance(await below.read([push(make_call())]), Retry)
    await below.aclose()
    await client.upsert([push(make_call())])
    edit(crm, "ALTER TABLE calls DROP COLUMN notes")
    assert isinstance(await client.read([push(make_call())]), Misconfigured)


def _records(found: Any) -> list[Stored]:
    assert isinstance(found, dict)
    return [record for records in found.values() for record in records]
