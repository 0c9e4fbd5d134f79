"""Refused requests, as people see them."""

import pytest

from relay.cloudtalk.authentication import AuthProblem
from relay.ingest.refused_senders import OF_SENDERS
from relay.instants import SECOND, Instant
from relay.ledger import Ledger, warnings
from relay.operations.explanation import Situation
from relay.operations.refused_senders import Refusal, list_refused
from tests.support.operations import NOW

HOUR = 3_600 * SECOND


async def refused(ledger: Ledger, reason: str, at: int) -> list[Refusal]:
    await ledger.write(
        lambda c: warnings.record(c, f"{warnings.REFUSED}{reason}", Instant(at), "203.0.113.7")
    )
    situation = Situation({}, Instant(NOW))
    return await ledger.read(lambda connection: list_refused(connection, situation))


async def test_a_wrong_token_names_its_sender_and_what_to_enter(ledger: Ledger) -> None:
    (found,) = await refused(ledger, "wrong_token", NOW - HOUR)
    assert (found.reason, found.client, found.is_recent) == ("wrong_token", "203.0.113.7", True)
    assert (
        found.problem == f"requests with a wrong token are refused, the last at {found.at} from 203.0.113.7"
    )
    assert "the header Authorization of each workflow" in found.hint


@pytest.mark.parametrize(
    ("age", "is_recent"), [(HOUR + 1, [False]), (24 * HOUR, [False]), (24 * HOUR + 1, [])]
)
async def test_an_old_one_is_not_urgent_and_is_forgotten_after_a_day(
    ledger: Ledger, age: int, is_recent: list[bool]
) -> None:
    assert [each.is_recent for each in await refused(ledger, "no_token", NOW - age)] == is_recent


async def test_each_reason_has_a_text_of_its_own(ledger: Ledger) -> None:
    for reason in OF_SENDERS:
        found = await refused(ledger, reason, NOW)
    problems = {each.reason: each.problem for each in found}
    assert problems.keys() == OF_SENDERS
    # Both are requests of another machine to a relay without tokens.
    assert problems[AuthProblem.FORWARDED] == problems[AuthProblem.NOT_LOCAL]
    assert len(set(problems.values())) == len(OF_SENDERS) - 1
