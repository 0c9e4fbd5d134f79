"""The log: one line per event on standard output, without secrets and without personal data.

Import from here: `configure` (once per process), `flush` (before `os._exit`), `get_logger`, `hide` for
secrets, and, for texts that are shown elsewhere, `mask_text` or `remove_secrets`, which keeps personal data.
Lines of libraries are redacted and written in the same way.
"""

from relay.logs.redaction import hide, mask_text, remove_secrets
from relay.logs.setup import configure, flush, get_logger

__all__ = ["configure", "flush", "get_logger", "hide", "mask_text", "remove_secrets"]
