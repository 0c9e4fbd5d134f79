"""The steps of a test call on the terminal: those under way live, those that are over as lines."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.status import Status
from rich.text import Text

from relay.cli.output import echo
from relay.operations.test_call import OnStep, State, Step
from relay.standards.unprintable import escape_unprintable

_RESULTS: Final = {State.GOOD: "ok", State.WARNING: "warning", State.FAILED: "failed"}
_INDENT: Final = " " * 9


@contextmanager
def show_steps(*, is_shown: bool) -> Iterator[OnStep]:
    """Yield a function that shows each step. What is under way is shown on a terminal only."""
    console = Console(stderr=True)
    with Status("", console=console) as status:
        if not (is_shown and console.is_terminal):
            status.stop()
        yield _Lines(status if console.is_terminal else None).show if is_shown else _ignore


def _ignore(_: Step) -> None:
    pass


class _Lines:
    """Prints each step once. `status`: the line of what is under way, if there is a terminal."""

    def __init__(self, status: Status | None) -> None:
        self._status = status
        self._printed: list[Step] = []
        self._running: dict[tuple[str, str | None], str] = {}

    def show(self, step: Step) -> None:
        """Show a step that began, changed or ended."""
        key = step.kind, step.destination
        name = f"{step.destination}: " if step.destination else ""
        if not step.is_final:
            self._running[key] = name + step.text.en
        else:
            self._running.pop(key, None)
            if step not in self._printed:
                self._print(step, name)
        if self._status is not None:
            self._status.update(Text(escape_unprintable(" · ".join(self._running.values()))))

    def _print(self, step: Step, name: str) -> None:
        self._printed.append(step)
        result = _RESULTS[step.state]
        echo(f"{result:<{len(_INDENT)}}{name}{step.text.en}")
        if step.hint:
            echo(f"{_INDENT}{step.hint.en}")
