"""The names of events, in every spelling that was seen, and what is no event of a call."""

from functools import lru_cache
from typing import Final

from relay.call import Kind

_LONGEST: Final = 64
_NAMES: Final = {
    Kind.STARTED: "started dialing new_call",
    Kind.RINGING: "ringing ringing_on_agent",
    Kind.ANSWERED: "answered",
    Kind.ENDED: "ended finished completed hangup",
    Kind.MISSED: "missed no_answer",
    Kind.VOICEMAIL: "voicemail voicemail.received",
    Kind.RECORDING: "recording_ready recording.ready recording_uploaded",
    Kind.TRANSCRIPT: "transcript.ready transcription.created",
    Kind.SUMMARY: "cidata.ready",
    Kind.MODIFIED: "modified tagged disposition raised_hand",
}
"""Each of them also with `call.` before it."""

_NOT_OF_CALLS: Final = ("message", "contact", "user", "agentstatus")
_HAPPENS: Final = ("sent", "received", "created", "updated", "deleted", "changed", "statuschanged")


def kind_of(name: str) -> Kind | None:
    """The kind of event that a name stands for: `CALL_ENDED`, `call-ended` and `Call Ended` are one."""
    return _kinds.get(_folded(name)) if len(name) <= _LONGEST else None


def is_not_of_calls(name: str) -> bool:
    """Whether a name is of a message, a contact or a user."""
    return len(name) <= _LONGEST and _folded(name).startswith(_NOT_OF_CALLS)


def is_event(name: str) -> bool:
    """Whether this can only be an event's name: the end of a URL may be anybody's, `contact-centre` too."""
    if len(name) > _LONGEST:
        return False
    folded = _folded(name)
    return folded in _kinds or (folded.startswith(_NOT_OF_CALLS) and folded.endswith(_HAPPENS))


@lru_cache(maxsize=1_000)
def _folded(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


_kinds: Final = {
    prefix + _folded(name): kind
    for kind, names in _NAMES.items()
    for name in names.split()
    for prefix in ("", "call")
}
