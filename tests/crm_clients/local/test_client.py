import json
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crm_clients.base import (
    CrmClient,
    Delivered,
    Finding,
    Misconfigured,
    Outcome,
    Outdated,
    Push,
    Rejected,
    Retraction,
    Retry,
    Split,
)
from crm_clients.local import LocalClient, LocalSettings, file
from crm_clients.local.file import create_table_sql
from relay.call import DELIVERED_FIELDS, Call, Status
from tests.support.clients import make_context, make_retraction
from tests.support.relay import crm_rows
from tests.support.samples import ODD_IDS, make_call

ALL = frozenset(DELIVERED_FIELDS)
COLUMNS = [
    *("id", "call_id", "call_uuid", "direction", "status", "from", "to", "external_number"),
    *("internal_number", "contact_id", "contact_name", "agent_id", "agent_name", "agent_email"),
    *("started_at", "answered_at", "ended_at", "response_seconds", "duration_seconds", "talking_seconds"),
    *("waiting_seconds", "wrapup_seconds", "recording_url", "tags", "notes", "transcript", "summary"),
    *("follow_up", "cloudtalkData", "called_back_at", "called_back_by"),
    *("missed_reason", "smart_notes", "version", "updated_at"),
]
"""The documented columns, in order."""


@pytest.fixture
def crm(tmp_path: Path) -> Path:
    return tmp_path / "crm.db"


@pytest.fixture
async def client(crm: Path) -> AsyncIterator[LocalClient]:
    opened = client_of(crm)
    yield opened
    await opened.aclose()


@pytest.fixture
async def impatient(crm: Path) -> AsyncIterator[LocalClient]:
    """A client that waits 20 ms for other users of the file."""
    opened = client_of(crm, timeout_seconds=0.04)
    yield opened
    await opened.aclose()


def client_of(path: Path, **settings: Any) -> LocalClient:
    return LocalClient("crm", LocalSettings(client="local", path=path, **settings), make_context())


def changed_call(call: Call, version: int, **fields: Any) -> tuple[Call, frozenset[str]]:
    """Return the call in a later version, and the changed fields."""
    return msgspec.structs.replace(call, version=version, **fields), frozenset(fields)


async def push(client: CrmClient[Any], call: Call, fields: frozenset[str] = ALL) -> Outcome:
    """Push one call and return its outcome."""
    (outcome,) = await client.upsert([Push(call, fields)])
    return outcome


def edit(crm: Path, sql: str) -> None:
    """Change the file as a person does."""
    with closing(sqlite3.connect(crm)) as connection:
        connection.executescript(sql)


