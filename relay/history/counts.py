"""What an import of history found."""

import msgspec


class Counts(msgspec.Struct):
    """Rows by what was found. `calls`: all that CloudTalk has in the range; a transfer has one for each leg.

    `calls` is the sum of `known`, `new`, `ambiguous` and `postponed`. `filled`: those of the known ones that
    lacked something. `ambiguous`: several calls of the ledger fit, and a dry run does not ask which one it
    is. `asked`: for how many rows the analytics API was asked. `postponed`: it does not know the call yet, so
    a later import will find it. `unreadable`: rows without an id. `requests`: to CloudTalk.
    """

    calls: int = 0
    known: int = 0
    new: int = 0
    filled: int = 0
    ambiguous: int = 0
    asked: int = 0
    postponed: int = 0
    unreadable: int = 0
    requests: int = 0
