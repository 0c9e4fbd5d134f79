"""The command line. Each command is a module, loaded when it is used: `serve` pays for no table."""

from relay.cli.main import main

__all__ = ["main"]
