"""Exceptions of the webhook client. They do not leave it: the client returns outcomes.

Exception
└── ForbiddenAddress     the host has no public address
"""

from collections.abc import Iterable


class ForbiddenAddress(Exception):
    """A host name resolves only to addresses that are not public. The text lists the addresses."""

    def __init__(self, addresses: Iterable[str]) -> None:
        super().__init__(", ".join(sorted(set(addresses))))