def files_below(folder: Path) -> dict[Path, bytes | None]:
    """Return the content of each file, and None for each folder."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def row_of(crm: Path, id_: str = "cloudtalk-1") -> dict[str, Any]:
    return crm_rows(crm)[id_]


# --- rows ----------------------------------------------------------------------


async def test_the_first_push_writes_every_column(client: LocalClient, crm: Path) -> None:
    call = make_call(
        3,
        direction="inbound",
        call_id="1",
        external_number="+34612345678",
        internal_number="+34910000001",
        contact_name="Begoña Íñiguez 漢字 🎉",
        started_at=1_700_000_000_000_000,
        tags=["vip", "ñ"],
        notes='it\'s\n"quoted"',
    )
    assert await push(client, call) == Delivered(remote_id="cloudtalk-1")
    row = row_of(crm)
    assert list(row) == COLUMNS
    updated_at = datetime.fromisoformat(row.pop("updated_at"))
    assert timedelta() <= datetime.now(UTC) - updated_at < timedelta(seconds=10)
    expected = {
        "id": "cloudtalk-1",
        "call_id": "1",
        "direction": "inbound",
        "status": "En Progreso",
        "from": "+34612345678",
        "to": "+34910000001",
        "external_number": "+34612345678",
        "internal_number": "+34910000001",
        "contact_name": "Begoña Íñiguez 漢字 🎉",
        "started_at": "2023-11-14T22:13:20Z",
        "tags": '["vip","ñ"]',
        "notes": 'it\'s\n"quoted"',
        "follow_up": 0,
        "cloudtalkData": '{"id":"1"}',
        "version": 3,
    }
    assert row == dict.fromkeys(COLUMNS[:-1]) | expected


async def test_follow_up_is_0_or_1_and_durations_are_numbers(client: LocalClient, crm: Path) -> None:
    call = msgspec.structs.replace(
        make_call(),
        follow_up=True,
        duration_seconds=0,
        talking_seconds=61,
        cloudtalk_data={"a": {"b": [None]}},
    )
    await push(client, call)
    row = row_of(crm)
    assert (row["follow_up"], row["duration_seconds"], row["talking_seconds"]) == (1, 0, 61)
    assert (row["tags"], json.loads(row["cloudtalkData"])) == ("[]", {"a": {"b": [None]}})


async def test_a_later_push_writes_only_the_changed_fields(client: LocalClient, crm: Path) -> None:
    call = make_call(contact_name="Ana", notes="from CloudTalk")
    await push(client, call)
    edit(crm, "UPDATE calls SET notes = 'llamar mañana', contact_name = 'Ana María', updated_at = ''")
    assert isinstance(
        await push(client, *changed_call(call, 2, contact_name="Ana Ruiz", follow_up=True)), Delivered
    )
    row = row_of(crm)
    assert (row["contact_name"], row["follow_up"], row["notes"]) == ("Ana Ruiz", 1, "llamar mañana")
    assert row["version"] == 2
    assert row["updated_at"] > "2020"


async def test_every_delivered_field_can_change(client: LocalClient, crm: Path) -> None:
    call = make_call()
    await push(client, call)
    before = row_of(crm)
    values: dict[str, Any] = {
        "status": Status.MISSED,
        "tags": ["a"],
        "follow_up": True,
        "cloudtalk_data": {"id": "2"},
    }
    for number, field in enumerate(DELIVERED_FIELDS, start=2):
        name = "from_" if field == "from" else field
        value = values.get(field, number if field.endswith("seconds") else f"new {field}")
        later = msgspec.structs.replace(call, version=number, **{name: value})
        assert isinstance(await push(client, later, frozenset({field})), Delivered)
    after = row_of(crm)
    assert [column for column in COLUMNS if before[column] == after[column]] == ["id"]
    assert (after["cloudtalkData"], after["status"]) == ('{"id":"2"}', "Perdida")


async def test_a_row_that_a_person_deleted_is_written_whole(client: LocalClient, crm: Path) -> None:
    call = make_call(contact_name="Ana", notes="kept")
    await push(client, call)
    edit(crm, "DELETE FROM calls")
    await push(client, *changed_call(call, 2, contact_name="Ana Ruiz"))
    assert (row_of(crm)["contact_name"], row_of(crm)["notes"]) == ("Ana Ruiz", "kept")


async def test_partial_pushes_keep_what_only_the_row_has(client: LocalClient, crm: Path) -> None:
    whole = make_call(notes="n", tags=["old"], contact_name="Ana")
    whole = msgspec.structs.replace(whole, cloudtalk_data={"caller": "+34", "tags": "old"})
    await push(client, whole)
    before = row_of(crm)
    late = msgspec.structs.replace(make_call(tags=["new"]), cloudtalk_data={"tags": "new", "by": "Bo"})
    known = frozenset({"tags", "cloudtalk_data"})
    for first in (True, False):
        (outcome,) = await client.upsert([Push(late, known, first=first, partial=True)])
        assert outcome == Delivered(remote_id="cloudtalk-1", existed=first)
        after = row_of(crm)
        assert json.loads(after.pop("cloudtalkData")) == {"caller": "+34", "tags": "new", "by": "Bo"}
        assert after == {key: before[key] for key in after} | {
            "tags": '["new"]',
            "updated_at": after["updated_at"],
        }


@pytest.mark.parametrize("text", ["'no JSON'", "'[1]'", "NULL", "x'00ff'"])
async def test_raw_data_that_a_person_replaced_has_no_keys_to_keep(
    client: LocalClient, crm: Path, text: str
) -> None:
    await push(client, make_call())
    edit(crm, f"UPDATE calls SET cloudtalkData = {text}")  # noqa: S608 - a value of this test
    late = msgspec.structs.replace(make_call(), cloudtalk_data={"tags": "new"})
    await client.upsert([Push(late, frozenset({"cloudtalk_data"}), partial=True)])
    assert json.loads(row_of(crm)["cloudtalkData"]) == {"tags": "new"}


async def test_an_older_version_does_not_overwrite_a_newer_one(client: LocalClient, crm: Path) -> None:
    await push(client, make_call(5, contact_name="newer"))
    kept = Delivered(remote_id="cloudtalk-1", newer_version=5, existed=True)
    assert await push(client, make_call(4, contact_name="older")) == kept
    assert (row_of(crm)["contact_name"], row_of(crm)["version"]) == ("newer", 5)


@pytest.mark.parametrize(("delivered", "is_written"), [(3, False), (2, True), (1, True), (0, True)])
async def test_changes_are_not_written_into_a_row_that_lacks_earlier_ones(
    client: LocalClient, crm: Path, delivered: int, is_written: bool
) -> None:
    await push(client, make_call(2, tags=["restored"]))
    before = row_of(crm)
    changed = Push(*changed_call(make_call(), 4, notes="new"), first=False, delivered_version=delivered)
    new = Push(make_call(1, "cloudtalk-2"), ALL)
    outcome, other = await client.upsert([changed, new])
    assert type(outcome) is (Delivered if is_written else Outdated)
    assert other == Delivered(remote_id="cloudtalk-2")
    after = crm_rows(crm)["cloudtalk-1"]
    assert (after["notes"], after["version"]) == (("new", 4) if is_written else (None, 2))
    assert is_written or after == before


@pytest.mark.parametrize(
    "value",
    [
        "NULL",
        "''",
        "'2'",
        "'two'",
        "1e30",
        "-9e999",
        "2.5",
        "-4",
        f"{2**62}",
        f"{2**53}",
        "'12345678901234567890'",
    ],
)
async def test_a_row_with_an_invalid_version_is_updated(client: LocalClient, crm: Path, value: str) -> None:
    call = make_call(2)
    await push(client, call)
    edit(crm, "UPDATE calls SET version = " + value)  # noqa: S608 - a constant of the test
    changed = Push(*changed_call(call, 3, notes="arrived"), first=False, delivered_version=2)
    assert await client.upsert([changed]) == [Delivered(remote_id="cloudtalk-1")]
    assert (row_of(crm)["notes"], row_of(crm)["version"]) == ("arrived", 3)


async def test_a_batch_can_have_new_and_existing_calls(client: LocalClient, crm: Path) -> None:
    known = make_call(notes="kept")
    await push(client, known)
    calls = [
        Push(*changed_call(known, 2, contact_name="Ana"), first=False),
        *(Push(make_call(id=id_), ALL) for id_ in ODD_IDS),
    ]
    outcomes = await client.upsert(calls)
    assert outcomes == [Delivered(remote_id=id_) for id_ in ("cloudtalk-1", *ODD_IDS)]
    assert set(crm_rows(crm)) == {"cloudtalk-1", *ODD_IDS}
    assert (row_of(crm)["contact_name"], row_of(crm)["notes"]) == ("Ana", "kept")


class CountingConnection(sqlite3.Connection):
    """Keeps the first word of each statement that it ran, of `executemany` once."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.statements: list[str] = []

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        self.statements.append(sql.partition(" ")[0])
        return super().execute(sql, *parameters)

    def executemany(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        self.statements.append(sql.partition(" ")[0])
        return super().executemany(sql, *parameters)


async def test_a_batch_is_one_statement_per_set_of_columns(
    client: LocalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect
    opened: list[CountingConnection] = []

    def connect_counting(*arguments: Any, **options: Any) -> sqlite3.Connection:
        opened.append(connect(*arguments, factory=CountingConnection, **options))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", connect_counting)
    await push(client, make_call(id="first"))
    opened[0].statements.clear()
    calls = [make_call(id=str(number)) for number in range(40)]
    await client.upsert([Push(call, ALL) for call in calls])
    assert opened[0].statements == ["BEGIN", "SELECT", "INSERT", "COMMIT"]
    opened[0].statements.clear()
    changes = [
        changed_call(call, 2, notes="n") if number % 2 else changed_call(call, 2, summary="s")
        for number, call in enumerate(calls)
    ]
    await client.upsert([Push(*change, first=False) for change in changes])
    assert opened[0].statements == ["BEGIN", "SELECT", "UPDATE", "UPDATE", "COMMIT"]
    assert len(opened) == 1


async def test_a_file_that_a_person_deleted_is_created_again(client: LocalClient, crm: Path) -> None:
    call = make_call(contact_name="Ana")
    await push(client, call)
    crm.unlink()  # noqa: ASYNC240 - nothing else runs
    assert isinstance(await push(client, *changed_call(call, 2, notes="later")), Delivered)
    assert (row_of(crm)["contact_name"], row_of(crm)["notes"]) == ("Ana", "later")


async def test_a_file_that_a_person_replaced_by_a_backup_is_written_to(
    client: LocalClient, crm: Path
) -> None:
    call = make_call(contact_name="Ana")
    await push(client, call)
    backup = crm.with_name("backup.db")
    with closing(sqlite3.connect(crm)) as now, closing(sqlite3.connect(backup)) as then:
        now.backup(then)
    await push(client, *changed_call(call, 2, notes="lost with the file"))
    for journal in ("crm.db-wal", "crm.db-shm"):
        crm.with_name(journal).unlink()
    os.replace(backup, crm)  # noqa: PTH105 - what mv does
    await push(client, *changed_call(call, 3, summary="arrived"))
    assert (row_of(crm)["contact_name"], row_of(crm)["summary"]) == ("Ana", "arrived")


def remove(path: Path) -> None:
    path.unlink()


def move(path: Path, to: Path) -> None:
    path.rename(to)


def zero_after(path: Path, offset: int) -> None:
    """Overwrite a file with zeros from this offset on."""
    content = path.read_bytes()
    path.write_bytes(content[:offset] + bytes(len(content) - offset))


async def test_a_file_that_is_removed_during_the_write_is_a_retry(
    client: LocalClient, crm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await push(client, make_call(id="before"))
    insert = file._insert

    def insert_and_remove(*arguments: Any) -> None:
        insert(*arguments)
        crm.unlink(missing_ok=True)

    with monkeypatch.context() as broken:
        broken.setattr(file, "_insert", insert_and_remove)
        outcomes = await client.upsert([Push(make_call(id=id_), ALL) for id_ in ("a", "b")])
    assert [type(outcome) for outcome in outcomes] == [Retry, Retry]
    assert isinstance(await push(client, make_call(id="a")), Delivered)
    assert list(crm_rows(crm)) == ["a"]


async def test_rows_survive_although_the_wal_was_removed(client: LocalClient, crm: Path) -> None:
    await push(client, make_call(id="before"))
    remove(crm.with_name("crm.db-wal"))
    assert isinstance(await push(client, make_call(id="after")), Delivered)
    assert list(crm_rows(crm)) == ["before", "after"]


async def test_the_wal_of_a_renamed_file_is_not_applied_to_its_successor(
    client: LocalClient, crm: Path
) -> None:
    for id_ in ("a", "b"):
        await push(client, make_call(id=id_))
    backup = crm.with_name("backup.db")
    with closing(sqlite3.connect(crm)) as now, closing(sqlite3.connect(backup)) as then:
        now.backup(then)
    await push(client, make_call(id="c", notes="x" * 20_000))
    move(crm, crm.with_name("renamed.db"))  # its WAL stays
    move(backup, crm)
    assert isinstance(await push(client, make_call(id="d")), Delivered)
    assert list(crm_rows(crm)) == ["a", "b", "d"]
    assert list(crm_rows(crm.with_name("renamed.db"))) == ["a", "b", "c"]


async def test_a_damaged_file_is_misconfigured_until_it_is_replaced(client: LocalClient, crm: Path) -> None:
    for number in range(50):
        await push(client, make_call(id=str(number), notes="x" * 2_000))
    await client.aclose()
    zero_after(crm, 8_192)
    damaged = client_of(crm)
    outcome = await push(damaged, make_call(id="late"))
    assert isinstance(outcome, Misconfigured)
    assert "malformed" in (outcome.message or "")
    assert "relay replay" in (outcome.message or "")
    remove(crm)
    assert isinstance(await push(damaged, make_call(id="late")), Delivered)
    await damaged.aclose()


# --- labels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "label"),
    [
        ("in_progress", "En Progreso"),
        ("answered", "Completada"),
        ("completed", "Completada"),
        ("missed", "Perdida"),
        ("voicemail", "Perdida"),
        ("no_answer", "Perdida"),
    ],
)
async def test_the_status_column_has_the_default_label(
    client: LocalClient, crm: Path, status: str, label: str
) -> None:
    await push(client, msgspec.structs.replace(make_call(), status=Status(status)))
    assert row_of(crm)["status"] == label


async def test_the_labels_of_the_settings_come_first(crm: Path) -> None:
    client = client_of(crm, labels={"voicemail": "Buzón"})
    for id_, status in (("a", Status.VOICEMAIL), ("b", Status.MISSED)):
        await push(client, msgspec.structs.replace(make_call(id=id_), status=status))
    await client.aclose()
    assert {id_: row["status"] for id_, row in crm_rows(crm).items()} == {"a": "Buzón", "b": "Perdida"}


# --- failures -----------------------------------------------------------------


TABLE = create_table_sql(LocalSettings(client="local", path=Path("crm.db")).columns)
CONSTRAINTS = {
    "check": TABLE.replace('"contact_name" TEXT', "\"contact_name\" TEXT CHECK (contact_name <> 'poison')"),
    "not null": TABLE.replace('"contact_name" TEXT', '"contact_name" TEXT NOT NULL'),
    **{
        f"trigger {action}": TABLE
        + f"""; CREATE TRIGGER guard BEFORE INSERT ON calls WHEN NEW.contact_name = 'poison'
                BEGIN SELECT RAISE({action}, 'not in my table'); END"""
        for action in ("ABORT", "FAIL", "ROLLBACK")
    },
}


@pytest.mark.parametrize("constraint", CONSTRAINTS)
async def test_a_constraint_in_the_file_rejects_its_row_and_no_other(
    client: LocalClient, crm: Path, constraint: str
) -> None:
    edit(crm, CONSTRAINTS[constraint])
    name = None if constraint == "not null" else "poison"
    good, bad = make_call(id="good", contact_name="Ana"), make_call(id="bad", contact_name=name)
    together = await client.upsert([Push(good, ALL), Push(bad, ALL)])
    assert [type(outcome) for outcome in together] == [Split, Split]
    assert crm_rows(crm) == {}
    alone = await push(client, bad)
    assert isinstance(alone, Rejected)
    assert (alone.code or "").startswith("SQLITE_CONSTRAINT")
    assert ("contact_name" if "trigger" not in constraint else "not in my table") in (alone.message or "")
    assert isinstance(await push(client, good), Delivered)
    assert list(crm_rows(crm)) == ["good"]


async def test_a_missing_column_is_misconfigured_and_the_message_names_relay_check(
    client: LocalClient, crm: Path
) -> None:
    await push(client, make_call())
    edit(crm, "ALTER TABLE calls DROP COLUMN summary")
    for call in (make_call(id="new"), make_call(2)):
        outcome = await push(client, call)
        assert isinstance(outcome, Misconfigured)
        assert "summary" in (outcome.message or "")
        assert "relay check" in (outcome.message or "")
    assert list(crm_rows(crm)) == ["cloudtalk-1"]


async def test_a_missing_table_is_misconfigured(client: LocalClient, crm: Path) -> None:
    await push(client, make_call())
    edit(crm, "DROP TABLE calls")
    assert isinstance(await push(client, make_call(2)), Misconfigured)


async def test_a_locked_file_is_a_retry(impatient: LocalClient, crm: Path) -> None:
    await impatient.setup()
    with closing(sqlite3.connect(crm, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await push(impatient, make_call()) == Retry(code="SQLITE_BUSY", message="database is locked")
        other.execute("ROLLBACK")
    assert isinstance(await push(impatient, make_call()), Delivered)


async def test_a_reader_does_not_block_the_client(client: LocalClient, crm: Path) -> None:
    await push(client, make_call(id="before"))
    with closing(sqlite3.connect(crm, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM calls").fetchone() == (1,)
        assert isinstance(await push(client, make_call(id="meanwhile")), Delivered)
        assert reader.execute("SELECT count(*) FROM calls").fetchone() == (1,)


def below_a_file(folder: Path) -> Path:
    """Return a path that nobody can write, not even root."""
    (folder / "file").write_text("in the way")
    return folder / "file" / "crm.db"


def not_a_database(folder: Path) -> Path:
    path = folder / "crm.db"
    path.write_text("Dear diary, " * 100)
    return path


def a_folder(folder: Path) -> Path:
    path = folder / "crm.db"
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("make_path", "expected"), [(below_a_file, Retry), (not_a_database, Misconfigured), (a_folder, Retry)]
)
async def test_a_file_that_cannot_be_opened_fails_and_is_a_finding_of_check(
    tmp_path: Path, make_path: Any, expected: type
) -> None:
    path = make_path(tmp_path)
    client = client_of(path)
    outcomes = await client.upsert([Push(make_call(id=id_), ALL) for id_ in ("a", "b")])
    assert [type(outcome) for outcome in outcomes] == [expected, expected]
    (finding,) = await client.check()
    await client.aclose()
    assert (finding.name, finding.ok, finding.code) == ("crm", False, "unreachable")
    assert str(path) in (finding.problem or "")
    assert "folder" in (finding.hint or "")


# --- check and setup ------------------------------------------------------------------------------


async def test_check_is_ok_if_the_file_does_not_exist_yet_and_creates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "not" / "yet" / "crm.db"
    client = client_of(path)
    (finding,) = await client.check()
    await client.aclose()
    assert msgspec.to_builtins(finding) == {
        "name": "crm",
        "ok": True,
        "code": "not_created",
        "problem": None,
        "hint": f"the first call creates {path}, as does `relay setup crm`",
    }
    assert files_below(tmp_path) == {}


async def test_check_of_an_existing_file_changes_nothing(crm: Path) -> None:
    marking = client_of(crm, on_merge="mark")
    edit(crm, TABLE)
    os.chmod(crm, 0o600)  # noqa: PTH101 - short
    before = files_below(crm.parent)
    (finding,) = await marking.check()
    await marking.aclose()
    assert finding.ok
    assert files_below(crm.parent) == before


async def test_check_names_a_missing_table_until_setup_creates_it(client: LocalClient, crm: Path) -> None:
    edit(crm, "CREATE TABLE other (id)")
    (finding,) = await client.check()
    assert (finding.ok, finding.code, finding.hint) == (
        False,
        "unknown_table",
        "`relay setup crm` creates it",
    )
    assert finding.problem == f"the table calls in {crm} is missing"
    await client.setup()
    assert (await client.check())[0] == Finding(name="crm", ok=True)


async def test_a_file_that_another_writer_keeps_locked_is_a_finding(
    impatient: LocalClient, crm: Path
) -> None:
    await impatient.setup()
    with closing(sqlite3.connect(crm, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        (finding,) = await impatient.check()
    assert (finding.code, finding.problem) == (
        "unreachable",
        f"{crm} cannot be opened: database is locked",
    )


async def test_check_names_missing_columns_and_the_sql_in_the_hint_adds_them(
    client: LocalClient, crm: Path
) -> None:
    await client.setup()
    edit(crm, "ALTER TABLE calls DROP COLUMN tags; ALTER TABLE calls DROP COLUMN follow_up")
    (finding,) = await client.check()
    assert (finding.ok, finding.code) == (False, "missing_column")
    assert (finding.problem or "").endswith("lacks tags, follow_up")
    edit(crm, (finding.hint or "").partition("as does ")[2])
    assert (await client.check())[0].ok
    assert isinstance(await push(client, make_call()), Delivered)


async def test_other_users_cannot_read_the_files_and_check_names_those_that_they_can(tmp_path: Path) -> None:
    path = tmp_path / "crm" / "calls.db"
    before = os.umask(0)
    client = client_of(path)
    await push(client, make_call())
    os.umask(before)
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["calls.db", "calls.db-shm", "calls.db-wal"]
    assert [file.stat().st_mode & 0o777 for file in [path.parent, *files]] == [0o700, 0o600, 0o600, 0o600]
    assert [finding.code for finding in await client.check()] == [None]
    path.chmod(0o644)
    path.parent.chmod(0o707)
    ok, readable, writable = await client.check()
    await client.aclose()
    assert (ok.problem, readable.ok, readable.code) == (None, True, "readable_data")
    assert (readable.hint or "").startswith(f"chmod 600 {path}, ")
    assert (writable.name, writable.code) == (readable.name, "writable_path")
    assert (writable.hint or "").startswith(f"chmod go-w {path.parent}, ")


async def test_setup_creates_folder_and_table_and_is_idempotent(tmp_path: Path) -> None:
    path = tmp_path / "not" / "yet" / "crm.db"
    client = client_of(path)
    lines = await client.setup()
    assert lines == [f"the table calls is in {path}"]
    await push(client, make_call(notes="kept"))
    assert await client.setup() == lines
    assert row_of(path)["notes"] == "kept"
    await client.aclose()


async def test_setup_adds_the_columns_that_are_missing(client: LocalClient, crm: Path) -> None:
    await push(client, make_call(notes="kept"))
    edit(crm, "ALTER TABLE calls DROP COLUMN tags")
    assert (await client.setup())[1:] == ["added its column tags"]
    assert (await client.check())[0].ok
    assert row_of(crm)["notes"] == "kept"


async def test_columns_of_a_later_version_are_added_to_a_file_of_an_earlier_one(crm: Path) -> None:
    """An upgrade stops no delivery. `notes` was there from the first version on: a person removed it."""
    later = client_of(crm, fields={"smart_notes": "ai_notes"}, on_merge="mark")
    await push(later, make_call())
    await later.aclose()
    for column in ("missed_reason", "ai_notes", "merged_into"):
        edit(crm, f"ALTER TABLE calls DROP COLUMN {column}")
    later = client_of(crm, fields={"smart_notes": "ai_notes"}, on_merge="mark")
    assert (await later.check())[0].ok
    assert isinstance(await push(later, *changed_call(make_call(2), 2, missed_reason="busy")), Delivered)
    await later.aclose()
    row = row_of(crm)
    assert (row["missed_reason"], row["ai_notes"], row["merged_into"]) == ("busy", None, None)


async def test_the_setup_text_creates_the_same_table_as_setup(client: LocalClient, crm: Path) -> None:
    await client.setup()
    other = crm.with_name("other.db")
    edit(other, client.setup_text())
    assert columns_of(other) == columns_of(crm)
    assert [name for name, _, _ in columns_of(crm)] == COLUMNS
    assert [name for name, _, primary in columns_of(crm) if primary] == ["id"]


def columns_of(path: Path) -> list[tuple[str, str, int]]:
    with closing(sqlite3.connect(path)) as connection:
        return [(row[1], row[2], row[5]) for row in connection.execute("PRAGMA table_info(calls)")]


# --- retracting, forgetting, missing ---------------------------------------------------------------------


async def test_only_the_retracted_call_is_deleted(client: LocalClient, crm: Path) -> None:
    for id_ in ("cloudtalk-1", "cloudtalk-2"):
        await push(client, make_call(id=id_))
    retractions = [
        make_retraction("cloudtalk-1", "cloudtalk-2", 2),
        make_retraction("cloudtalk-never-was", "cloudtalk-2", 2),
    ]
    assert [outcome.name for outcome in await client.retract(retractions)] == ["delivered", "delivered"]
    assert set(crm_rows(crm)) == {"cloudtalk-2"}


async def test_a_retracted_call_is_marked_if_on_merge_is_mark(client: LocalClient, crm: Path) -> None:
    await push(client, make_call())
    marking = client_of(crm, on_merge="mark")
    try:
        await marking.retract([make_retraction("cloudtalk-1", "cloudtalk-2", 2)])
    finally:
        await marking.aclose()
    row = crm_rows(crm)["cloudtalk-1"]
    assert (row["merged_into"], row["version"]) == ("cloudtalk-2", 2)


async def test_a_retraction_without_merged_into_deletes_the_row_even_if_on_merge_is_mark(
    crm: Path,
) -> None:
    marking = client_of(crm, on_merge="mark")
    for id_ in ("cloudtalk-1", "cloudtalk-2"):
        await push(marking, make_call(id=id_))
    await marking.retract([Retraction(make_call(2)), make_retraction("cloudtalk-2", "cloudtalk-3", 2)])
    await marking.aclose()
    assert {id_: row["merged_into"] for id_, row in crm_rows(crm).items()} == {"cloudtalk-2": "cloudtalk-3"}


async def test_a_forgotten_call_is_erased_from_the_file_and_its_journal(
    client: LocalClient, crm: Path
) -> None:
    for id_, number in (("cloudtalk-1", "+34612345678"), ("cloudtalk-2", "+34699999999")):
        await push(client, make_call(id=id_, external_number=number))
    assert await client.forget([Retraction(make_call())]) == [Delivered(remote_id="cloudtalk-1")]
    bytes_ = b"".join(path.read_bytes() for path in crm.parent.glob("crm.db*"))
    assert b"+34612345678" not in bytes_
    assert b"+34699999999" in bytes_


async def test_forgetting_is_a_retry_while_a_reader_uses_the_journal(
    impatient: LocalClient, crm: Path
) -> None:
    await push(impatient, make_call())
    with closing(sqlite3.connect(crm, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM calls").fetchone()
        [outcome] = await impatient.forget([Retraction(make_call())])
    assert isinstance(outcome, Retry)
    assert "journal" in (outcome.message or "")
    assert isinstance((await impatient.forget([Retraction(make_call())]))[0], Delivered)


# --- mapping ------------------------------------------------------------------------------


async def test_fields_are_written_to_the_columns_of_the_settings(crm: Path) -> None:
    client = client_of(
        crm,
        fields={
            "external_number": "teléfono",
            "status": "Estado actual",
            "state": "estado",
            "transcript": "",
        },
        constants={"source": "CloudTalk", "team": 7, "paid": True, "share": 0.5},
    )
    call = make_call(external_number="+34612345678")
    await push(client, call)
    await push(client, *changed_call(call, 2, status=Status.MISSED, transcript="nowhere"))
    assert (await client.check())[0].ok
    await client.aclose()
    row = row_of(crm)
    assert (row["teléfono"], row["Estado actual"], row["estado"]) == ("+34612345678", "Perdida", "missed")
    assert (row["source"], row["team"], row["paid"], row["share"]) == ("CloudTalk", 7, 1, 0.5)
    assert {"external_number", "status", "transcript"}.isdisjoint(row)
    assert [column for column in COLUMNS if column in row] == [
        column for column in COLUMNS if column not in {"external_number", "status", "transcript"}
    ]


async def test_a_person_can_change_a_constant(crm: Path) -> None:
    client = client_of(crm, constants={"source": "CloudTalk"})
    call = make_call()
    await push(client, call)
    edit(crm, "UPDATE calls SET source = 'Ana'")
    await push(client, *changed_call(call, 2, notes="later"))
    await client.aclose()
    assert (row_of(crm)["source"], row_of(crm)["notes"]) == ("Ana", "later")


async def test_a_field_that_is_renamed_later_needs_its_new_column(client: LocalClient, crm: Path) -> None:
    await push(client, make_call())
    other = client_of(crm, fields={"notes": "remarks"}, constants={"team": 7})
    assert isinstance(await push(other, make_call(2)), Misconfigured)
    assert (await other.check())[0].problem == f"the table calls in {crm} lacks remarks, team"
    assert (await other.setup())[1:] == ["added its column remarks", "added its column team"]
    await push(other, *changed_call(make_call(2), 3, notes="here"))
    await other.aclose()
    assert (row_of(crm)["remarks"], row_of(crm)["notes"]) == ("here", None)


async def test_a_call_that_is_twice_in_a_batch_is_one_row_with_all_changes(
    client: LocalClient, crm: Path
) -> None:
    call = make_call(notes="first", summary="first")
    await push(client, call)
    newer, older = changed_call(call, 3, notes="newest"), changed_call(call, 2, summary="second")
    both = msgspec.structs.replace(newer[0], summary="second")
    outcomes = await client.upsert([Push(both, newer[1], first=False), Push(*older, first=False)])
    assert [outcome.name for outcome in outcomes] == ["delivered", "delivered"]
    row = row_of(crm)
    assert (row["notes"], row["summary"], row["version"]) == ("newest", "second", 3)
