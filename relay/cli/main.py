"""`relay`: its commands, its settings, its exit codes.

0 success · 1 the result is bad (a check failed, an unknown call) · 2 wrong usage or settings ·
130 interrupted.
"""

import gc
import os
import sys
from collections.abc import Iterable
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Final

import click

from relay.cli.program import find_name, program
from relay.settings import Settings, SettingsError, load

_COMMANDS: Final = (
    "audit",
    "backfill",
    "calls",
    "check",
    "cloudtalk-setup",
    "dead",
    "demo",
    "destinations",
    "forget",
    "init",
    "ledger",
    "quarantine",
    "rebuild",
    "replay",
    "serve",
    "setup",
    "simulate",
    "status",
)


_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
"""The standard streams in the order of their numbers, each with its mode."""


class LazyGroup(click.Group):
    """Imports the module of a command when the command is used: `serve` needs no tables, for example."""

    def list_commands(self, _: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"relay.cli.{name.replace('-', '_')}").command
        # `relay.__main__` disabled it for the imports. It need not search what they made, now or later.
        gc.freeze()
        gc.enable()
        return command


class Context:
    """Gives each command the settings. They are read only when a command asks for them."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @property
    def path(self) -> Path | None:
        """The settings file that the command line names."""
        return self._path

    def settings(self) -> Settings:
        """Load the settings. If they are wrong the command ends with exit code 2."""
        try:
            return self.reload()
        except SettingsError as error:
            raise BadSettings(str(error)) from error

    def reload(self) -> Settings:
        """Load the settings from the file as it is now. Raises `SettingsError`."""
        return load(self._path)


class BadSettings(click.ClickException):
    """The settings cannot be used. The message lists every mistake."""

    exit_code = 2


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--settings",
    "path",
    type=click.Path(path_type=Path),
    help="Path of the settings file. Default: RELAY_SETTINGS, else ./settings.toml.",
)
@click.version_option(package_name="cloudtalk-relay", prog_name="relay")
@click.pass_context
def cli(context: click.Context, path: Path | None) -> None:
    """One record per CloudTalk call in your CRM, always current."""
    program.use_settings(path)
    context.obj = Context(path)


def main() -> None:
    open_missing_streams()
    program.call_as(find_name())
    try:
        _check_encoding(sys.argv[1:])
        sys.exit(cli(standalone_mode=False) or 0)
    except click.ClickException as error:
        _show(error)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)


def open_missing_streams() -> None:
    """Open the null device for standard streams that the parent process closed.

    The next files would get their numbers: a message would be written into a socket or a database, and libuv
    ends the process when it closes one. Child processes inherit the streams, too.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) < len(_STREAMS):
        os.set_inheritable(number, True)
        name, mode = _STREAMS[number]
        setattr(sys, name, os.fdopen(number, mode))
    os.close(number)


def _check_encoding(arguments: Iterable[str]) -> None:
    """Raise a `UsageError` for bytes that are no UTF-8: no ledger can contain them."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise click.UsageError(f"expected UTF-8, found the argument {argument}") from None


def _show(error: click.ClickException) -> None:
    # Imported here: a server that starts needs no tables.
    from relay.cli.output import echo  # noqa: PLC0415

    shown = StringIO()
    error.show(shown)
    echo(shown.getvalue().rstrip("\n"), err=True)
