"""The agents of a call: who they are, and which claims of different events name the same agent."""

from collections.abc import Iterable, Sequence

import msgspec

from relay.call.parties import HasFacts


class Agent(msgspec.Struct, frozen=True, array_like=True):
    """What one event states about an agent. At least one of the three is known, except for `NOBODY`."""

    id: str | None = None
    name: str | None = None
    email: str | None = None

    @property
    def key(self) -> str:
        """A text that only an equal agent has."""
        return msgspec.json.encode(self).decode()


NOBODY = Agent()


def agent_of_event(event: HasFacts) -> Agent:
    """Return the agent that the event names, or `NOBODY`."""
    return Agent(event.fact("agent_id"), event.fact("agent_name"), event.fact("agent_email"))


def is_same_agent(left: Agent, right: Agent) -> bool | None:
    """Whether two claims name one agent: by the id if both have one, else by e-mail, else by name.

    None if they have nothing in common to compare.
    """
    for one, other in ((left.id, right.id), (left.email, right.email), (left.name, right.name)):
        if one is not None and other is not None:
            return one.casefold() == other.casefold()
    return None


def complete_agent(agent: Agent, claims: Iterable[Agent]) -> Agent:
    """Fill what is unknown of an agent from claims that name the same agent, the first claim first."""
    for claim in claims:
        if is_same_agent(agent, claim):
            agent = _fill(agent, claim)
    return agent


def complete_only_agent(agent: Agent, claims: Sequence[Agent]) -> Agent:
    """Fill what is unknown of an agent from claims that have nothing in common with it to compare, if all
    of them name one agent: one body states an id and another one an e-mail address.
    """
    others = [claim for claim in claims if is_same_agent(agent, claim) is None]
    if not others or not all(is_same_agent(others[0], other) for other in others):
        return agent
    return _fill(agent, complete_agent(others[0], others))


def distinct_agents(claims: Iterable[Agent]) -> list[Agent]:
    """Return each agent of these claims once, with everything that is known."""
    agents: list[Agent] = []
    for claim in sorted(claims, key=lambda claim: (-_known_values(claim), claim.key)):
        index = next((i for i, agent in enumerate(agents) if is_same_agent(agent, claim)), None)
        if index is None:
            agents.append(claim)
        else:
            agents[index] = _fill(agents[index], claim)
    return sorted(agents, key=lambda agent: agent.key)


def _fill(agent: Agent, other: Agent) -> Agent:
    return Agent(
        other.id if agent.id is None else agent.id,
        other.name if agent.name is None else agent.name,
        other.email if agent.email is None else agent.email,
    )


def _known_values(agent: Agent) -> int:
    return sum(value is not None for value in msgspec.structs.astuple(agent))
