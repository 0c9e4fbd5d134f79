"""Which relays may use which schema. Real processes of two versions are in `tests/upgrade`."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from relay.instants import SECOND, Instant
from relay.ledger import HEAD, SchemaError, engine, relays
from relay.ledger.clocks import wall_clock
from relay.ledger.compatibility import COMPATIBLE_FROM, require_compatible, require_no_older_relay
from relay.ledger.engine import migrate, open_engine, transaction
from relay.ledger.process_identity import owner_name
from relay.ledger.relays import RelayRow

OTHER_HOST = "other.example/7/1"
NEXT, LATER = (f"{int(HEAD) + number:04}" for number in (1, 2))
"""The schemas of later releases."""


@pytest.fixture
def opened(ledger_url: str) -> Iterator[Engine]:
    opened = open_engine(ledger_url)
    migrate(opened)
    yield opened
    opened.dispose()


def set_schema(opened: Engine, version: str, compatible_from: str) -> None:
    with opened.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": version})
        connection.execute(
            text("UPDATE schema_compatibility SET compatible_from = :c"), {"c": compatible_from}
        )


def read_schema(opened: Engine) -> list[tuple[str, str]]:
    with opened.begin() as connection:
        found = connection.execute(
            text("SELECT version_num, compatible_from FROM alembic_version, schema_compatibility")
        )
        return [(version, compatible_from) for version, compatible_from in found]


def renew(opened: Engine, owner: str, schema_version: str, *, age_seconds: float = 0) -> None:
    at = Instant(wall_clock() - int(age_seconds * SECOND))
    row = RelayRow(owner, owner.split("/", maxsplit=1)[0], 7, at, at, schema_version)
    with transaction(opened) as connection:
        relays.renew(connection, row)


def test_a_new_ledger_says_from_which_schema_on_relays_work_with_it(opened: Engine) -> None:
    assert read_schema(opened) == [(HEAD, COMPATIBLE_FROM)]
    assert COMPATIBLE_FROM <= HEAD


def test_a_relay_accepts_a_newer_schema_that_is_compatible_from_its_own(opened: Engine) -> None:
    set_schema(opened, "9999", HEAD)
    assert migrate(opened) == ("9999", "9999")
    assert read_schema(opened) == [("9999", HEAD)]


@pytest.mark.parametrize("compatible_from", [NEXT, "9999"])
def test_a_relay_refuses_a_newer_schema_that_is_not(opened: Engine, compatible_from: str) -> None:
    set_schema(opened, "9999", compatible_from)
    with pytest.raises(
        SchemaError, match=rf"has schema 9999, .*\(schema {HEAD}\) does not work; run the version"
    ):
        migrate(opened)
    assert read_schema(opened) == [("9999", compatible_from)]


def test_without_a_statement_a_newer_schema_is_incompatible(opened: Engine) -> None:
    with opened.begin() as connection:
        connection.execute(text("DELETE FROM schema_compatibility"))
    with transaction(opened, read_only=True) as reader, pytest.raises(SchemaError, match="does not work"):
        require_compatible(reader, opened.url, found="9999", own="9998")


@pytest.fixture
def next_release(opened: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process becomes a relay with whose schema relays of today do not work."""
    assert read_schema(opened) == [(HEAD, COMPATIBLE_FROM)]
    monkeypatch.setattr(engine, "HEAD", LATER)
    monkeypatch.setattr(engine, "COMPATIBLE_FROM", NEXT)

    def upgrade(connection: object, _url: object, _before: str) -> None:
        statement = text("UPDATE alembic_version SET version_num = :later")
        connection.execute(statement, {"later": LATER})  # type: ignore[attr-defined]

    monkeypatch.setattr(engine, "_upgrade", upgrade)


@pytest.mark.usefixtures("next_release")
def test_an_incompatible_migration_does_not_run_while_an_older_relay_runs(opened: Engine) -> None:
    renew(opened, OTHER_HOST, NEXT)
    renew(opened, "old.example/9/1", HEAD)
    with pytest.raises(SchemaError) as raised:
        migrate(opened)
    assert str(raised.value).endswith(
        f"is used by a relay with schema {HEAD} (host old.example, process 7), which does not work with"
        f" schema {LATER}; stop all relays with a schema before {NEXT} and start this one again (of another"
        " host that was lost: after 35 seconds)"
    )
    assert read_schema(opened) == [(HEAD, COMPATIBLE_FROM)]


@pytest.mark.usefixtures("next_release")
@pytest.mark.parametrize("who", ["nobody", "newer", "silent", "killed"])
def test_an_incompatible_migration_runs_once_no_older_relay_runs(opened: Engine, who: str) -> None:
    match who:
        case "newer":
            renew(opened, OTHER_HOST, NEXT)
        case "silent":
            renew(opened, OTHER_HOST, HEAD, age_seconds=60)
        case "killed":
            renew(opened, f"{owner_name()}0", HEAD)
    assert migrate(opened) == (HEAD, LATER)
    assert read_schema(opened) == [(LATER, NEXT)]


def test_a_relay_with_the_oldest_compatible_schema_does_not_hinder_a_migration(opened: Engine) -> None:
    renew(opened, OTHER_HOST, NEXT)
    with transaction(opened, read_only=True) as reader:
        require_no_older_relay(reader, opened.url, compatible_from=NEXT, own=LATER)
        with pytest.raises(SchemaError, match=f"stop all relays with a schema before {LATER}"):
            require_no_older_relay(reader, opened.url, compatible_from=LATER, own=LATER)


def test_the_statement_is_one_row(opened: Engine) -> None:
    with pytest.raises(IntegrityError), opened.begin() as connection:
        connection.execute(text("INSERT INTO schema_compatibility VALUES (:c)"), {"c": COMPATIBLE_FROM})
