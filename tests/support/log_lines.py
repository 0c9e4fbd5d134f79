from collections.abc import Callable
from typing import Any

Lines = Callable[[], list[dict[str, Any]]]
"""Returns the log lines that were written so far, parsed."""
