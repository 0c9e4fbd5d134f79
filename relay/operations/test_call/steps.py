"""What is reported of a test call: one step after the other, in both languages."""

from collections.abc import Callable
from enum import StrEnum
from typing import Self

import msgspec

from crm_clients.base import Finding
from relay.logs import remove_secrets
from relay.operations.languages import Text

NAME = "test_call"
"""The name of findings about the test call that concern no single destination."""


class Kind(StrEnum):
    """A step of a test call, in the order in which they happen."""

    CLEAN = "clean"
    """Test calls of earlier runs are removed."""
    POST = "post"
    """The events are posted to the public URL."""
    FOLD = "fold"
    """The events arrive in the ledger and become the record of one call."""
    DELIVER = "deliver"
    """A destination receives the record."""
    REMOVE = "remove"
    """The record is removed from a destination, or the call from the ledger."""


class State(StrEnum):
    """How a step went."""

    RUNNING = "running"
    GOOD = "good"
    WARNING = "warning"
    """The settings exclude it: nothing failed."""
    FAILED = "failed"


class Step(msgspec.Struct, frozen=True):
    """One step. `code` does not change with the words; `hint` says what to do."""

    kind: Kind
    state: State
    code: str
    text: Text
    hint: Text | None = None
    destination: str | None = None

    @property
    def is_final(self) -> bool:
        return self.state is not State.RUNNING

    def without_secrets(self) -> Self:
        """Return the step without the secrets of the settings, which an answer of a CRM may quote."""
        text = Text(remove_secrets(self.text.en), remove_secrets(self.text.es))
        return msgspec.structs.replace(self, text=text)

    def to_finding(self) -> Finding:
        """Return the step as a finding of `check`, in English."""
        return Finding(
            name=self.destination or NAME,
            ok=self.state is not State.FAILED,
            code=self.code,
            problem=self.text.en if self.state in {State.WARNING, State.FAILED} else None,
            hint=self.hint.en if self.hint else None,
        )


OnStep = Callable[[Step], None]
"""Called with each step when it begins, changes and ends."""
