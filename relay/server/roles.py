"""The roles of the processes of one relay."""

from enum import StrEnum


class Role(StrEnum):
    """What a process does. Accepting and folding would use one interpreter lock, and wait for each other."""

    ALL = "all"
    """The only process of the relay."""

    INGEST = "ingest"
    """Accepts requests and stores their events."""

    DELIVERY = "delivery"
    """Folds the events and delivers the calls. It has no port."""


def assign_roles(processes: int) -> list[Role]:
    """Return the role of each process: of several processes one folds and delivers, the others accept."""
    return [Role.ALL] if processes == 1 else [Role.DELIVERY, *[Role.INGEST] * (processes - 1)]
