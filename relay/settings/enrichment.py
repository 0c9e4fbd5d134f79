"""The settings of what CloudTalk is asked about single calls."""

from pydantic import Field

from relay.settings.section import Section


class Enrich(Section):
    """What the relay asks CloudTalk about single calls that are over. It needs `cloudtalk.api`.

    Each question costs one request of `cloudtalk.api.requests_per_minute`; searches of the history go first.
    """

    analytics: bool = Field(
        True,
        description="Whether the analytics API is asked why a call was missed, whose phones rang, and who "
        "called back, and for the ids of calls that nothing else links.",
    )
    summary: bool = Field(
        False,
        description="Whether the AI's summary of each conversation is fetched. It needs CloudTalk's "
        "Conversation Intelligence, like the next two.",
    )
    transcript: bool = Field(False, description="Whether the transcript of each conversation is fetched.")
    smart_notes: bool = Field(
        False,
        description="Whether the AI's smart notes of each conversation are fetched: action items, decisions, "
        "open questions and so on.",
    )
