"""Why a recording cannot be read now.

Exception
└── FetchFailed     with a `Reason`
"""

from enum import StrEnum


class Reason(StrEnum):
    """What happened, as logs and metrics count it. The ones that pass by themselves come first."""

    BUSY = "busy"
    """Too many recordings are fetched at the moment."""
    THROTTLED = "throttled"
    """CloudTalk's rate limit is used up."""
    UNAVAILABLE = "unavailable"
    """CloudTalk did not answer, or with an error, or broke off."""
    ARCHIVE = "archive"
    """The archive cannot be read or written."""
    FAULT = "fault"
    """The relay itself failed."""
    DISK = "disk"
    """The cache cannot be written."""
    NOT_FOUND = "not_found"
    """CloudTalk does not have it: not yet, or no more."""
    NOT_AUDIO = "not_audio"
    """The answer is a page or empty. CloudTalk sends such ones for a recording that is not ready, too."""
    UNAUTHORISED = "unauthorised"
    """The API key, or the link of the event, is not accepted."""
    TOO_LARGE = "too_large"
    FORBIDDEN_HOST = "forbidden_host"
    """The link leads to a host that the settings do not allow, or to a private network."""
    NO_SOURCE = "no_source"
    """There is neither a link nor an API key with a call_id."""
    GONE = "gone"
    """CloudTalk deleted it for good."""


class FetchFailed(Exception):
    """A recording cannot be read now. `retry_after`: seconds, if CloudTalk stated them."""

    def __init__(self, reason: Reason, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after


def most_hopeful(failures: list[FetchFailed]) -> FetchFailed:
    """Return the failure that a later attempt may overcome first. A recording that is gone stays so."""
    gone = [failure for failure in failures if failure.reason is Reason.GONE]
    order = list(Reason)
    return gone[0] if gone else min(failures, key=lambda failure: order.index(failure.reason))
