"""docs/webhook.md documents the outcome of every status."""

import re
from pathlib import Path
from typing import Final

import httpx
import pytest

from crm_clients.base import Delivered, Misconfigured, Outcome, Rejected, Retry, Throttled, Unauthorised
from crm_clients.webhook.outcomes import to_outcome

DOCUMENT: Final = (Path(__file__).parents[3] / "docs/webhook.md").read_text()
ROWS: Final = re.findall(
    r"^\| ((?:other )?\dxx|[\d][^|]*?|other[^|]*) \| ([^|]+) \|$", DOCUMENT, re.MULTILINE
)
MEANING: Final[dict[str, type[Outcome]]] = {
    "is delivered": Delivered,
    "Stops": Misconfigured,
    "pauses: as long as": Throttled,
    "secrets differ": Unauthorised,
    "not the endpoint": Misconfigured,
    "dead letter": Rejected,
    "retried later": Retry,
}


def documented(status: int) -> type[Outcome]:
    """Look up the row with the status itself, else the row with its class."""
    for text in (str(status), f"{status // 100}xx"):
        for statuses, meaning in ROWS:
            if text in re.findall(r"\w+", statuses):
                return next(outcome for words, outcome in MEANING.items() if words in meaning)
    pytest.fail(f"docs/webhook.md has no row for {status}")


@pytest.mark.parametrize("status", [*range(200, 227), *range(300, 309), *range(400, 452), *range(500, 530)])
def test_every_status_has_the_documented_outcome(status: int) -> None:
    assert type(to_outcome(httpx.Response(status), str)) is documented(status)


def test_every_row_of_the_document_is_compared() -> None:
    assert len(ROWS) == len(MEANING)
