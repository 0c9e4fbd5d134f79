"""Configuration of structlog and of the standard library's logging."""

import atexit
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import Final, Literal, TextIO

from relay.logs import redaction
from relay.logs.output import NamedLogger, build_line, console_renderer, output, render_json
from relay.logs.redaction import mask_text
from relay.logs.writer import BackgroundWriter


@contextmanager
def _without_rich() -> Iterator[None]:
    """Keep structlog from importing rich, which it uses only for coloured tracebacks. That saves 85 ms and
    4 MB at the start of a server. None in `sys.modules` means "not installed".
    """
    if "rich" in sys.modules or "structlog" in sys.modules:
        yield
        return
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["rich"]


with _without_rich():
    import structlog

_FLUSH_SECONDS: Final = 2.0
_PROPAGATING_LIBRARIES: Final = ("uvicorn", "uvicorn.error", "httpx", "httpcore")


def configure(
    format: Literal["auto", "json", "console"],  # noqa: A002 - the name of the setting
    level: str,
    personal_data: Literal["masked", "plain"],
    stream: TextIO | None = None,
) -> None:
    """Configure the log of this process, before the first line: a logger keeps the level of its first use.

    `auto` is `console` on a terminal, else `json`. The default stream is standard output, to which a thread
    of its own writes: a reader that hangs must not stop the relay.
    """
    output.stream = stream or _standard_output()
    output.writer = None if stream else _start_writer(output.stream)
    redaction.redactor.mask_people = personal_data == "masked"
    on_terminal = output.stream.isatty()
    is_json = format == "json" or (format == "auto" and not on_terminal)
    structlog.configure(
        processors=[
            structlog.processors.format_exc_info,
            build_line,
            render_json if is_json else _console_renderer(colours=on_terminal),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=NamedLogger,
        cache_logger_on_first_use=True,
    )
    _configure_libraries(level)


def _standard_output() -> TextIO:
    """Return standard output, or a file that discards all if the process was started without one."""
    standard: TextIO | None = sys.stdout
    return standard or Path(os.devnull).open("w")


def _start_writer(stream: TextIO) -> BackgroundWriter | None:
    """Return a writer to this stream; None if it is no file."""
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # with PYTHONUNBUFFERED the buffer itself is the file
    if not isinstance(raw, RawIOBase):
        return None
    atexit.register(flush)
    return BackgroundWriter(raw, _report_dropped)


def _report_dropped(lines: int) -> None:
    log.warning("log.dropped", lines=lines)


def flush(seconds: float = _FLUSH_SECONDS) -> None:
    """Wait until all lines are written, at most this long. Call it before `os._exit`."""
    if output.writer is not None:
        output.writer.flush(seconds)


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return a logger whose lines have the field `logger=name`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger


log = get_logger("relay.logs")


def _console_renderer(*, colours: bool) -> structlog.typing.Processor:
    renderer = structlog.dev.ConsoleRenderer(
        colors=colours, sort_keys=False, exception_formatter=structlog.dev.plain_traceback
    )
    return console_renderer(renderer)


# --- libraries --------------------------------------------------------------------------------


class LibraryHandler(logging.Handler):
    """Passes the lines of the standard library's logging on to the relay's log."""

    def emit(self, record: logging.LogRecord) -> None:
        level = max(logging.DEBUG, min(record.levelno // 10 * 10, logging.CRITICAL))
        get_logger(record.name).log(level, mask_text(_format_message(record)), exc_info=record.exc_info)


def _format_message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):  # the library passed arguments that do not fit its message
        return str(record.msg)


def _configure_libraries(level: str) -> None:
    """Write lines of libraries from warning on: below, they log every request with its parameters."""
    root = logging.getLogger()
    root.handlers = [LibraryHandler()]
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))
    for name in _PROPAGATING_LIBRARIES:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
        logger.setLevel(logging.NOTSET)
    # Without a handler uvicorn does not even build the lines of its access log.
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate = [], False
    logging.captureWarnings(capture=True)
