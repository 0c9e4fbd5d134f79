"""The steps of a test call on the terminal: those under way live, those that are over as lines."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.status import Status
from rich.text import Text as RichText

from relay.cli.output import echo
from relay.operations.languages import Language, Text
from relay.operations.test_call import OnStep, State, Step
from relay.standards.unprintable import escape_unprintable

RESULTS: Final = {
    State.GOOD: Text("ok", "bien"),
    State.WARNING: Text("warning", "aviso"),
    State.FAILED: Text("failed", "fallo"),
}
"""The words for the results of a step or of a finding."""

_INDENT: Final = " " * 9


@contextmanager
def show_steps(*, is_shown: bool, language: Language = Language.EN) -> Iterator[OnStep]:
    """Yield a function that shows each step. What is under way is shown on a terminal only."""
    console = Console(stderr=True)
    status = Status("", console=console)
    try:
        yield _Lines(status if console.is_terminal else None, language).show if is_shown else _ignore
    finally:
        status.stop()


def _ignore(_: Step) -> None:
    pass


class _Lines:
    """Prints each step once. `status`: the line of what is under way, if there is a terminal."""

    def __init__(self, status: Status | None, language: Language) -> None:
        self._status = status
        self._language = language
        self._printed: list[Step] = []
        self._running: dict[tuple[str, str | None], str] = {}

    def show(self, step: Step) -> None:
        """Show a step that began, changed or ended."""
        key = step.kind, step.destination
        name = f"{step.destination}: " if step.destination else ""
        if step.destination is None:
            # These steps follow one another: a new one ends the last one.
            self._running = {other: text for other, text in self._running.items() if other[1] is not None}
        if not step.is_final:
            self._running[key] = name + step.text.read(self._language)
        else:
            self._running.pop(key, None)
            if step not in self._printed:
                self._print(step, name)
        if self._status is not None:
            self._show_running(self._status)

    def _show_running(self, status: Status) -> None:
        """Show what is under way. If nothing is, remove the line: rich ignores an empty text."""
        if self._running:
            status.update(RichText(escape_unprintable(" · ".join(self._running.values()))))
            status.start()
        else:
            status.stop()

    def _print(self, step: Step, name: str) -> None:
        self._printed.append(step)
        if self._status is not None:
            self._status.stop()  # it would stay on the screen, and the line would follow it
        result = RESULTS[step.state].read(self._language)
        echo(f"{result:<{len(_INDENT)}}{name}{step.text.read(self._language)}")
        if step.hint:
            echo(f"{_INDENT}{step.hint.read(self._language)}")
        if self._status is not None:
            self._status.start()
