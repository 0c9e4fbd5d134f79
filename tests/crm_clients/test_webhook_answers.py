"""What docs/webhook.md promises of an answer is what comes of it, for every status there can be."""

import re
from pathlib import Path
from typing import Final

import httpx
import pytest

from crm_clients.base import Delivered, Misconfigured, Outcome, Rejected, Retry, Throttled, Unauthorised
from crm_clients.webhook.answers import outcome_of

DOCUMENT: Final = (Path(__file__).parents[2] / "docs/webhook.md").read_text()
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


def promised(status: int) -> type[Outcome]:
    """By the row that names the status itself, else by the one that names its class."""
    for sign in (str(status), f"{status // 100}xx"):
        for answers, what in ROWS:
            if sign in re.findall(r"\w+", answers):
                return next(outcome for words, outcome in MEANING.items() if words in what)
    pytest.fail(f"docs/webhook.md says nothing of {status}")


@pytest.mark.parametrize("status", [*range(200, 227), *range(300, 309), *range(400, 452), *range(500, 530)])
def test_an_answer_is_what_the_document_promises(status: int) -> None:
    assert type(outcome_of(httpx.Response(status), str)) is promised(status)


def test_every_promise_of_the_document_is_looked_at() -> None:
    assert len(ROWS) == len(MEANING)
