"""How a line is built, rendered and written."""

import sys
import threading
import time
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, TextIO

import msgspec

from relay.logs import redaction
from relay.logs.writer import BackgroundWriter
from relay.standards.unprintable import escape_unprintable

Line = MutableMapping[str, Any]
"""A line's fields by name, in the order in which they are written."""

_KEPT: Final = "\t\n"
"""A traceback has these."""

_encode = msgspec.json.Encoder().encode


# --- write ------------------------------------------------------------------------------------


class Output:
    """The stream that all loggers of the process write to."""

    def __init__(self) -> None:
        self.stream: TextIO = sys.stdout
        self.writer: BackgroundWriter | None = None
        """What writes the lines on another thread; None: `write_line` writes to `stream` itself."""

        self._lock = threading.Lock()

    def write_line(self, line: bytes) -> None:
        """Write and flush one line. A line that cannot be written is dropped: a full disk or a closed pipe
        must not stop the relay.
        """
        if self.writer is not None:
            self.writer.write(line + b"\n")
            return
        try:
            with self._lock:
                self._write(line + b"\n")
                self.stream.flush()
        except (OSError, ValueError):
            pass

    def _write(self, line: bytes) -> None:
        buffer = getattr(self.stream, "buffer", None)
        if buffer is None:
            self.stream.write(line.decode())
        else:  # bytes, so that the line is UTF-8 in every locale
            buffer.write(line)


output = Output()


class NamedLogger:
    """The logger that structlog wraps: a name, and one method per level that writes a rendered line."""

    def __init__(self, name: str) -> None:
        self.name = name

    debug = info = warning = error = critical = staticmethod(output.write_line)


# --- build ------------------------------------------------------------------------------------


def build_line(logger: NamedLogger, level: str, event: Line) -> Line:
    """Return the line's own fields first, then those of the caller in the caller's order, redacted."""
    line = {
        "timestamp": format_timestamp(time.time_ns()),
        "level": level,
        # Event names are literals in the code, so they contain no personal data.
        "event": redaction.redactor.remove_secrets(event.pop("event")),
        "logger": logger.name,
    }
    redact = redaction.redactor.redact_field
    for key, value in event.items():
        line[key] = redact(key, value)
    return line


def format_timestamp(nanoseconds: int) -> str:
    """Format a Unix time as `redaction.format_utc` does."""
    seconds, milliseconds = divmod(nanoseconds // 1_000_000, 1_000)
    return f"{_format_second(seconds)}.{milliseconds:03}Z"


@lru_cache(1)
def _format_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


# --- render -----------------------------------------------------------------------------------


def render_json(_: Any, __: str, line: Line) -> bytes:
    """Render one JSON object."""
    try:
        return _encode(line)
    except UnicodeEncodeError:  # a lone surrogate; a request body can contain one
        return _encode(_escape_unprintable(line))


def console_renderer(render: Callable[[Any, str, Line], str]) -> Callable[[Any, str, Line], bytes]:
    """Return a renderer of readable text that escapes unprintable characters of foreign texts."""

    def render_console(logger: Any, level: str, line: Line) -> bytes:
        return render(logger, level, _escape_unprintable(line)).encode()

    return render_console


def _escape_unprintable(value: Any) -> Any:
    match value:
        case str():
            return escape_unprintable(value, keep=_KEPT)
        case dict():
            return {_escape_unprintable(key): _escape_unprintable(item) for key, item in value.items()}
        case list():
            return [_escape_unprintable(item) for item in value]
        case _:
            return value
