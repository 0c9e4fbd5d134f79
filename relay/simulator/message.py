"""What is sent about one call, and what it must come to."""

from typing import Any

import msgspec

Body = dict[str, Any]


class Message(msgspec.Struct, frozen=True):
    """One request to the hook: its JSON body, and what stands outside of it.

    `path` and `query` are added to the hook's URL, where a customer names the event there. `id` is
    the message id of CloudTalk's native webhooks: a message that has one is signed where a secret is
    known, and a redelivery bears the same.
    """

    body: Body
    path: str = ""
    query: str = ""
    id: str | None = None


class SimulatedCall(msgspec.Struct, frozen=True):
    """The messages that CloudTalk sends about one call, in their order, and the record it must end as.

    `by_order` names the fields of `expected` that hold only for messages that come in this order:
    the record's id, where it depends on which of CloudTalk's two ids came first, and tags of
    several edits, of which the last to come counts.
    """

    messages: tuple[Message, ...]
    expected: dict[str, Any]
    by_order: frozenset[str] = frozenset()

    @property
    def events(self) -> tuple[Body, ...]:
        """The bodies alone."""
        return tuple(message.body for message in self.messages)

    def expected_in_any_order(self) -> dict[str, Any]:
        """What holds of the record however the messages were mixed."""
        return {field: value for field, value in self.expected.items() if field not in self.by_order}
