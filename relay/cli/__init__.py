"""The command line `relay`. Each command is a module of its name, imported when it is used.

Only `relay.__main__` and the console script import from here.
"""

from relay.cli.main import main

__all__ = ["main"]
