"""Step 1 as a component: the webhook endpoint, and the group commit that stores its events."""

from collections.abc import Callable
from typing import Final

from relay.cloudtalk.authentication import Authenticator
from relay.cloudtalk.body_secrets import BodySecrets
from relay.cloudtalk.signatures import SignatureVerifier
from relay.ingest.endpoint import WebhookEndpoint
from relay.ingest.limits import AdmissionControl
from relay.ingest.parsers import build_parser
from relay.ledger import Ledger
from relay.ledger.group_commit import GroupCommit
from relay.settings import Settings, collect_secrets, reveal

_SHORTEST_PASSWORD: Final = 8


class Ingest:
    """Step 1: the endpoint, and the group commit that stores its events.

    `max_connections` is how many connections the server of this process keeps. `on_append` is called after
    each commit.
    """

    def __init__(
        self, settings: Settings, ledger: Ledger, *, max_connections: int, on_append: Callable[[], None]
    ) -> None:
        self.group_commit = GroupCommit(ledger, on_append=on_append)
        self.endpoint = self._build_endpoint(settings, ledger, max_connections)
        self.loops = [
            self.group_commit.run,
            self.endpoint.auth_failures.run,
            self.endpoint.refused_senders.run,
        ]

    def _build_endpoint(self, settings: Settings, ledger: Ledger, max_connections: int) -> WebhookEndpoint:
        cloudtalk, server = settings.cloudtalk, settings.server
        authenticator, secrets = build_authenticator(settings)
        return WebhookEndpoint(
            ledger=ledger,
            group_commit=self.group_commit,
            authenticator=authenticator,
            secrets=secrets,
            parser=build_parser(cloudtalk),
            max_body_bytes=cloudtalk.max_body_bytes,
            admission_control=AdmissionControl(
                # Else the quarter of strangers may be all connections, which are never closed for others.
                max_requests=min(server.max_in_flight, max_connections),
                max_bytes=server.max_in_flight_bytes,
            ),
        )


def build_authenticator(settings: Settings) -> tuple[Authenticator, BodySecrets]:
    """Build what checks the sender of a request, and what removes secrets from all that is stored of it."""
    cloudtalk = settings.cloudtalk
    tokens = reveal(cloudtalk.tokens)
    verifier = SignatureVerifier(reveal(cloudtalk.signing_secrets))
    authenticator = Authenticator(tokens, verifier, body_tokens=bool(cloudtalk.secret_keys))
    return authenticator, BodySecrets(cloudtalk.secret_keys, _secrets_in_events(settings))


def _secrets_in_events(settings: Settings) -> list[str]:
    """Return the secrets to remove from events: a short password of a database may be an ordinary word."""
    cloudtalk = set(collect_secrets(settings.cloudtalk))
    return [s for s in collect_secrets(settings) if s in cloudtalk or len(s) >= _SHORTEST_PASSWORD]
