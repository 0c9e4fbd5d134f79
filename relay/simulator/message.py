"""Messages of one simulated call, and the record that the CRM must show for it."""

from typing import Any

import msgspec

Body = dict[str, Any]


class Message(msgspec.Struct, frozen=True):
    """One webhook request: a JSON body, and the parts of the URL and headers that vary.

    `path` and `query` are appended to the webhook URL, for customers who name the event there.
    `id` is the message id of native webhooks. A message with an id is signed if a signing secret is
    configured; a redelivery has the same id.
    """

    body: Body
    path: str = ""
    query: str = ""
    id: str | None = None


class SimulatedCall(msgspec.Struct, frozen=True):
    """The messages that CloudTalk sends about one call, in order, and the record that must result.

    `order_dependent` names the fields of `expected` that hold only if the messages arrive in this
    order: the record's id (CloudTalk has two ids per call; the first to arrive names the record), and
    tags that were edited several times (the last edit to arrive counts).
    """

    messages: tuple[Message, ...]
    expected: dict[str, Any]
    order_dependent: frozenset[str] = frozenset()

    @property
    def bodies(self) -> tuple[Body, ...]:
        return tuple(message.body for message in self.messages)

    def expected_in_any_order(self) -> dict[str, Any]:
        """Return the expected fields that hold in whatever order the messages arrive."""
        return {field: value for field, value in self.expected.items() if field not in self.order_dependent}
