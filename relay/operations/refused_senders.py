"""Requests that the webhook refused within the last day: CloudTalk may have sent them with a wrong token."""

from typing import Final

import msgspec

from relay.instants import SECOND, Instant
from relay.ledger import warnings
from relay.ledger.connection import Connection
from relay.operations.explanation import Situation

_SHOWN_SECONDS: Final = 86_400
_RECENT_SECONDS: Final = 3_600

_WORKFLOW_HINT: Final = (
    "if CloudTalk sends them, enter a token of cloudtalk.tokens in the header Authorization of each workflow"
)
_WEBHOOK_HINT: Final = (
    "if CloudTalk sends them, copy the secret that CloudTalk shows for its webhook to"
    " cloudtalk.signing_secrets"
)
_OPEN_HINT: Final = (
    "write a token to cloudtalk.tokens, restart the relay, and enter the token in CloudTalk: without a token"
    " only programs on this machine may send events"
)


class Refusal(msgspec.Struct, frozen=True):
    """Requests that were refused for one reason. `at`, `client`: of the last one. `problem` and `hint` are
    English. `is_recent`: it was refused within the last hour.
    """

    reason: str
    at: str
    client: str
    problem: str
    hint: str
    is_recent: bool


def list_refused(connection: Connection, situation: Situation) -> list[Refusal]:
    """List the reasons why requests were refused within the last day, the newest first."""
    since = Instant(situation.now - _SHOWN_SECONDS * SECOND)
    rows = warnings.list_beginning(connection, warnings.REFUSED, since=since)
    return [_refused(row, situation) for row in rows]


def _refused(row: warnings.WarningRow, situation: Situation) -> Refusal:
    at = situation.show_time(row.at)
    problem, hint = _describe(row.name, at, row.message)
    is_recent = row.at >= situation.now - _RECENT_SECONDS * SECOND
    return Refusal(row.name, at, row.message, problem, hint, is_recent)


def _describe(reason: str, at: str, client: str) -> tuple[str, str]:
    match reason:
        case "wrong_token":
            return f"requests with a wrong token are refused, the last at {at} from {client}", _WORKFLOW_HINT
        case "no_token":
            return f"requests without a token are refused, the last at {at} from {client}", _WORKFLOW_HINT
        case "wrong_signature":
            return (
                f"requests with a wrong signature are refused, the last at {at} from {client}",
                _WEBHOOK_HINT,
            )
        case "no_signature":
            return f"requests without a signature are refused, the last at {at} from {client}", _WEBHOOK_HINT
    return f"requests from other machines are refused, the last at {at} from {client}", _OPEN_HINT
