"""Shows how far an import of history is: a bar on a terminal, else a line for each page."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from relay.cli.output import echo
from relay.history.reading import Progress as Reading


class BackfillProgress:
    """Shows the requests that were sent and that are left, at least. `per_minute`: how many are allowed."""

    def __init__(self, bar: Progress, per_minute: int) -> None:
        self._bar = bar
        self._per_minute = per_minute
        self._task: TaskID = bar.add_task("reading", total=None)
        self._is_terminal = not bar.disable

    def show(self, reading: Reading) -> None:
        """Show the state after a page, or before the first one."""
        counts, left = reading.counts, reading.position.pages_left
        minutes = ceil(left / self._per_minute)
        estimate = f", about {minutes} min left" if left else ""
        found = f"{counts.calls} calls, {counts.new} new, {counts.filled} filled"
        if self._is_terminal:
            total = counts.requests + left
            self._bar.update(
                self._task, description=f"{found}{estimate}", completed=counts.requests, total=total
            )
        elif counts.requests:
            self.say(f"request {counts.requests} of about {counts.requests + left}: {found}{estimate}")

    def on_wait(self, seconds: float) -> None:
        """Say why nothing happens for so long."""
        self.say(f"waiting {ceil(seconds)} s for the rate limit of CloudTalk's API")

    def say(self, text: str) -> None:
        """Show a line."""
        if self._is_terminal:
            self._bar.console.print(text, highlight=False)
        else:
            echo(text, err=True)


@contextmanager
def show_backfill(per_minute: int) -> Iterator[BackfillProgress]:
    """Show the progress on standard error during the block; standard output is for the result."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("requests"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield BackfillProgress(bar, per_minute)
