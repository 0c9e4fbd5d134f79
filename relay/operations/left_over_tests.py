"""Removes the test call of a `relay check --send` that was killed, when a relay starts."""

from typing import Final

from relay.ledger import Ledger, LedgerError, removal
from relay.logs import get_logger
from relay.settings import Settings

log = get_logger("relay.operations")

RECORD_PREFIX: Final = "cloudtalk-relay-test-"
"""The ids of the records of all test calls begin with it."""


async def remove_left_over_tests(settings: Settings, ledger: Ledger) -> None:
    """Remove the test calls of earlier runs, unless a run is under way. What stays, the next run removes."""
    try:
        if await ledger.read(lambda connection: removal.list_ids(connection, RECORD_PREFIX)):
            await _remove(settings, ledger)
    except LedgerError as error:
        log.warning("test_call.not_removed", error=str(error))


async def _remove(settings: Settings, ledger: Ledger) -> None:
    # Imported here: they cost megabytes, and a start without a test call needs nothing of them.
    from relay.operations.test_call.removal import Remover  # noqa: PLC0415
    from relay.operations.test_call.run import only_one  # noqa: PLC0415

    async with only_one(ledger) as is_only_one:
        if is_only_one:
            found, left = await Remover(settings, ledger, lambda _: None).remove_left()
            log.info("test_call.removed", calls=found - left, left=left)
