"""How a person calls this program, for the commands that its messages name.

Texts name a command as `relay check`. What is printed names it as it has to be typed: with the path of the
program if the shell does not find it, and with the settings file that this command was given.
"""

import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

_NAME: Final = "relay"
_OF_NO_SETTINGS: Final = frozenset({"init", "demo"})
_COMMAND: Final = re.compile(rf"`{_NAME} (?=([a-z][a-z-]*))")


class Program:
    """The program as it was called. Until `call_as` it is `relay`, with the default settings."""

    def __init__(self) -> None:
        self._name: str | None = None
        self._settings: Path | None = None

    def call_as(self, name: str) -> None:
        """Set what a person types instead of `relay`."""
        self._name = name

    def use_settings(self, path: Path | None) -> None:
        """Set the settings file that commands have to name; None: they find it."""
        self._settings = path

    def line(self, command: str) -> str:
        """Return a command as it has to be typed, such as `.venv/bin/relay --settings mine.toml serve`."""
        return f"{self._prefix(command)} {command}"

    def name_in(self, text: str) -> str:
        """Return the text with each command in backticks as it has to be typed."""
        if self._name is None:
            return text
        return _COMMAND.sub(lambda found: f"`{self._prefix(found[1])} ", text)

    def _prefix(self, command: str) -> str:
        name = self._name or _NAME
        if self._settings is None or command.partition(" ")[0] in _OF_NO_SETTINGS:
            return name
        return f"{name} --settings {shlex.quote(str(self._settings))}"


program: Final = Program()
"""That of this process."""


def find_name() -> str:
    """Return how a person calls this program: `relay` if the shell finds it, or else its path."""
    path = Path(sys.argv[0])
    if path.name in {"", "-c"}:  # started by Python code
        return _NAME
    if path.name == "__main__.py":
        return f"{_shown(Path(sys.executable))} -m {_NAME}"
    found = shutil.which(_NAME)
    if found and Path(found).resolve() == path.resolve():
        return _NAME
    return _shown(path)


def show_path(path: Path) -> str:
    """Return the path of a file as short as it can be typed here, without quotes."""
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)


def _shown(path: Path) -> str:
    """Return the path of a program as short as the shell takes it."""
    found = shutil.which(path.name)
    if found and Path(found).absolute() == path.absolute():
        return path.name
    shown = show_path(path)
    return shlex.quote(shown if "/" in shown else f"./{shown}")  # without a slash the shell searches PATH
