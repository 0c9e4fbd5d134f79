"""The log: one line per event on standard output, without secrets and without personal data.

Import from here: `configure` (once per process), `flush` (before `os._exit`), `get_logger`, `hide` for
secrets, and `mask_text` for texts that are shown elsewhere. Lines of libraries are redacted and written in
the same way.
"""

from relay.logs.redaction import hide, mask_text
from relay.logs.setup import configure, flush, get_logger

__all__ = ["configure", "flush", "get_logger", "hide", "mask_text"]
