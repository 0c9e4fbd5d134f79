"""The legs of a call: a call that is transferred, or that rings in a queue, has one for each agent.

Different events state the same leg with different keys: one has the call_id, another one the agent. The keys
are therefore grouped here, each time from all keys, so that the legs do not depend on any order of arrival.
Whether an event with another call_id is a transfer of the same call is decided in `relay.fold.matching`.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from relay.call.agents import NOBODY, Agent, complete_agent, is_same_agent
from relay.call.join import FactOrders, join_leg
from relay.call.state import CallState, LegState
from relay.call.status import Status, leg_outcome
from relay.instants import iso

_LAST = 2**63
"""Sorts a leg without any time behind the others."""


class Leg(msgspec.Struct, frozen=True):
    """A leg in the record. `outcome`: how it went, in the words of the status."""

    agent_id: str | None
    agent_name: str | None
    agent_email: str | None
    started_at: str | None
    ended_at: str | None
    talking_seconds: int | None
    outcome: Status


def group_legs(state: CallState) -> list[LegState]:
    """Return each leg once, the one that began first at the beginning."""
    legs: list[LegState] = []
    stated_legs = [_without_name(leg, state.fact("named")) for leg in state.legs.values()]
    for stated in sorted(stated_legs, key=_completest_first):
        index = _find(stated, legs)
        if index is None:
            legs.append(stated)
        else:
            legs[index] = _merge(legs[index], stated, state)
    return sorted(legs, key=_order)


def _without_name(leg: LegState, named: str | None) -> LegState:
    """A number that a customer's automation gives the call is no call_id of a leg."""
    return leg if named is None or leg.call_id != named else msgspec.structs.replace(leg, call_id=None)


def build_legs(state: CallState, legs: Iterable[LegState]) -> list[Leg]:
    """Build the legs of the record. What is unknown of an agent is filled from the other events."""
    claims = [agent for _, (_, agent) in sorted(state.agents.items())]
    built = [_build_leg(state, leg, complete_agent(leg.agent, claims)) for leg in legs]
    return [*built, *_build_rung(state, built, claims)]


def _build_rung(state: CallState, legs: Sequence[Leg], claims: Sequence[Agent]) -> Iterator[Leg]:
    """Yield a leg for each agent whose phone rang in vain, by CloudTalk's analytics, and who has no other."""
    known = [Agent(leg.agent_id, leg.agent_name, leg.agent_email) for leg in legs]
    outcome = Status.MISSED if state.fact("direction") == "inbound" else Status.NO_ANSWER
    for id_, name in state.fact("rung") or ():
        agent = complete_agent(Agent(id_, name), claims)
        if not any(is_same_agent(agent, other) for other in known):
            known.append(agent)
            yield Leg(agent.id, agent.name, agent.email, None, None, None, outcome)


def _build_leg(state: CallState, leg: LegState, agent: Agent) -> Leg:
    return Leg(
        agent_id=agent.id,
        agent_name=agent.name,
        agent_email=agent.email,
        started_at=iso(leg.fact("started_at")),
        ended_at=iso(leg.fact("ended_at")),
        talking_seconds=leg.fact("talking"),
        outcome=leg_outcome(leg, state.fact("direction")),
    )


def _completest_first(leg: LegState) -> tuple[bool, bool, bool, str, str]:
    return (
        leg.agent == NOBODY,
        leg.call_id is None,
        not leg.fact("talking"),
        leg.call_id or "",
        leg.agent.key,
    )


def _find(stated: LegState, legs: list[LegState]) -> int | None:
    """The index of the leg that is stated: of those that do not contradict it the most similar one."""
    candidates = [
        (_common_values(stated, leg), -index) for index, leg in enumerate(legs) if not _differs(stated, leg)
    ]
    return -max(candidates)[1] if candidates else None


def _common_values(left: LegState, right: LegState) -> int:
    pairs = [(left.call_id, right.call_id), (left.fact("talking"), right.fact("talking"))]
    common = sum(one is not None and one == other for one, other in pairs)
    return int(common) + bool(is_same_agent(left.agent, right.agent))


def _differs(left: LegState, right: LegState) -> bool:
    """Whether two legs have different call_ids or agents, or only one of them has a conversation."""
    talking = (left.fact("talking"), right.fact("talking"))
    return (
        _has_other_id(left.call_id, right.call_id)
        or is_same_agent(left.agent, right.agent) is False
        or (None not in talking and bool(talking[0]) != bool(talking[1]))
    )


def _has_other_id(left: str | None, right: str | None) -> bool:
    """Whether two call_ids are of different legs. An id that a customer's automation made up says nothing
    about CloudTalk's own id, which is a number.
    """
    return left is not None and right is not None and left != right and left.isdigit() == right.isdigit()


def _choose_id(left: str | None, right: str | None) -> str | None:
    """CloudTalk's own id, if one of the two is: its API knows no other one."""
    is_better = left is None or (right is not None and right.isdigit() and not left.isdigit())
    return right if is_better else left


def _merge(leg: LegState, stated: LegState, state: CallState) -> LegState:
    return msgspec.structs.replace(
        join_leg(leg, stated, FactOrders(state.stamps)),
        call_id=_choose_id(leg.call_id, stated.call_id),
        agent=complete_agent(leg.agent, [stated.agent]),
    )


def _order(leg: LegState) -> tuple[int, int, int, str, str]:
    """By time, else by call_id: CloudTalk counts up."""
    began_at = next(
        (at for at in map(leg.fact, ("started_at", "answered_at", "ended_at")) if at is not None), _LAST
    )
    ended_at = leg.fact("ended_at")
    call_id = leg.call_id or ""
    return began_at, _LAST if ended_at is None else ended_at, len(call_id), call_id, leg.agent.key
