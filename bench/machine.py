"""What the figures were measured on, and what would make them those of another installation."""

import os
import platform
from importlib.util import find_spec
from pathlib import Path


def described() -> str:
    """The machine in a line, and a second one where dependencies stand there without bytecode."""
    line = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    if _has_bytecode("sqlalchemy"):
        return line
    # Without it each start compiles what it imports: three times as long, and memory besides.
    return (
        f"{line}\nDependencies are not compiled here, which slows starts; `make clean setup` compiles them."
    )


def _has_bytecode(package: str) -> bool:
    """Whether the interpreter finds this package compiled. SQLAlchemy is the largest that a start imports."""
    spec = find_spec(package)
    return spec is not None and spec.cached is not None and Path(spec.cached).exists()
