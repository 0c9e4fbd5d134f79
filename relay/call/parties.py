"""The two numbers of a call: the customer's (external) and the company's own (internal)."""

from typing import Any, Protocol


class HasFacts(Protocol):
    """An event, the state of a call or of one of its legs."""

    def fact(self, name: str) -> Any:
        """The value of a fact; None if it is unknown."""


def external_number(source: HasFacts) -> str | None:
    """As stated, else the caller of an inbound or the callee of an outbound call."""
    return _number(source, "external_number", {"inbound": "from", "outbound": "to"})


def internal_number(source: HasFacts) -> str | None:
    """As stated, else the callee of an inbound or the caller of an outbound call."""
    return _number(source, "internal_number", {"inbound": "to", "outbound": "from"})


def _number(source: HasFacts, stated: str, party_by_direction: dict[str, str]) -> str | None:
    number: str | None = source.fact(stated)
    party = party_by_direction.get(source.fact("direction"))
    return number or (source.fact(party) if party else None)
