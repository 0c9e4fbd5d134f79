"""A description of the machine that the figures are measured on."""

import os
import platform
from importlib.util import find_spec
from pathlib import Path


def describe_machine() -> str:
    """Return one line about the machine, and a second line if dependencies have no bytecode."""
    line = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    if _has_bytecode("sqlalchemy"):
        return line
    # Without bytecode each start compiles its imports: that takes three times as long, and more memory.
    return (
        f"{line}\nDependencies are not compiled, which slows every start; `make clean setup` compiles them."
    )


def _has_bytecode(package: str) -> bool:
    """Whether the interpreter has bytecode of this package. SQLAlchemy is the largest import of a start."""
    spec = find_spec(package)
    return spec is not None and spec.cached is not None and Path(spec.cached).exists()
