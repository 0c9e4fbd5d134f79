"""Which claims of different events name one agent, and what is known of this agent together."""

from itertools import permutations

import pytest

from relay.call.agents import (
    NOBODY,
    Agent,
    agent_of_event,
    complete_agent,
    complete_only_agent,
    distinct_agents,
    is_same_agent,
)
from tests.support.samples import make_event

ANA_MAIL, LUIS_MAIL = "ana@example.test", "luis@example.test"
NO_CLAIMS: list[Agent] = []


def test_the_key_of_an_agent_has_all_three_values_in_their_order() -> None:
    assert Agent("1", 'A"na', ANA_MAIL).key == '["1","A\\"na","ana@example.test"]'
    assert Agent(name="Ana").key == '[null,"Ana",null]'


def test_an_event_names_an_agent_or_nobody() -> None:
    named = make_event(agent_id="1", agent_name="Ana", agent_email=ANA_MAIL)
    assert agent_of_event(named) == Agent("1", "Ana", ANA_MAIL)
    assert agent_of_event(make_event()) == NOBODY == Agent(None, None, None)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (Agent("1"), Agent("1"), True),
        (Agent("1"), Agent("2"), False),
        (Agent("a1"), Agent("A1"), True),
        (Agent(email=ANA_MAIL), Agent(email="ANA@example.test"), True),
        (Agent(email=ANA_MAIL), Agent(email=LUIS_MAIL), False),
        (Agent(name="Ana"), Agent(name="ANA"), True),
        (Agent(name="Ana"), Agent(name="Luis"), False),
        # the id decides before the e-mail address, and that before the name
        (Agent("1", "Ana", ANA_MAIL), Agent("1", "Luis", LUIS_MAIL), True),
        (Agent("1", "Ana", ANA_MAIL), Agent("2", "Ana", ANA_MAIL), False),
        (Agent("1", "Ana", ANA_MAIL), Agent(None, "Luis", ANA_MAIL), True),
        (Agent("1", "Ana", ANA_MAIL), Agent(None, "Ana", LUIS_MAIL), False),
        (Agent("1", "Ana"), Agent(None, "Ana", ANA_MAIL), True),
        (Agent("1"), Agent(None, "Ana", ANA_MAIL), None),
        (Agent(name="Ana"), Agent(email=ANA_MAIL), None),
        (Agent("1"), NOBODY, None),
        (NOBODY, NOBODY, None),
    ],
)
def test_the_first_value_that_both_claims_have_decides(left: Agent, right: Agent, same: bool | None) -> None:
    assert is_same_agent(left, right) is same
    assert is_same_agent(right, left) is same


@pytest.mark.parametrize(
    ("claims", "completed"),
    [
        (NO_CLAIMS, Agent("1")),
        ([Agent("1", "Ana")], Agent("1", "Ana")),
        ([Agent("2", "Luis")], Agent("1")),
        ([Agent(None, "Ana")], Agent("1")),
        ([Agent("1", "Ana"), Agent("1", "Anita", ANA_MAIL)], Agent("1", "Ana", ANA_MAIL)),
        ([Agent("1", None, ANA_MAIL), Agent(None, "Ana", ANA_MAIL)], Agent("1", "Ana", ANA_MAIL)),
    ],
)
def test_an_agent_is_completed_by_claims_that_name_the_same_one(
    claims: list[Agent], completed: Agent
) -> None:
    assert complete_agent(Agent("1"), claims) == completed


@pytest.mark.parametrize(
    ("claims", "completed"),
    [
        (NO_CLAIMS, Agent("1")),
        ([Agent("1", "Luis")], Agent("1")),
        ([Agent("2", "Luis")], Agent("1")),
        ([Agent("2", "Luis"), Agent(None, "Ana")], Agent("1", "Ana")),
        ([Agent(None, "Ana"), Agent(None, "ANA", ANA_MAIL)], Agent("1", "Ana", ANA_MAIL)),
        # the claims may name two agents
        ([Agent(None, "Ana"), Agent(None, "Luis")], Agent("1")),
        ([Agent(None, "Ana"), Agent(None, None, ANA_MAIL)], Agent("1")),
    ],
)
def test_an_agent_is_completed_by_claims_without_a_common_value_if_all_name_one(
    claims: list[Agent], completed: Agent
) -> None:
    assert complete_only_agent(Agent("1"), claims) == completed


@pytest.mark.parametrize(
    ("claims", "agents"),
    [
        (NO_CLAIMS, NO_CLAIMS),
        ([Agent("2"), Agent("1")], [Agent("1"), Agent("2")]),
        ([Agent("1"), Agent("1", "Ana"), Agent(None, "ana", ANA_MAIL)], [Agent("1", "Ana", ANA_MAIL)]),
        # the claim that knows most comes first, so that an e-mail address alone finds its agent
        (
            [Agent("1"), Agent(None, None, ANA_MAIL), Agent("1", None, ANA_MAIL), Agent("2", "Luis")],
            [Agent("1", None, ANA_MAIL), Agent("2", "Luis")],
        ),
        # of claims that know as much, the one with the lowest key comes first
        ([Agent("1", "Ana"), Agent("1", "Anita")], [Agent("1", "Ana")]),
        ([Agent(None, "Ana"), Agent("1")], [Agent("1"), Agent(None, "Ana")]),
    ],
)
def test_distinct_agents_has_each_agent_once_in_any_order(claims: list[Agent], agents: list[Agent]) -> None:
    for order in permutations(claims):
        assert distinct_agents(order) == agents
