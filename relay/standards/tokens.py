"""Tokens that authenticate a request, compared in constant time."""

import hmac
from collections.abc import Iterable


class TokenList:
    """The listed tokens. Each given one is compared with each listed one, so that the response time shows
    neither how much of a guess was right nor which token matched.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self._tokens = [token.encode() for token in tokens]

    def __bool__(self) -> bool:
        return bool(self._tokens)

    def has_any(self, tokens: Iterable[str]) -> bool:
        """Whether one of these tokens is listed."""
        matches = [
            hmac.compare_digest(token.encode("utf-8", "surrogateescape"), listed)
            for token in tokens
            for listed in self._tokens
        ]
        return any(matches)
