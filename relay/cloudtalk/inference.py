"""What a body says that does not say what it is: most hand-written ones."""

from collections.abc import Mapping
from typing import Any, Final

from relay.call import Kind
from relay.cloudtalk.flatten import Field
from relay.cloudtalk.values import is_nothing

_AGENTS: Final = frozenset({"agent_id", "agent_email", "agent_name"})
_AT_THE_END: Final = frozenset({"talking", "wrapup", "ended_at"})
_OF_A_CALL: Final = frozenset(
    {"external_number", "internal_number", "from", "to", "direction", "started_at", "recording_url"}
)


def kind_in(found: Mapping[str, Field], facts: Mapping[str, Any]) -> Kind:
    """The kind of event that bears these facts.

    A call_uuid with an agent and a contact is what an Ended looks like, and a Started, and others: it
    is merged, and moves nothing.
    """
    if _says_transcript(found):
        return Kind.TRANSCRIPT
    if (
        "recording_url" in facts
        and "call_id" in facts
        and "call_uuid" not in facts
        and _AGENTS.isdisjoint(facts)
    ):
        return Kind.RECORDING
    return Kind.UPDATE if _AT_THE_END.isdisjoint(facts) else Kind.ENDED


def is_of_call(facts: Mapping[str, Any]) -> bool:
    """Whether facts besides ids are of a call, and not of a contact, say."""
    return not (_OF_A_CALL.isdisjoint(facts) and _AT_THE_END.isdisjoint(facts))


def _says_transcript(found: Mapping[str, Field]) -> bool:
    """Even where the sender's template could not render it, as CloudTalk's own does."""
    return any(
        not is_nothing(said.value) or said.value == "[object Object]"
        for word in ("transcript", "transcription")
        if (said := found.get(word)) is not None
    )
