"""The line of what is under way shows the present step, never the one before."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from rich.status import Status

from relay.cli import step_lines
from relay.operations.languages import Text
from relay.operations.test_call import Kind, State, Step


class Recorded(Status):
    """`shown`: whether the line is on the terminal."""

    created: list["Recorded"]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.shown = False
        self.created.append(self)

    def start(self) -> None:
        self.shown = True

    def stop(self) -> None:
        self.shown = False


def step(kind: Kind, state: State, text: str, destination: str | None = None) -> Step:
    return Step(kind, state, "code", Text(text, text), destination=destination)


def test_the_line_shows_the_steps_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    Recorded.created = []
    terminal = Console(file=StringIO(), force_terminal=True)
    monkeypatch.setattr(step_lines, "Console", lambda **_: terminal)
    monkeypatch.setattr(step_lines, "Status", Recorded)
    with step_lines.show_steps(is_shown=True) as show:
        (status,) = Recorded.created

        def line() -> str:
            return str(status.status) if status.shown else ""

        assert line() == ""
        show(step(Kind.POST, State.RUNNING, "posting the begin"))
        assert line() == "posting the begin"
        show(step(Kind.POST, State.GOOD, "accepted"))
        assert line() == ""
        show(step(Kind.FOLD, State.RUNNING, "waiting for the call"))
        show(step(Kind.POST, State.RUNNING, "posting the end"))
        assert line() == "posting the end"
        show(step(Kind.FOLD, State.GOOD, "one call"))
        show(step(Kind.DELIVER, State.RUNNING, "waits", "one"))
        show(step(Kind.DELIVER, State.RUNNING, "waits too", "two"))
        assert line() == "one: waits · two: waits too"
        show(step(Kind.DELIVER, State.GOOD, "delivered", "one"))
        assert line() == "two: waits too"
    assert not status.shown


def test_nothing_is_shown_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with step_lines.show_steps(is_shown=True) as show:
        show(step(Kind.POST, State.RUNNING, "posting"))
        show(step(Kind.POST, State.GOOD, "accepted"))
    printed = capsys.readouterr()
    assert "accepted" in printed.out
    assert "posting" not in printed.out + printed.err
