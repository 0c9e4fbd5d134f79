"""Who or what is to be forgotten."""

from pathlib import Path
from typing import Final

import msgspec
import pytest

from relay.instants import Instant
from relay.ledger import Ledger, aliases, calls, retention_queries
from relay.ledger.aliases import Alias, AliasReason
from relay.ledger.connection import Connection
from relay.operations.forget.subject import Subject, SubjectError, find_subject
from tests.support.in_process import settings_in
from tests.support.samples import make_call_row

LINE: Final = "+34910000000"
ANA: Final = "+34612345678"


@pytest.fixture
async def office(ledger: Ledger) -> Ledger:
    """Calls of two persons and a merged one. One call has the number of the other person in its note."""
    rows = [
        make_call_row("cloudtalk-1", external_number=ANA, internal_number=LINE),
        make_call_row("cloudtalk-2", external_number="+34699999999", internal_number=LINE),
        make_call_row("cloudtalk-3", external_number="+34688888888", notes=f"call back {ANA}"),
        make_call_row("cloudtalk-4", to=ANA),
        make_call_row("cloudtalk-5", external_number=ANA),
        make_call_row("cloudtalk-612345670", external_number="+34677777777"),
        make_call_row("cloudtalk-7", external_number="+34612345670"),
    ]
    rows[4] = msgspec.structs.replace(
        rows[4], record=msgspec.structs.replace(rows[4].record, merged_into="cloudtalk-1")
    )

    def write(connection: Connection) -> None:
        calls.write(connection, rows, [])
        aliases.add(connection, [Alias("id:612345670", "cloudtalk-612345670", AliasReason.STATED)])

    await ledger.write(write)
    return ledger


async def find(ledger: Ledger, folder: Path, written: str, **cloudtalk: object) -> Subject:
    return await find_subject(ledger, settings_in(folder, cloudtalk=cloudtalk), written)


@pytest.mark.parametrize(
    "written", ["+34612345678", "612345678", "0034 612 345 678", "34612345678", "(+34) 612-34-56-78"]
)
async def test_a_number_in_any_spelling_has_all_its_calls(
    office: Ledger, tmp_path: Path, written: str
) -> None:
    found = await find(office, tmp_path, written)
    assert (found.number, sorted(found.ids)) == (ANA, ["cloudtalk-1", "cloudtalk-4", "cloudtalk-5"])
    assert found.mentions == ["cloudtalk-3"]


async def test_an_id_is_one_call_with_those_merged_into_it(office: Ledger, tmp_path: Path) -> None:
    for written in ("1", "cloudtalk-1", "cloudtalk-5"):
        found = await find(office, tmp_path, written)
        assert (found.number, sorted(found.ids)) == (None, ["cloudtalk-1", "cloudtalk-5"])


async def test_a_call_that_retention_deleted_is_found_by_its_id(office: Ledger, tmp_path: Path) -> None:
    await office.write(lambda c: retention_queries.delete_old_calls(c, before=Instant(2**62), now=Instant(7)))
    found = await find(office, tmp_path, "612345670")
    assert (found.number, list(found.ids), len(found.records)) == (None, ["cloudtalk-612345670"], 0)


async def test_digits_that_are_an_id_and_a_number_are_refused(office: Ledger, tmp_path: Path) -> None:
    with pytest.raises(SubjectError, match=r"\+34612345670 or cloudtalk-612345670") as error:
        await find(office, tmp_path, "612345670")
    assert error.value.is_usage


async def test_a_number_without_calls_is_forgotten_too(office: Ledger, tmp_path: Path) -> None:
    found = await find(office, tmp_path, "+34600000009")
    assert (found.number, list(found.ids), len(found.records)) == ("+34600000009", [], 0)


@pytest.mark.parametrize("written", ["101", "nobody", "", "+34"])
async def test_what_is_no_number_and_no_id_is_refused(office: Ledger, tmp_path: Path, written: str) -> None:
    with pytest.raises(SubjectError, match="no call has the id") as error:
        await find(office, tmp_path, written)
    assert not error.value.is_usage


async def test_an_own_number_is_refused_as_it_is_in_every_call(office: Ledger, tmp_path: Path) -> None:
    with pytest.raises(SubjectError, match="a number of your own: 2 calls"):
        await find(office, tmp_path, LINE)
    with pytest.raises(SubjectError, match="a number of your own"):
        await find(office, tmp_path, ANA, own_numbers=["612 345 678"])
