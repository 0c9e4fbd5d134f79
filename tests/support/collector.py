"""A real collector of OpenTelemetry: it accepts OTLP over HTTP and has all spans."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.support.servers import ThreadedServer


class CollectedSpan(NamedTuple):
    name: str
    trace: str
    span: str
    parent: str
    kind: int
    status: int
    start: int
    end: int
    attributes: dict[str, Any]
    service: str


class Collector:
    def __init__(self) -> None:
        self.spans: list[CollectedSpan] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.server = ThreadedServer(self, "collector")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        if (request.method, request.url.path) != ("POST", "/v1/traces"):
            await Response(status_code=404)(scope, receive, send)
            return
        self.headers.append(dict(request.headers))
        self.bodies.append(body)
        self._add(ExportTraceServiceRequest.FromString(body))
        answer = ExportTraceServiceResponse().SerializeToString()
        await Response(answer, media_type="application/x-protobuf")(scope, receive, send)

    def _add(self, message: ExportTraceServiceRequest) -> None:
        for resource in message.resource_spans:
            (service,) = [
                each.value.string_value for each in resource.resource.attributes if each.key == "service.name"
            ]
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                attributes = {
                    each.key: each.value.int_value
                    if each.value.HasField("int_value")
                    else each.value.string_value
                    for each in span.attributes
                }
                ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                times = (span.start_time_unix_nano, span.end_time_unix_nano)
                self.spans.append(
                    CollectedSpan(span.name, *ids, span.kind, span.status.code, *times, attributes, service)
                )

    @property
    def url(self) -> str:
        return self.server.url


@contextmanager
def running_collector() -> Iterator[Collector]:
    collector = Collector()
    collector.server.start()
    try:
        yield collector
    finally:
        collector.server.stop()
