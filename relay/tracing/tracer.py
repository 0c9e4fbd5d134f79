"""Spans of calls, sent to an OTLP/HTTP collector by a thread of OpenTelemetry's SDK.

At most 2048 spans wait for the collector. If it is down or slow, further ones are dropped: nothing waits for
it.
"""

import hashlib
import threading
from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from relay import __version__
from relay.instants import Instant

_TRACES_PATH: Final = "/v1/traces"
_SECONDS: Final = 10
_CLOSE_SECONDS: Final = 2.0
_NANOSECONDS: Final = 1_000
"""In a microsecond."""


class _Ids(IdGenerator):
    """Random ids of spans, except for the first span of a call: other processes know its ids, too."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()
        self.root: SpanContext | None = None

    def generate_span_id(self) -> int:
        return self._random.generate_span_id() if self.root is None else self.root.span_id

    def generate_trace_id(self) -> int:
        return self._random.generate_trace_id() if self.root is None else self.root.trace_id


class CallTracer:
    """Writes the spans of calls. Used by the event loop's thread alone."""

    def __init__(self, endpoint: str, headers: Sequence[str]) -> None:
        self._ids = _Ids()
        resource = Resource.create({"service.name": "cloudtalk-relay", "service.version": __version__})
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        pairs = (header.partition(":") for header in headers)
        self._exporter = OTLPSpanExporter(
            endpoint.rstrip("/").removesuffix(_TRACES_PATH) + _TRACES_PATH,
            headers={name.strip().lower(): value.strip() for name, _, value in pairs},
            timeout=_SECONDS,
        )
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter, schedule_delay_millis=1_000))
        self._tracer = self._provider.get_tracer("relay", __version__)

    def trace_event(
        self,
        call: str,
        attributes: Mapping[str, str | int],
        *,
        is_first: bool,
        received_at: Instant,
        planned_at: Instant,
        folded_at: Instant,
    ) -> None:
        """Write two spans: from the arrival of an event to the fold, and of the fold until it was on disk.

        `is_first`: it began the call, so it is the root of the trace.
        """
        named = {"call.id": call, **attributes}
        self._write("received", call, named, received_at, planned_at, SpanKind.SERVER, is_root=is_first)
        self._write("fold", call, named, planned_at, folded_at)

    def trace_push(
        self,
        call: str,
        attributes: Mapping[str, str | int],
        *,
        failed: bool,
        started_at: Instant,
        ended_at: Instant,
    ) -> None:
        """Write the span of a push of one call to a CRM."""
        named = {"call.id": call, **attributes}
        self._write("push", call, named, started_at, ended_at, SpanKind.CLIENT, failed=failed)

    def _write(
        self,
        name: str,
        call: str,
        attributes: Mapping[str, str | int],
        start: Instant,
        end: Instant,
        kind: SpanKind = SpanKind.INTERNAL,
        *,
        is_root: bool = False,
        failed: bool = False,
    ) -> None:
        root = _root_of(call)
        self._ids.root = root if is_root else None
        span = self._tracer.start_span(
            name,
            context=None if is_root else set_span_in_context(NonRecordingSpan(root)),
            kind=kind,
            attributes=attributes,
            start_time=start * _NANOSECONDS,
        )
        self._ids.root = None
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        # A clock that was set back must not give a negative duration.
        span.end(max(start, end) * _NANOSECONDS)

    def close(self) -> None:
        """Send the spans that wait, for at most two seconds."""
        # The SDK's own limit of time does not end the retries of a request.
        flush = threading.Thread(target=self._provider.force_flush, daemon=True)
        flush.start()
        flush.join(_CLOSE_SECONDS)
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


def _root_of(call: str) -> SpanContext:
    """Return the ids of a call's trace and of its first span."""
    digest = hashlib.sha256(call.encode("utf-8", "surrogatepass")).digest()
    return SpanContext(
        trace_id=int.from_bytes(digest[:16], "big"),
        span_id=int.from_bytes(digest[16:24], "big"),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
