"""What all pages of the console share."""

from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from relay.console.totals import TotalsReader
from relay.ingest.auth_failures import AuthFailures
from relay.ledger import Ledger
from relay.settings import Settings
from relay.standards.addresses import is_loopback


class Console(msgspec.Struct, frozen=True):
    """The parts of the relay that the pages use. `get_settings` returns the settings that count now."""

    get_settings: Callable[[], Settings]
    ledger: Ledger
    failures: AuthFailures
    record_url: Callable[[str, str], str | None]
    totals: TotalsReader

    @property
    def settings(self) -> Settings:
        return self.get_settings()

    @property
    def tokens(self) -> list[str]:
        """The tokens with which a person may sign in."""
        return [token.get_secret_value() for token in self.settings.console.tokens]

    @property
    def is_public(self) -> bool:
        """Whether other machines can reach the relay, by its settings."""
        server = self.settings.server
        return not (is_loopback(server.host) and is_loopback(urlsplit(server.public_url).hostname or ""))

    @property
    def is_encrypted(self) -> bool:
        """Whether people reach the relay by https."""
        return self.settings.server.public_url.startswith("https://")
