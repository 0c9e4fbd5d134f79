"""Why a body is not taken."""


class InvalidPayload(Exception):
    """This body cannot be read. `status` is the HTTP answer, `reason` a word of ours for logs and
    metrics, `pointer` where in the body (RFC 6901), empty for the whole.

    `always_ack` says that its sender must not hear of it: signed webhooks disable an endpoint that
    refuses, and a call flow branches on the answer while the caller waits.
    """

    def __init__(
        self, reason: str, message: str, pointer: str = "", *, status: int = 422, always_ack: bool = False
    ) -> None:
        super().__init__(message)
        self.reason, self.message, self.pointer, self.status = reason, message, pointer, status
        self.always_ack = always_ack


def step(key: str) -> str:
    """A key as the next step of a pointer."""
    return "/" + key.replace("~", "~0").replace("/", "~1")
