"""Traces for OpenTelemetry: one trace for each call, from its first event to its pushes.

Off unless the settings name a collector: then `current` returns None, and neither the libraries nor a thread
is loaded. Only the process that folds and delivers traces, since it sees all parts of a call.

The id of a trace is computed from the id of the call's record. So another process, or the same after a
restart, continues the trace without a stored context.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay.tracing.tracer import CallTracer

_tracer: "CallTracer | None" = None


def current() -> "CallTracer | None":
    """Return what writes spans; None if traces are off."""
    return _tracer


def start(endpoint: str, headers: Sequence[str] = ()) -> None:
    """Send spans to this OTLP/HTTP collector from now on. `headers`: each as `Name: value`."""
    from relay.tracing.tracer import CallTracer  # noqa: PLC0415 - 6 MB of memory, and a thread

    global _tracer  # noqa: PLW0603 - as the logger, it belongs to the process
    _tracer = CallTracer(endpoint, headers)


def stop() -> None:
    """Send the spans that wait, within two seconds, and trace no more."""
    global _tracer
    tracer, _tracer = _tracer, None
    if tracer is not None:
        tracer.close()
