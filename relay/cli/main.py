"""`relay`: its commands, its settings, its exit codes.

0 good · 1 the answer is bad · 2 usage or settings · 130 interrupted.
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import Final

import click

from relay.settings import Settings, SettingsError, load

_COMMANDS: Final = {
    "calls": "calls",
    "check": "check",
    "cloudtalk-setup": "cloudtalk_setup",
    "dead": "dead",
    "demo": "demo",
    "destinations": "destinations",
    "quarantine": "quarantine",
    "rebuild": "rebuild",
    "replay": "replay",
    "serve": "serve",
    "setup": "setup",
    "simulate": "simulate",
    "status": "status",
}


class Commands(click.Group):
    """Commands by name, each imported when it is asked for."""

    def list_commands(self, _: click.Context) -> list[str]:
        """Every command's name."""
        return sorted(_COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """The command of this name; None where there is none."""
        module = _COMMANDS.get(name)
        return None if module is None else import_module(f"relay.cli.{module}").command


class Context:
    """What every command may need: the settings, read when they are asked for."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def settings(self) -> Settings:
        """The settings, or a readable end of the command (exit code 2)."""
        try:
            return self.reread()
        except SettingsError as error:
            raise BadSettings(str(error)) from error

    def reread(self) -> Settings:
        """The settings as they are written now. Raises `SettingsError`."""
        return load(self._path)


class BadSettings(click.ClickException):
    """The settings cannot be used; the message lists every mistake."""

    exit_code = 2


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--settings",
    "path",
    type=click.Path(path_type=Path),
    help="The settings file; else RELAY_SETTINGS, else ./settings.toml.",
)
@click.version_option(package_name="cloudtalk-relay", prog_name="relay")
@click.pass_context
def cli(context: click.Context, path: Path | None) -> None:
    """One record per CloudTalk call in your CRM, always current."""
    context.obj = Context(path)


def main() -> None:
    """Run the command line."""
    try:
        sys.exit(cli(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
