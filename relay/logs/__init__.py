"""What the relay says of itself: one line an event, without secrets and without people.

Every line takes one way, the libraries' too, and is masked on it: a line is safe wherever it is
written from.
"""

import logging
import re
import sys
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from json import dumps
from typing import Any, Final, Literal, TextIO

import msgspec

from relay.logs import redaction
from relay.logs.redaction import hide, mask_text


@contextmanager
def _without_rich() -> Iterator[None]:
    """Structlog imports rich, where it is, for tracebacks in colour that are never printed here:
    85 ms and 4 MB of a server's start. None in `sys.modules` reads as "not installed".
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

__all__ = ["configure", "get_logger", "hide", "mask_text"]

Event = MutableMapping[str, Any]

_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


# --- where a line goes -------------------------------------------------------------------------


class _Output:
    """Where lines go; one for all loggers, so that another stream reaches them all."""

    def __init__(self) -> None:
        self.stream: TextIO = sys.stdout
        self._lock = threading.Lock()

    def line(self, line: bytes) -> None:
        """Write one line at once. One that cannot be written is dropped: a full disk or a reader
        that went away must not stop calls from being taken.
        """
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
        else:  # UTF-8 whatever the locale says
            buffer.write(line)


_output = _Output()


class _Named:
    """What a structlog logger wraps: its name, and the way out."""

    def __init__(self, name: str) -> None:
        self.name = name

    debug = info = warning = error = critical = staticmethod(_output.line)


# --- how a line is made -----------------------------------------------------------------------


def _complete(logger: _Named, level: str, event: Event) -> Event:
    """The fields in their order: what every line has, then what the caller said, in its order."""
    line = {
        "timestamp": redaction.utc(datetime.now(UTC)),
        "level": level,
        "event": redaction.mask.secrets(event.pop("event")),  # a literal of ours: names no person
        "logger": logger.name,
    }
    for key, value in event.items():
        line[key] = redaction.mask.field(key, value)
    return line


def _json(_: Any, __: str, event: Event) -> bytes:
    try:
        return msgspec.json.encode(event)
    except UnicodeEncodeError:  # a lone surrogate, as bodies may bear
        return msgspec.json.encode(_printable(event))


def _printable(value: Any) -> Any:
    """Without what a terminal obeys or UTF-8 cannot spell; both come from others' bodies."""
    match value:
        case str():
            return _UNPRINTABLE.sub(lambda found: dumps(found[0])[1:-1], value)
        case dict():
            return {_printable(key): _printable(item) for key, item in value.items()}
        case list():
            return [_printable(item) for item in value]
        case _:
            return value


def _console(renderer: structlog.dev.ConsoleRenderer, logger: Any, level: str, event: Event) -> bytes:
    return renderer(logger, level, _printable(event)).encode()


class _Libraries(logging.Handler):
    """Lines of the standard library's logging, on the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        level = max(logging.DEBUG, min(record.levelno // 10 * 10, logging.CRITICAL))
        get_logger(record.name).log(level, mask_text(_message_of(record)), exc_info=record.exc_info)


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):  # arguments that do not fit: a fault of the library's
        return str(record.msg)


# --- what others call -------------------------------------------------------------------------


def configure(
    format: Literal["auto", "json", "console"],  # noqa: A002 - the setting's own name
    level: str,
    personal_data: Literal["masked", "plain"],
    stream: TextIO | None = None,
) -> None:
    """Begin to log, once per process and before the first line: a logger keeps the level that it
    found at its first use. `auto` is console on a terminal, else JSON; `stream` is stdout unless said.
    """
    _output.stream = stream or sys.stdout
    redaction.mask.personal = personal_data == "masked"
    on_terminal = _output.stream.isatty()
    wants_json = format == "json" or (format == "auto" and not on_terminal)
    structlog.configure(
        processors=[
            structlog.processors.format_exc_info,
            _complete,
            _json if wants_json else _console_renderer(colours=on_terminal),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Named,
        cache_logger_on_first_use=True,
    )
    _take_in_libraries(level)


def _console_renderer(*, colours: bool) -> structlog.typing.Processor:
    renderer = structlog.dev.ConsoleRenderer(
        colors=colours, sort_keys=False, exception_formatter=structlog.dev.plain_traceback
    )
    return partial(_console, renderer)


def _take_in_libraries(level: str) -> None:
    """Libraries speak from warnings on: below, they tell each request with its parameters."""
    root = logging.getLogger()
    root.handlers = [_Libraries()]
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))
    for name in ("uvicorn", "uvicorn.error", "httpx", "httpcore"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
        logger.setLevel(logging.NOTSET)
    # Uvicorn asks whether anybody listens, and then does not even put the line together.
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate = [], False
    logging.captureWarnings(capture=True)


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines bear `logger=name`. Bind what a stretch of work has in common."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger
