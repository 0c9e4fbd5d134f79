"""Epochs: the numbers above which versions begin after a restore."""

from relay.instants import Instant
from relay.ledger import Ledger, epochs


async def test_versions_of_a_new_ledger_begin_at_1(ledger: Ledger) -> None:
    assert await ledger.read(epochs.current) == 0
    assert await ledger.read(epochs.version_floor) == 0


async def test_each_restore_begins_a_higher_epoch(ledger: Ledger) -> None:
    assert await ledger.write(lambda c: epochs.begin(c, now=Instant(5))) == 1
    assert await ledger.read(epochs.version_floor) == 4_294_967_296
    assert await ledger.write(lambda c: epochs.begin(c, now=Instant(6), at_least=9)) == 9
    assert await ledger.write(lambda c: epochs.begin(c, now=Instant(7), at_least=2)) == 10


def test_a_version_names_its_epoch_and_fits_in_a_number_of_json() -> None:
    assert [epochs.epoch_of(version) for version in (1, 2**32 - 1, 2**32, 3 * 2**32 + 7)] == [0, 0, 1, 3]
    assert epochs.epoch_of(2**53) == 2_097_152
