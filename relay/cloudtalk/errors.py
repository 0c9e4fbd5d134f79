"""The errors of this package.

CloudTalkError
├── InvalidPayload           a request whose body is not accepted
└── InvalidValue             one value that cannot be parsed
    ├── TooLong              an id that no database column can hold
    ├── UnknownStatus        a status that may be new in CloudTalk
    └── UnrenderedTemplate   a `{{variable}}` that the sender did not replace
"""

from typing import Final

LONGEST_ID: Final = 200
"""In characters."""


class CloudTalkError(Exception):
    """The root of this package's errors."""


class InvalidPayload(CloudTalkError):
    """The body is not accepted.

    `reason` is a code for logs and metrics, `pointer` the place in the body (RFC 6901, empty for the whole
    body), `status` the HTTP status of a refusal. `always_ack` repeats the declaration of the dialect that
    recognised the body; it is false if no dialect could be recognised.
    """

    def __init__(self, reason: str, message: str, pointer: str = "", *, status: int = 422) -> None:
        super().__init__(message)
        self.reason, self.message, self.pointer, self.status = reason, message, pointer, status
        self.always_ack = False


class InvalidValue(CloudTalkError):
    """A value that is present and cannot be parsed; the message says what was expected."""


class TooLong(InvalidValue):
    """An id of more than `LONGEST_ID` characters."""

    def __init__(self) -> None:
        super().__init__(f"expected an id of at most {LONGEST_ID} characters")


class UnknownStatus(InvalidValue):
    """A status that states no known outcome; it counts as a missing value, since CloudTalk may add some."""

    def __init__(self, status: str) -> None:
        super().__init__(f"unknown status {status!r}")


class UnrenderedTemplate(InvalidValue):
    """A template variable that the sender did not replace; it counts as a missing value."""

    def __init__(self, variable: str) -> None:
        super().__init__("an unrendered {{ … }} variable")
        self.variable = variable


def pointer_step(key: str) -> str:
    """Return the key as one step of a JSON pointer (RFC 6901)."""
    return "/" + key.replace("~", "~0").replace("/", "~1")
